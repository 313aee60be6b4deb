"""Focal and dice loss of masks, shared by decoder layers and affinity."""

from __future__ import annotations

import torch
from torch import Tensor

from fsrvos.ops.losses import dice_loss, mean_over_frames, sample_masks, sigmoid_focal_loss
from fsrvos.ops.precision import full_precision


def mask_losses(logits: Tensor, masks: Tensor, is_frame: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Focal loss (mean over a clip's cells) and dice (over a clip) of (B, T, h, w), summed over clips."""
    is_cell = is_frame[..., None, None]
    targets = sample_masks(masks, logits.shape[-2], logits.shape[-1], stride) & is_cell
    focal = sigmoid_focal_loss(full_precision(logits).masked_fill(~is_cell, 0.0), targets)
    no_object = torch.finfo(focal.dtype).min  # sigmoid 0: cells of no frame add nothing to the dice sums
    dice = dice_loss(full_precision(logits).masked_fill(~is_cell, no_object).flatten(1), targets.flatten(1))
    return mean_over_frames(focal.mean((-2, -1)), is_frame).sum(), dice.sum()
