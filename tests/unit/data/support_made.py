"""Small pictures and masks for the tests of support."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fsrvos.data.support_sources import read_support
from fsrvos.errors import UserError

WIDTH, HEIGHT = 16, 12


def picture(seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    """Random pixels (H, W, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def block(
    top: int, left: int, bottom: int, right: int, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> np.ndarray:
    """A rectangle of pixels, (H, W) bool."""
    mask = np.zeros((size[1], size[0]), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    """Saves a picture; in a format without loss what is read must equal it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def save_ids(path: Path, ids: np.ndarray) -> Path:
    """Saves a palette PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("P", (ids.shape[1], ids.shape[0]))
    image.putpalette(random.Random(0).randbytes(768))
    image.putdata(ids.astype(int).ravel().tolist())
    image.save(path)
    return path


def save_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def complaint(source: Any, **options: Any) -> str:
    """The line of the error that reading must end with."""
    with pytest.raises(UserError) as caught:
        read_support(source, **options)
    line = str(caught.value)
    assert "\n" not in line
    return line


def rgb_of(clip_frames: Any, index: int) -> np.ndarray:
    """One frame of a clip, (H, W, 3)."""
    return clip_frames[index].permute(1, 2, 0).numpy()
