"""A small data set without a fault, and how to edit its files so that it gets one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from zoo import Film, one, write

EXPRESSIONS = "meta_expressions/train/meta_expressions.json"
META = "train/meta.json"
IMAGES = "train/JPEGImages"
MASKS = "train/Annotations"


def films() -> dict[str, Film]:
    """Two videos each of hat (held out by group 1) and plant (group 2), three frames of 40x24; `pair` has both."""
    return {
        "hat_a": Film(3, {"1": one("hat", "a hat", "the hat on the left")}),
        "pair": Film(3, {"1": one("hat", "the red hat"), "2": one("plant", "a plant")}),
        "plant_a": Film(3, {"1": one("plant", "the plant", visible=[0, 1])}),
    }


def write_clean(root: Path, **options: str) -> Path:
    return write(root, films(), **options)


def edit_json(path: Path, change: Callable[[dict], object]) -> None:
    """Changes what stands under "videos"."""
    content = json.loads(path.read_text())
    change(content["videos"])
    path.write_text(json.dumps(content))


def edit_mask(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Changes the object ids in a mask."""
    with Image.open(path) as image:
        values = np.array(image)
    picture = Image.fromarray(change(values).astype(np.uint8), mode="P")
    picture.putpalette([level for value in range(256) for level in (value, value, value)])  # 8 bits are kept
    picture.save(path)


def cut(path: Path, share: float) -> None:
    """Keeps the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
