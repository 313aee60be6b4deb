"""How objects move: along one axis at constant speed, not at all, or out of the view and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOVES = ("left", "right", "up", "down", "still")
"""Motions that a phrase may name: their direction is the same in every frame."""

LEAVE = "leave"
"""Out of the view through its left or right side, and back; no phrase names it."""


@dataclass(frozen=True)
class Zone:
    """Where an object's path may lie, in pixels of the frame."""

    left: float
    top: float
    right: float
    bottom: float

    def spot(
        self, rng: np.random.Generator, margin: float, span_x: float, span_y: float
    ) -> tuple[float, float]:
        """The middle of a path that spans (span_x, span_y), ``margin`` from the border if it fits."""
        x = _between(rng, self.left + margin + span_x / 2, self.right - margin - span_x / 2)
        y = _between(rng, self.top + margin + span_y / 2, self.bottom - margin - span_y / 2)
        return x, y


@dataclass(frozen=True)
class Path:
    """Centres (x, y) in pixels and headings (1 right, -1 left), one per frame, before the camera's drift."""

    centres: tuple[tuple[float, float], ...]
    headings: tuple[int, ...]


def path(
    rng: np.random.Generator, motion: str, frames: int, size: tuple[int, int], margin: float, zone: Zone
) -> Path:
    """Draws a path.

    Args:
        rng: Everything random about it.
        motion: One of ``MOVES``, or ``LEAVE``.
        frames: Number of frames.
        size: Height and width of the frame in pixels.
        margin: Distance that centres keep from the zone's border, in pixels.
        zone: Where the path may lie.
    """
    height, width = size
    times = [t / (frames - 1) for t in range(frames)]
    if motion == LEAVE:
        return _leaving(rng, times, width, margin, zone)
    reach_x, reach_y = rng.uniform(0.34, 0.5) * width, rng.uniform(0.36, 0.5) * height
    dx = {"left": -reach_x, "right": reach_x}.get(motion, 0.0)
    dy = {"up": -reach_y, "down": reach_y}.get(motion, 0.0)
    x, y = zone.spot(rng, margin, abs(dx), abs(dy))
    heading = int(np.sign(dx)) or int(rng.choice([-1, 1]))
    centres = tuple((x + (t - 0.5) * dx, y + (t - 0.5) * dy) for t in times)
    return Path(centres, (heading,) * len(times))


def _leaving(rng: np.random.Generator, times: list[float], width: int, margin: float, zone: Zone) -> Path:
    """Out through the nearer side at constant speed, a while beyond it, and back the same way."""
    x, y = zone.spot(rng, margin, 0.0, 0.0)
    outwards = -1 if x < width / 2 else 1
    to_edge = (x if outwards < 0 else width - x) + 1.6 * margin
    turn = rng.uniform(0.42, 0.58)
    farthest = to_edge / rng.uniform(0.68, 0.78)  # the share of its way at which it is out of sight
    centres, headings = [], []
    for t in times:
        share = t / turn if t < turn else (1 - t) / (1 - turn)
        centres.append((x + outwards * farthest * share, y))
        headings.append(outwards if t < turn else -outwards)
    return Path(tuple(centres), tuple(headings))


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return rng.uniform(low, high) if low < high else (low + high) / 2
