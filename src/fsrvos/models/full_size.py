"""Mask logits at the size wanted (model.md section 10)."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from fsrvos.models.mask_head import STRIDE
from fsrvos.structures import Clip, Segmentation


def mask_logits(segmentation: Segmentation, clip: Clip, sizes: list[tuple[int, int]]) -> list[Tensor]:
    """Mask logits at the sizes wanted.

    Args:
        segmentation: Masks at stride 4 of the padded frames.
        clip: The clips that were segmented.
        sizes: (H, W) wanted for each clip.

    Returns:
        B tensors (T, H, W).
    """
    return [
        enlarged(real_cells(masks, (h, w)), size)
        for masks, (h, w), size in zip(segmentation.masks, clip.sizes.tolist(), sizes, strict=True)
    ]


def real_cells(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Cells (..., h, w) at stride 4 without those of the padding; ``size`` is that of the frames before padding."""
    return masks[..., : math.ceil(size[0] / STRIDE), : math.ceil(size[1] / STRIDE)]


def enlarged(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Logits (T, h, w) at another size, as (T, H, W) float32."""
    return F.interpolate(masks[:, None].float(), size, mode="bilinear", align_corners=False)[:, 0]
