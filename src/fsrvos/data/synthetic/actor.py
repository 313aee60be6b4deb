"""One object of a scene: what it looks like, where it is in every frame, and how it is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fsrvos.data.synthetic.categories import Category
from fsrvos.data.synthetic.colors import COLORS, Rgb, ink
from fsrvos.data.synthetic.patterns import RIM, inked, tone
from fsrvos.data.synthetic.silhouettes import Polygons, outline, paint

SAMPLES = 4
"""Samples per pixel along each axis."""


@dataclass(frozen=True)
class Look:
    """What an instance looks like in all frames.

    Attributes:
        category: Its category (silhouette and pattern).
        color: A name of ``COLORS``.
        side: Side, in pixels, of a square of its area.
        stretch: Ratio by which it is longer and lower than its category, near 1; the area stays.
        wobble: The silhouette's own variation in [-1, 1].
    """

    category: Category
    color: str
    side: float
    stretch: float
    wobble: float

    @property
    def body(self) -> Rgb:
        """The colour itself."""
        return COLORS[self.color]

    @property
    def ink(self) -> Rgb:
        """The colour of the pattern drawn on it."""
        return ink(self.color, tone(self.category.pattern))

    @property
    def radius(self) -> float:
        """Distance in pixels from the centre to the farthest point, at any tilt."""
        points = [point for polygon, _ in outline(self.category.silhouette, self.wobble) for point in polygon]
        return self.side * max(math.hypot(u * self.stretch, v / self.stretch) for u, v in points)


@dataclass(frozen=True)
class Pose:
    """Where an instance is in one frame.

    Attributes:
        x: Centre in image pixels, pixel k covering [k, k + 1).
        y: The same, down.
        tilt: Turn in degrees against the heading, clockwise.
        heading: 1 when it faces right, -1 when it faces left (mirrored).
    """

    x: float
    y: float
    tilt: float
    heading: int


@dataclass(frozen=True)
class Patch:
    """An instance drawn in one frame, whole, whether or not it lies in the frame.

    Attributes:
        left: Image column of the patch's first column; may be negative.
        top: Image row of its first row.
        body: (h, w) uint8 samples of each pixel, out of SAMPLES ** 2, that show the colour.
        ink: (h, w) uint8 samples that show the ink.
    """

    left: int
    top: int
    body: NDArray[np.uint8]
    ink: NDArray[np.uint8]

    @property
    def solid(self) -> NDArray[np.bool_]:
        """(h, w) the pixels that are covered to at least one half: the mask when nothing hides it."""
        return (self.body + self.ink) * 2 >= SAMPLES**2


def draw(look: Look, pose: Pose) -> Patch:
    """Draws an instance with SAMPLES x SAMPLES samples a pixel."""
    reach = math.ceil(look.radius) + 1
    left, top = math.floor(pose.x) - reach, math.floor(pose.y) - reach
    pixels = 2 * reach + 1
    # Rounded, so that another libm's last digit can't move a sample.
    cos, sin = (round(f(math.radians(pose.tilt)), 6) for f in (math.cos, math.sin))
    along, across = look.side * look.stretch * pose.heading, look.side / look.stretch

    polygons: Polygons = []
    for points, solid in outline(look.category.silhouette, look.wobble):
        turned = [(cos * u * along - sin * v * across, sin * u * along + cos * v * across) for u, v in points]
        samples = [
            (math.floor((pose.x - left + x) * SAMPLES), math.floor((pose.y - top + y) * SAMPLES))
            for x, y in turned
        ]
        polygons.append((samples, solid))
    canvas = Image.new("L", (pixels * SAMPLES, pixels * SAMPLES), 0)
    paint(canvas, polygons)
    inside = np.asarray(canvas).astype(bool)

    centres = (np.arange(pixels * SAMPLES, dtype=np.float32) + np.float32(0.5)) / np.float32(SAMPLES)
    x, y = centres[None, :] + np.float32(left - pose.x), centres[:, None] + np.float32(top - pose.y)
    u = x * np.float32(cos / along) + y * np.float32(sin / along)
    v = y * np.float32(cos / across) - x * np.float32(sin / across)
    rim = max(1, round(RIM * look.side * SAMPLES))
    inky = inked(look.category.pattern, u, v, inside, rim)
    return Patch(left, top, body=_counts(inside & ~inky), ink=_counts(inky))


def _counts(samples: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(h * SAMPLES, w * SAMPLES) samples -> (h, w) how many of each pixel's are set."""
    height, width = samples.shape
    cells = samples.view(np.uint8).reshape(height // SAMPLES, SAMPLES, width)
    rows = cells.sum(axis=1, dtype=np.uint8)
    return rows.reshape(len(rows), -1, SAMPLES).sum(axis=2, dtype=np.uint8)
