"""Photometric distortion: brightness, contrast, saturation and hue as one affine map of the colours."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

BRIGHTNESS = 32 / 255  # the ranges of SSD, which the DETR family took over
CONTRAST = (0.5, 1.5)
SATURATION = (0.5, 1.5)
HUE_DEGREES = 18.0
_LUMA = np.array([0.299, 0.587, 0.114])


ColourMap = tuple[np.ndarray, np.ndarray]
"""``x -> matrix @ x + shift``: shift (3,) and matrix (3, 3)."""


def distort(frames: Tensor, colours: ColourMap) -> Tensor:
    """Applies a colour map to frames (..., 3, H, W) float in [0, 1]; the result is cut to [0, 1]."""
    shift, matrix = (torch.from_numpy(values).to(frames) for values in colours)
    return (matrix @ frames.flatten(-2)).add_(shift[:, None]).clamp_(0, 1).view_as(frames)


def colour_map(rng: np.random.Generator) -> ColourMap:
    """Draws one colour map.

    Each of the four happens with probability one half. A hue turn is a rotation about the grey axis rather
    than a shift in HSV, so that all four are one 3x3 matrix: exact for greys, and many times faster.
    Channels are never swapped, as some of the DETR family do: phrases name colours.
    """
    happens = rng.random(4) < 0.5
    brightness = rng.uniform(-BRIGHTNESS, BRIGHTNESS) if happens[0] else 0.0
    contrast = rng.uniform(*CONTRAST) if happens[1] else 1.0
    saturation = rng.uniform(*SATURATION) if happens[2] else 1.0
    degrees = rng.uniform(-HUE_DEGREES, HUE_DEGREES) if happens[3] else 0.0
    matrix = contrast * _hue_rotation(degrees) @ _saturation(saturation)
    return matrix @ np.full(3, brightness), matrix


def _saturation(factor: float) -> np.ndarray:
    return factor * np.eye(3) + (1 - factor) * np.tile(_LUMA, (3, 1))


def _hue_rotation(degrees: float) -> np.ndarray:
    """Rotates about the axis (1, 1, 1): greys stay, and so does R + G + B."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    return cosine * np.eye(3) + sine * cross + (1 - cosine) * np.full((3, 3), 1 / 3)
