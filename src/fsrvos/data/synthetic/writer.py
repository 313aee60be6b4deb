"""A finished video on disk, in the layout of Mini-Ref-YouTube-VOS, and what the JSON files say about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fsrvos.data.synthetic.expressions import Phrase
from fsrvos.data.synthetic.film import Film
from fsrvos.data.synthetic.scene import Actor

PALETTE: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0),
    (236, 95, 103),
    (99, 199, 148),
    (249, 189, 87),
    (88, 146, 208),
)
"""Colours of the mask files: background and object ids 1-4."""

_JPEG_QUALITY = 90


@dataclass(frozen=True)
class Entry:
    """What the JSON files say about one video.

    Attributes:
        video: Its id.
        expressions: Its value in ``meta_expressions.json``.
        objects: Its value in ``meta.json``.
        scene: Its value in ``scenes.json``: what was drawn, for tests and for the curious.
    """

    video: str
    expressions: dict[str, Any]
    objects: dict[str, Any]
    scene: dict[str, Any]


def write(film: Film, root: Path) -> Entry:
    """Writes the frames and masks of a video below a data root.

    Args:
        film: The video.
        root: The data root; folders are made as needed.
    """
    video = film.scene.cast.video
    images, masks = root / "train/JPEGImages" / video, root / "train/Annotations" / video
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    names = [f"{t:05d}" for t in range(len(film.footage.frames))]
    for name, frame, mask in zip(names, film.footage.frames, film.footage.masks, strict=True):
        # No chroma subsampling: it would bleed colours across the edges of small objects.
        Image.fromarray(frame).save(images / f"{name}.jpg", quality=_JPEG_QUALITY, subsampling=0)
        picture = Image.fromarray(mask).convert("P")
        picture.putpalette([level for color in PALETTE for level in color])
        picture.save(masks / f"{name}.png")
    expressions = {"expressions": _expressions(film), "frames": names}
    return Entry(video, expressions, {"objects": _objects(film, names)}, _scene(film))


def _expressions(film: Film) -> dict[str, dict[str, str]]:
    partners = {}
    for actor in film.scene.actors:
        rival = film.scene.rival(actor)
        if rival is not None:
            partners[actor.object_id] = rival.object_id
    entries = {}
    for index, phrase in enumerate(film.phrases):
        entry = {"exp": phrase.text, "obj_id": str(phrase.object_id), "kind": phrase.kind}
        if phrase.object_id in partners:
            entry["distractor_expression"] = _counterpart(film.phrases, phrase, partners[phrase.object_id])
        entries[str(index)] = entry
    return entries


def _counterpart(phrases: list[Phrase], phrase: Phrase, partner: int) -> str:
    """Key of a phrase about the other object of the pair, of the same kind if it has one."""
    others = [(p.kind != phrase.kind, index) for index, p in enumerate(phrases) if p.object_id == partner]
    return str(min(others)[1])


def _objects(film: Film, names: list[str]) -> dict[str, Any]:
    visible = film.footage.visible()
    objects = {}
    for actor in sorted(film.scene.actors, key=lambda a: a.object_id):
        seen = np.flatnonzero(visible[:, actor.object_id - 1])
        entry = {"category": actor.look.category.noun, "frames": [names[t] for t in seen]}
        objects[str(actor.object_id)] = entry
    return objects


def _scene(film: Film) -> dict[str, Any]:
    scene = film.scene
    return {
        "primary": scene.cast.categories[0].noun,
        "kind": scene.cast.kind,
        "background": scene.background[0],
        "post": scene.post is not None,
        "camera": [[x / 2, y / 2] for x, y in scene.camera],
        "objects": {str(a.object_id): _object(a, depth) for depth, a in enumerate(scene.actors)},
    }


def _object(actor: Actor, depth: int) -> dict[str, Any]:
    return {
        "category": actor.look.category.noun,
        "color": actor.look.color,
        "area": round(actor.look.side**2, 1),
        "motion": actor.motion,
        "contrast": actor.contrast,
        "depth": depth,
        "centres": [[round(pose.x, 1), round(pose.y, 1)] for pose in actor.poses],
    }
