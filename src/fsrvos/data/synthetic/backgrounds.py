"""Muted textured backgrounds, drawn once per video on a canvas that the camera drifts over.

Greys and earths of low contrast: nothing on them looks like a saturated object with a sharp pattern.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Canvas = NDArray[np.uint8]


def _muted(rng: np.random.Generator, near: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """A colour close to grey, (3,); ``near`` another one when given."""
    if near is None:
        return rng.integers(85, 165) + rng.integers(-13, 14, size=3)
    return near + rng.integers(14, 30) * rng.choice([-1, 1]) + rng.integers(-8, 9, size=3)


def _noise(rng: np.random.Generator, height: int, width: int, cell: int) -> NDArray[np.int64]:
    """Smooth noise (height, width) in 0-255 whose blobs are about ``cell`` samples wide."""
    coarse = rng.integers(0, 256, size=(height // cell + 3, width // cell + 3)).astype(np.uint8)
    size = (coarse.shape[1] * cell, coarse.shape[0] * cell)
    smooth = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(smooth)[cell : cell + height, cell : cell + width].astype(np.int64)


def _blend(weight: NDArray[np.int64], one: NDArray[np.int64], two: NDArray[np.int64]) -> NDArray[np.int64]:
    """``one`` where ``weight`` (H, W) is 0, ``two`` where it is 255."""
    return (one * (255 - weight[..., None]) + two * weight[..., None]) // 255


def _clouds(rng: np.random.Generator, height: int, width: int) -> NDArray[np.int64]:
    one = _muted(rng)
    weight = (2 * _noise(rng, height, width, height // 4) + _noise(rng, height, width, height // 12)) // 3
    return _blend(weight, one, _muted(rng, one))


def _gradient(rng: np.random.Generator, height: int, width: int) -> NDArray[np.int64]:
    one = _muted(rng)
    y, x = np.arange(height)[:, None], np.arange(width)[None, :]
    a, b = rng.integers(-4, 5), rng.integers(2, 5)
    ramp = a * x + b * y
    ramp = (ramp - ramp.min()) * 255 // (ramp.max() - ramp.min())
    return _blend(ramp, one, _muted(rng, one))


def _tiles(rng: np.random.Generator, height: int, width: int) -> NDArray[np.int64]:
    side = int(rng.integers(height // 6, height // 3))
    y, x = np.arange(height)[:, None], np.arange(width)[None, :]
    shades = rng.integers(-10, 11, size=(height // side + 1, width // side + 1))
    shade = shades[y // side, x // side]
    grout = (y % side < 3) | (x % side < 3)
    return _muted(rng) + np.where(grout, -22, shade)[..., None]


def _planks(rng: np.random.Generator, height: int, width: int) -> NDArray[np.int64]:
    broad = int(rng.integers(height // 6, height // 3))
    shades = rng.integers(-14, 15, size=(height + width) // broad + 2)
    slope = int(rng.integers(0, 3))
    y, x = np.arange(height)[:, None], np.arange(width)[None, :]
    shade = (
        shades[(y + slope * x // 4) // broad] if rng.integers(2) else shades[(x + slope * y // 4) // broad]
    )
    return _muted(rng) + np.broadcast_to(shade, (height, width))[..., None]


def _gravel(rng: np.random.Generator, height: int, width: int) -> NDArray[np.int64]:
    one = _muted(rng)
    return _blend(_noise(rng, height, width, 6), one, _muted(rng, one))


_KINDS: dict[str, Callable[[np.random.Generator, int, int], NDArray[np.int64]]] = {
    "clouds": _clouds,
    "gradient": _gradient,
    "tiles": _tiles,
    "planks": _planks,
    "gravel": _gravel,
}

BACKGROUNDS: tuple[str, ...] = tuple(_KINDS)


def background(kind: str, seed: int, height: int, width: int) -> Canvas:
    """A textured canvas.

    Args:
        kind: One of ``BACKGROUNDS``.
        seed: Everything random about it.
        height: Rows.
        width: Columns.

    Returns:
        (height, width, 3) uint8.
    """
    rng = np.random.default_rng(seed)
    canvas = _KINDS[kind](rng, height, width)
    grain = _noise(rng, height, width, 4)[..., None] // 18 - 7
    return np.clip(canvas + grain, 0, 255).astype(np.uint8)
