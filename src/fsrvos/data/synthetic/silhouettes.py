"""The twelve silhouette families: what outline an object of the synthetic benchmark has.

A silhouette is painted from polygons in body coordinates (u forward, v down, roughly -1..1), some of which
cut holes. ``wobble`` in [-1, 1] is the only thing that varies between instances, and only a little.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

Points = tuple[tuple[float, float], ...]
Outline = tuple[tuple[Points, bool], ...]
"""Polygons in painting order, each with True (paint) or False (cut)."""

Polygons = list[tuple[list[tuple[int, int]], bool]]
"""The same in whole samples of a canvas."""

_RASTER = 320  # samples across 2.5 units when a shape is measured


def _ellipse(u: float, v: float, ru: float, rv: float | None = None, sides: int = 40) -> Points:
    rv = ru if rv is None else rv
    angles = [2 * math.pi * k / sides for k in range(sides)]
    return tuple((u + ru * math.cos(a), v + rv * math.sin(a)) for a in angles)


def _box(u0: float, v0: float, u1: float, v1: float) -> Points:
    return ((u0, v0), (u1, v0), (u1, v1), (u0, v1))


def _star(wobble: float) -> Outline:
    radii = (1.0, 0.42 + 0.04 * wobble)
    points = ((radii[k % 2], math.pi * (k / 5 - 0.5)) for k in range(10))
    return ((tuple((r * math.cos(a), r * math.sin(a)) for r, a in points), True),)


def _crescent(wobble: float) -> Outline:
    return ((_ellipse(0.0, 0.0, 0.95), True), (_ellipse(0.5 + 0.05 * wobble, 0.0, 0.78), False))


def _cross(wobble: float) -> Outline:
    arm = 0.33 + 0.03 * wobble
    return ((_box(-0.95, -arm, 0.95, arm), True), (_box(-arm, -0.95, arm, 0.95), True))


def _ring(wobble: float) -> Outline:
    return ((_ellipse(0.0, 0.0, 0.95), True), (_ellipse(0.0, 0.0, 0.46 + 0.05 * wobble), False))


def _arrow(wobble: float) -> Outline:
    shaft = 0.27 + 0.03 * wobble
    return ((((1.1, 0.0), (0.05, -0.9), (0.05, 0.9)), True), (_box(-1.0, -shaft, 0.1, shaft), True))


def _clover(wobble: float) -> Outline:
    reach = 0.56 + 0.04 * wobble
    lobes = ((0.0, -reach), (-0.87 * reach, 0.5 * reach), (0.87 * reach, 0.5 * reach))
    return tuple((_ellipse(u, v, 0.5), True) for u, v in lobes)


def _hourglass(wobble: float) -> Outline:
    waist = 0.14 + 0.04 * wobble
    left = ((-0.75, -1.0), (0.75, -1.0), (waist, 0.0), (0.75, 1.0), (-0.75, 1.0), (-waist, 0.0))
    return ((left, True),)


def _fish(wobble: float) -> Outline:
    tail = 0.6 + 0.08 * wobble
    return ((_ellipse(0.25, 0.0, 0.85, 0.56), True), (((-0.35, 0.0), (-1.1, -tail), (-1.1, tail)), True))


def _hook(wobble: float) -> Outline:
    thick = 0.58 + 0.05 * wobble
    return ((_box(-0.8, -0.95, -0.8 + thick, 0.95), True), (_box(-0.8, 0.95 - thick, 0.95, 0.95), True))


def _gear(wobble: float) -> Outline:
    tooth = 0.13 + 0.015 * wobble
    teeth = []
    for k in range(8):
        c, s = math.cos(math.pi * k / 4), math.sin(math.pi * k / 4)
        corners = _box(0.5, -tooth, 1.02, tooth)
        teeth.append((tuple((c * u - s * v, s * u + c * v) for u, v in corners), True))
    return ((_ellipse(0.0, 0.0, 0.74), True), *teeth)


def _mushroom(wobble: float) -> Outline:
    stem = 0.28 + 0.04 * wobble
    cap = tuple((u, min(v, 0.0)) for u, v in _ellipse(0.0, 0.0, 1.0, 0.9))
    return ((cap, True), (_box(-stem, -0.1, stem, 0.85), True))


def _dumbbell(wobble: float) -> Outline:
    bar = 0.2 + 0.03 * wobble
    ends = ((_ellipse(-0.68, 0.0, 0.46), True), (_ellipse(0.68, 0.0, 0.46), True))
    return (*ends, (_box(-0.7, -bar, 0.7, bar), True))


_FAMILIES: dict[str, Callable[[float], Outline]] = {
    "star": _star,
    "crescent": _crescent,
    "cross": _cross,
    "ring": _ring,
    "arrow": _arrow,
    "clover": _clover,
    "hourglass": _hourglass,
    "fish": _fish,
    "hook": _hook,
    "gear": _gear,
    "mushroom": _mushroom,
    "dumbbell": _dumbbell,
}

SILHOUETTES: tuple[str, ...] = tuple(_FAMILIES)


@lru_cache(maxsize=4096)
def outline(family: str, wobble: float) -> Outline:
    """The polygons of one instance, scaled and moved so that its area is 1 and its centroid 0.

    Args:
        family: One of ``SILHOUETTES``.
        wobble: The instance's shape in [-1, 1].
    """
    polygons = _FAMILIES[family](wobble)
    u0, v0, side = _frame(polygons)
    # Rounded, so that another libm's last digit of a cosine can't move a vertex.
    return tuple(
        (tuple((round((u - u0) / side, 6), round((v - v0) / side, 6)) for u, v in points), solid)
        for points, solid in polygons
    )


def _frame(polygons: Outline) -> tuple[float, float, float]:
    """Centroid (u, v) of a shape, and the side of a square of its area."""
    canvas = Image.new("L", (_RASTER, _RASTER), 0)
    step = _RASTER / 2.5
    paint(
        canvas,
        [
            ([(round((u + 1.25) * step), round((v + 1.25) * step)) for u, v in points], solid)
            for points, solid in polygons
        ],
    )
    samples = np.asarray(canvas)
    area = int(samples.sum())
    places = np.arange(_RASTER)
    u, v = (int(samples.sum(axis=axis) @ places) / area / step - 1.25 for axis in (0, 1))
    return u, v, math.sqrt(area) / step


def paint(canvas: Image.Image, polygons: Polygons) -> None:
    """Paints (1) and cuts (0) polygons, in order, on an "L" image."""
    pen = ImageDraw.Draw(canvas)
    for points, solid in polygons:
        pen.polygon(points, fill=int(solid))
