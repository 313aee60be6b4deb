"""Writes tiny data sets in the benchmark's layout, with real JPEGs and palette PNGs."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from fsrvos.data.annotations import Annotations


@dataclass
class Thing:
    """An object that is a rectangle: its category, its phrases, the frames that show it (all for None)."""

    category: str
    phrases: list[dict]
    visible: list[int] | None = None


@dataclass
class Film:
    num_frames: int
    things: dict[str, Thing]
    size: tuple[int, int] = (24, 40)
    extra: dict = field(default_factory=dict)


def frame_name(position: int) -> str:
    return f"{5 * position:05d}"


def rectangle(film: Film, object_id: str, frame: int) -> tuple[slice, slice]:
    """Where an object lies: objects stand side by side and drift down a pixel a frame."""
    height, width = film.size
    column = list(film.things).index(object_id) * (width // len(film.things))
    top = 2 + frame % (height // 2)
    return slice(top, top + height // 3), slice(column + 2, column + 2 + width // (2 * len(film.things)))


def draw(name: str, film: Film, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws one frame (H, W, 3) and its mask (H, W) uint8."""
    height, width = film.size
    rng = np.random.default_rng([*name.encode(), frame])
    tint = rng.integers(40, 160, 3)
    pixels = np.broadcast_to(tint, (height, width, 3)).astype(np.uint8).copy()
    pixels += np.arange(width, dtype=np.uint8)[None, :, None]
    mask = np.zeros((height, width), np.uint8)
    for object_id, thing in film.things.items():
        if thing.visible is None or frame in thing.visible:
            place = rectangle(film, object_id, frame)
            pixels[place] = 250 - 30 * int(object_id)
            mask[place] = int(object_id)
    return pixels, mask


def annotation_json(films: dict[str, Film]) -> tuple[dict, dict]:
    """Returns the contents of meta_expressions.json and meta.json."""
    expressions, meta = {}, {}
    for name, film in films.items():
        phrases = [
            {"obj_id": object_id, **phrase}
            for object_id, thing in film.things.items()
            for phrase in thing.phrases
        ]
        expressions[name] = {
            "frames": [frame_name(frame) for frame in range(film.num_frames)],
            "expressions": {str(eid): phrase for eid, phrase in enumerate(phrases)},
        }
        meta[name] = {
            "objects": {
                object_id: {
                    "category": thing.category,
                    "frames": [
                        frame_name(frame)
                        for frame in range(film.num_frames)
                        if thing.visible is None or frame in thing.visible
                    ],
                }
                for object_id, thing in film.things.items()
            }
        }
    return {"videos": expressions}, {"videos": meta}


def write(
    root: Path,
    films: dict[str, Film],
    expressions: str = "meta_expressions/train/meta_expressions.json",
    meta: str = "train/meta.json",
    images: str = "train/JPEGImages",
    masks: str = "train/Annotations",
    suffix: str = ".jpg",
    mask_value: int | None = None,
) -> Path:
    """Writes a data set; ``mask_value`` replaces every object's value in the masks."""
    contents = annotation_json(films)
    for path, content in zip((root / expressions, root / meta), contents, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    for name, film in films.items():
        for folder in (root / images / name, root / masks / name):
            folder.mkdir(parents=True)
        for frame in range(film.num_frames):
            pixels, mask = draw(name, film, frame)
            if mask_value is not None:
                mask = np.where(mask > 0, mask_value, 0).astype(np.uint8)
            options = {"quality": 95, "subsampling": 0} if suffix == ".jpg" else {}
            Image.fromarray(pixels).save(root / images / name / f"{frame_name(frame)}{suffix}", **options)
            picture = Image.fromarray(mask, mode="P")
            picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
            picture.save(root / masks / name / f"{frame_name(frame)}.png")
    return root


def one(category: str, *texts: str, visible: list[int] | None = None) -> Thing:
    return Thing(category, [{"exp": text} for text in texts], visible)


def zoo() -> dict[str, Film]:
    """Categories of which group 1 holds out hat, raccoon and crocodile; owl is not used, frog is alone.

    Videos of 3 to 12 frames; objects that are hidden at times; two objects of one category; two categories in
    one video.
    """
    films = {}
    for category in ("hat", "raccoon", "plant", "hand", "horse"):
        for number, num_frames in enumerate((8, 12, 3)):
            hidden = [frame for frame in range(num_frames) if frame % 4 != 3]
            visible = hidden if number == 0 else None
            films[f"{category}_{number}"] = Film(
                num_frames,
                {"1": one(category, f"a {category}", f"the {category} on the left", visible=visible)},
            )
    films["twins"] = Film(
        7,
        {
            "1": Thing("hat", [{"exp": "the red hat", "kind": "color", "distractor_expression": "1"}]),
            "2": Thing("hat", [{"exp": "the blue hat", "kind": "color", "distractor_expression": 0}]),
        },
    )
    films["mixed"] = Film(
        6,
        {"1": one("raccoon", "a raccoon"), "3": one("plant", "a plant", "the right plant", visible=[4, 5])},
        size=(40, 24),
    )
    films["crocs_a"] = Film(6, {"2": one("crocodile", "crocodiles"), "4": one("owl", "an owl")})
    films["crocs_b"] = Film(6, {"2": one("crocodile", "the crocodile")})
    films["lonely"] = Film(5, {"1": one("frog", "a frog")})
    return films


def read_quietly(root: Path, layout: str = "ytvos") -> Annotations:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Annotations(root, layout)
