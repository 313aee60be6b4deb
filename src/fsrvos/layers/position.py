"""Sine position features of pixels, words and boxes (model.md sections 3, 4, 6)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TEMPERATURE = 10_000.0
TWO_PI = 2 * math.pi
EPSILON = 1e-6


def sine_features(coordinates: Tensor, num_features: int) -> Tensor:
    """Expands angles into interleaved sines and cosines.

    Args:
        coordinates: (...) angles in radians.
        num_features: Even number F of features per coordinate.

    Returns:
        (..., F): feature i has frequency 1 / 10000^(2*(i//2)/F); even ones are sines, odd ones cosines.
    """
    index = torch.arange(num_features, device=coordinates.device, dtype=torch.float32)
    angles = coordinates[..., None] / TEMPERATURE ** (2 * (index // 2) / num_features)
    return torch.stack((angles[..., 0::2].sin(), angles[..., 1::2].cos()), dim=-1).flatten(-2)


def position_2d(padding_mask: Tensor, channels: int) -> Tensor:
    """Position of every cell, measured over the part that is not padded.

    Args:
        padding_mask: (..., h, w) bool.
        channels: C; half goes to y, then half to x.

    Returns:
        (..., C, h, w) float32.
    """
    real = (~padding_mask).float()
    y, x = real.cumsum(-2), real.cumsum(-1)
    y = (y - 0.5) / (y[..., -1:, :] + EPSILON) * TWO_PI
    x = (x - 0.5) / (x[..., :, -1:] + EPSILON) * TWO_PI
    features = torch.cat((sine_features(y, channels // 2), sine_features(x, channels // 2)), dim=-1)
    return features.movedim(-1, -3)


def position_1d(padding_mask: Tensor, channels: int) -> Tensor:
    """Position of every word: (B, L) bool -> (B, L, C)."""
    count = (~padding_mask).float().cumsum(-1)
    return sine_features(count / (count[..., -1:] + EPSILON) * TWO_PI, channels)


def position_of_boxes(boxes_cxcywh: Tensor, channels: int) -> Tensor:
    """Position of boxes in [0, 1]: (..., 4) cxcywh -> (..., 2C), C/2 features each of y, x, w, h."""
    features = sine_features(boxes_cxcywh * TWO_PI, channels // 2)
    return features[..., [1, 0, 2, 3], :].flatten(-2)
