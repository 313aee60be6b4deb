"""The published rule for resized sizes, and the resizing of a clip with its masks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F


def resized_size(
    height: int, width: int, short_side: int, max_long_side: int | None = None
) -> tuple[int, int]:
    """Returns (height, width) of a frame whose short side becomes ``short_side``.

    The long side is ``int(short_side * long / short)``. Where that exceeds ``max_long_side`` the short side
    becomes ``round(max_long_side * short / long)`` first. (torchvision rounds otherwise, at times by a pixel;
    and at extreme shapes the published rule exceeds the maximum by one pixel, which is cut here.)
    """
    short, long = min(height, width), max(height, width)
    if max_long_side is not None and short_side * long / short > max_long_side:
        short_side = max(1, round(max_long_side * short / long))
    new_long = int(short_side * long / short)
    if max_long_side is not None:
        new_long = max(short_side, min(new_long, max_long_side))
    return (short_side, new_long) if height <= width else (new_long, short_side)


def resize(frames: Tensor, masks: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Resizes frames (T, 3, H, W) uint8, antialiased bilinear, and masks (T, H, W) bool, nearest pixel."""
    if tuple(masks.shape[-2:]) == size:
        return frames, masks
    # "nearest-exact" samples pixel centres, as the frames' bilinear does; "nearest" would shift the masks.
    masks = interpolate(masks[:, None].view(torch.uint8), size=size, mode="nearest-exact")[:, 0]
    return resize_frames(frames, size), masks.view(torch.bool)


def nearest_pixels(side: int, resized_side: int) -> Tensor:
    """Which of ``side`` pixels each of ``resized_side`` shows when `resize` resizes a mask: (resized_side,) int64."""
    places = torch.arange(side, dtype=torch.float64).view(1, 1, side)
    return interpolate(places, size=resized_side, mode="nearest-exact").flatten().long()


def resize_frames(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes frames (T, 3, H, W) uint8, antialiased bilinear."""
    if tuple(frames.shape[-2:]) == size:
        return frames
    return F.resize(frames, list(size), interpolation=InterpolationMode.BILINEAR, antialias=True)
