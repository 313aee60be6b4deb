"""The eight surface patterns: where an object of the synthetic benchmark carries ink instead of its colour.

Every pattern is a function of body coordinates (u forward, v down; 1 is the side of a square of the object's
area), coarse enough to be seen on an object 25 pixels across. It uses only operations that IEEE 754 rounds
exactly, so every machine draws the same samples. Ink is dark or pale by pattern, never by instance.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Coordinates = NDArray[np.float32]
Samples = NDArray[np.bool_]

RIM = 0.09
"""Width of the dark rim, in sides of a square of the object's area."""


def _odd(cells: NDArray[np.floating]) -> Samples:
    return (np.floor(cells).astype(np.int32) & 1).astype(bool)


def _centred(x: Coordinates, period: float) -> Coordinates:
    """``x`` folded to [-period/2, period/2), zero where x is a multiple of ``period``."""
    cells = x / np.float32(period)
    return (cells - np.floor(cells + np.float32(0.5))) * np.float32(period)


def _bars(u: Coordinates, v: Coordinates) -> Samples:
    return np.abs(_centred(u, 0.38)) < 0.095


def _bands(u: Coordinates, v: Coordinates) -> Samples:
    return np.abs(_centred(v, 0.38)) < 0.095


def _dots(u: Coordinates, v: Coordinates) -> Samples:
    du, dv = _centred(u, 0.36), _centred(v, 0.36)
    return du * du + dv * dv < 0.118**2


def _checker(u: Coordinates, v: Coordinates) -> Samples:
    return _odd(u / np.float32(0.27)) ^ _odd(v / np.float32(0.27))


def _rings(u: Coordinates, v: Coordinates) -> Samples:
    return _odd(np.sqrt(u * u + v * v) / np.float32(0.14) + np.float32(1))


def _halves(u: Coordinates, v: Coordinates) -> Samples:
    return u > 0


def _lattice(u: Coordinates, v: Coordinates) -> Samples:
    return (np.abs(_centred(u + v, 0.46)) < 0.065) | (np.abs(_centred(u - v, 0.46)) < 0.065)


_INK: dict[str, tuple[str, Callable[[Coordinates, Coordinates], Samples] | None]] = {
    "rim": ("dark", None),
    "bars": ("dark", _bars),
    "bands": ("pale", _bands),
    "dots": ("pale", _dots),
    "checker": ("dark", _checker),
    "rings": ("pale", _rings),
    "halves": ("dark", _halves),
    "lattice": ("pale", _lattice),
}

PATTERNS: tuple[str, ...] = tuple(_INK)

DESCRIPTIONS: dict[str, str] = {
    "rim": "a dark rim",
    "bars": "dark stripes across the body",
    "bands": "pale stripes along the body",
    "dots": "pale dots",
    "checker": "a dark checker",
    "rings": "pale concentric rings",
    "halves": "a dark front half",
    "lattice": "a pale diagonal lattice",
}


def tone(pattern: str) -> str:
    """The ink of a pattern: ``"dark"`` or ``"pale"``."""
    return _INK[pattern][0]


def inked(pattern: str, u: Coordinates, v: Coordinates, inside: Samples, rim: int) -> Samples:
    """The samples of a body that carry ink.

    Args:
        pattern: One of ``PATTERNS``.
        u: (H, W) body coordinate of every sample, forward.
        v: (H, W) body coordinate, down.
        inside: (H, W) the samples of the body.
        rim: Width of the rim in samples.

    Returns:
        (H, W) bool, a subset of ``inside``.
    """
    rule = _INK[pattern][1]
    return inside & (~_eroded(inside, rim) if rule is None else rule(u, v))


def _eroded(inside: Samples, width: int) -> Samples:
    """``inside`` less everything within ``width`` samples of its border, by a square, axis after axis."""
    kept = inside
    for _ in range(2):
        reach = 0
        while reach < width:  # minima of minima: each step may triple the reach
            step = min(2 * reach + 1, width - reach)
            around = np.zeros_like(kept)
            around[step:-step] = kept[: -2 * step] & kept[2 * step :]
            kept = kept & around
            reach += step
        kept = kept.T
    return kept
