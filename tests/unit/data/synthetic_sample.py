"""One small Mini-Ref-Synthetic for all tests of it, made once a process, and what its files say."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from fsrvos.data.synthetic import generate

PARAMETERS = {"seed": 3, "videos_per_category": 2, "frames": 10, "size": (96, 160)}


@cache
def root() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mini-ref-synthetic-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return generate(folder / "data", workers=1, **PARAMETERS)


def read(name: str) -> dict:
    return json.loads((root() / name).read_text())


@dataclass(frozen=True)
class Video:
    """A video as its files tell it: frames (T, H, W, 3) uint8, masks (T, H, W) uint8, JSON entries."""

    name: str
    frames: np.ndarray
    masks: np.ndarray
    expressions: dict
    objects: dict

    def areas(self, object_id: str) -> np.ndarray:
        return (self.masks == int(object_id)).sum(axis=(1, 2))

    def centroids(self, object_id: str) -> np.ndarray:
        """(T, 2) x and y of the visible pixels; not a number where there are none."""
        centres = np.full((len(self.masks), 2), np.nan)
        for t, mask in enumerate(self.masks):
            ys, xs = np.nonzero(mask == int(object_id))
            if len(xs):
                centres[t] = xs.mean() + 0.5, ys.mean() + 0.5
        return centres

    def whole(self, object_id: str) -> np.ndarray:
        """(T,) frames in which nothing noticeable of the object is hidden or cut off."""
        areas = self.areas(object_id)
        return areas >= 0.88 * areas.max()


@cache
def videos() -> tuple[Video, ...]:
    said = read("meta_expressions/train/meta_expressions.json")["videos"]
    seen = read("train/meta.json")["videos"]
    found = []
    for name, entry in said.items():
        paths = [root() / "train/JPEGImages" / name / f"{frame}.jpg" for frame in entry["frames"]]
        frames = np.stack([np.asarray(Image.open(path)) for path in paths])
        paths = [root() / "train/Annotations" / name / f"{frame}.png" for frame in entry["frames"]]
        masks = np.stack([np.asarray(Image.open(path)) for path in paths])
        found.append(Video(name, frames, masks, entry["expressions"], seen[name]["objects"]))
    return tuple(found)
