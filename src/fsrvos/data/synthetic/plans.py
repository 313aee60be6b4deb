"""What the objects of a category are to be before they are placed: colours, sizes, motions, places."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fsrvos.data.synthetic.casting import CONTRASTS, Cast
from fsrvos.data.synthetic.colors import COLORS
from fsrvos.data.synthetic.motion import LEAVE, MOVES, Zone

SMALLEST, LARGEST = 0.16, 0.28
"""Sides of objects' areas, in sides of the frame's area: they cover 2.5 to 8 percent of it."""


@dataclass(frozen=True)
class Plan:
    """What a category's objects are to be.

    Attributes:
        colors: Names of ``COLORS``, one an object.
        sides: Sides of squares of their areas, in pixels.
        motions: Of ``MOVES``, or ``LEAVE``.
        zones: Where their paths may lie.
        contrast: Which of ``CONTRASTS`` tells a pair apart for certain; None for an object alone.
    """

    colors: tuple[str, ...]
    sides: tuple[float, ...]
    motions: tuple[str, ...]
    zones: tuple[Zone, ...]
    contrast: str | None


def plans(rng: np.random.Generator, cast: Cast, size: tuple[int, int]) -> list[Plan]:
    """Draws a plan per category of a cast; the other categories borrow the primary one's colours.

    Args:
        rng: Everything random about it.
        cast: The categories that play.
        size: Height and width of the frame in pixels.
    """
    whole = Zone(0, 0, size[1], size[0])
    unit = math.sqrt(size[0] * size[1])
    drawn: list[Plan] = []
    lent: list[str] = []  # colours of the primary objects that another category is to wear
    for index, count in enumerate(cast.counts):
        fresh = [str(name) for name in rng.permutation(list(COLORS))]
        if count == 1:
            color = lent.pop(0) if lent else fresh[0]
            side = unit * rng.uniform(SMALLEST, LARGEST)
            drawn.append(Plan((color,), (side,), (_any(rng, MOVES),), (whole,), None))
        else:
            contrast = cast.contrast if index == 0 else _any(rng, CONTRASTS)
            drawn.append(_pair(rng, contrast, lent + [c for c in fresh if c not in lent], unit, size))
        if index == 0:
            lent = list(dict.fromkeys(drawn[0].colors))
    if rng.uniform() < 0.55:
        _send_away(rng, drawn)
    return drawn


def _pair(
    rng: np.random.Generator, contrast: str, colors: list[str], unit: float, size: tuple[int, int]
) -> Plan:
    """Two objects of a category that differ in ``contrast`` for certain and in others by chance."""
    whole = Zone(0, 0, size[1], size[0])
    two_colors = contrast == "color" or rng.uniform() < 0.3
    ratio = rng.uniform(1.75, 2.6) if contrast == "size" or rng.uniform() < 0.2 else rng.uniform(1.0, 1.12)
    small = unit * rng.uniform(SMALLEST, LARGEST / math.sqrt(ratio))
    motions, zones = (_any(rng, MOVES),) * 2, (whole, whole)
    if contrast == "motion":
        one, two = rng.permutation(len(MOVES))[:2]
        motions = (MOVES[one], MOVES[two])
    elif contrast == "position" and rng.uniform() < 0.6:
        motions = (_any(rng, ("up", "down", "still")),) * 2
        zones = (Zone(0, 0, 0.42 * size[1], size[0]), Zone(0.58 * size[1], 0, size[1], size[0]))
    elif contrast == "position":
        motions = (_any(rng, ("left", "right", "still")),) * 2
        zones = (Zone(0, 0, size[1], 0.42 * size[0]), Zone(0, 0.58 * size[0], size[1], size[0]))
    flip = 1 if rng.integers(2) else -1
    return Plan(
        colors=(colors[0], colors[1] if two_colors else colors[0])[::flip],
        sides=(small, small * math.sqrt(ratio))[::flip],
        motions=motions,
        zones=zones[::flip],
        contrast=contrast,
    )


def _send_away(rng: np.random.Generator, plans: list[Plan]) -> None:
    """Lets one object leave and return, unless its phrases need its motion or its place."""
    movable = [k for k, plan in enumerate(plans) if plan.contrast not in ("motion", "position")]
    if movable:
        chosen = movable[int(rng.integers(len(movable)))]
        plans[chosen] = replace(plans[chosen], motions=(LEAVE, *plans[chosen].motions[1:]))


def _any(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]
