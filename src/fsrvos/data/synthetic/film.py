"""From a seed and a number to a finished video: scenes are drawn until one shows all that its phrases say."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fsrvos.data.synthetic.casting import Cast, cast
from fsrvos.data.synthetic.expressions import Phrase, phrases
from fsrvos.data.synthetic.render import Footage, render
from fsrvos.data.synthetic.scene import Scene, sketch
from fsrvos.errors import UserError

_ATTEMPTS = 400


@dataclass(frozen=True)
class Film:
    """A finished video: its scene, what is said about it, and its pixels."""

    scene: Scene
    phrases: list[Phrase]
    footage: Footage


def shoot(seed: int, number: int, take: int, frames: int, size: tuple[int, int]) -> Film:
    """Makes one video, a pure function of its arguments.

    Args:
        seed: Seed of the benchmark.
        number: Number of its primary category, 1-48.
        take: Which of that category's videos, from 0.
        frames: Number of frames.
        size: Height and width in pixels.

    Raises:
        UserError: When no scene fits into so small or so narrow a frame.
    """
    players: Cast = cast(seed, number, take)
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([seed, number, take, attempt])
        scene = sketch(rng, players, frames, size)
        said = phrases(rng, scene) if scene is not None else None
        if scene is None or said is None:
            continue
        footage = render(scene)
        if _shows(footage):
            return Film(scene, said, footage)
    raise UserError(f"no scene fits into --size {size[0]}x{size[1]}; 112x192 or any size near 9:16 does")


def least_pixels(size: tuple[int, int]) -> int:
    """Mask pixels that an object shows in every frame in which it shows any."""
    return max(8, size[0] * size[1] // 1250)


def _shows(footage: Footage) -> bool:
    """Whether every object is in view often enough, whole often enough, and never as a mere sliver."""
    visible, length = footage.visible(), len(footage.masks)
    size = (footage.masks.shape[1], footage.masks.shape[2])
    slivers = (visible > 0) & (visible < least_pixels(size))
    whole = visible >= 0.9 * footage.whole
    often = (visible > 0).sum(axis=0) >= 0.6 * length
    return (
        not slivers.any() and bool(often.all()) and bool((whole.sum(axis=0) >= math.ceil(0.3 * length)).all())
    )
