"""Teaches a network that judges by the phrase which of its queries that is about (ours, not the paper's)."""

from __future__ import annotations

import torch
from torch import Tensor

from fsrvos.ops.losses import full_precision, mask_matching_costs, sample_masks
from fsrvos.structures import Prediction, Targets

COVERS = 0.5


def phrase_loss(
    layer: Prediction, targets: Targets, matched: Tensor, is_frame: Tensor, is_visible: Tensor
) -> Tensor:
    """Cross-entropy of the referred object among the queries, summed over the frames that show it.

    The matched query is about it, and so is every other one that covers it with a dice coefficient over the clip above
    one half: which of these the phrase prefers is all the same.

    Args:
        layer: One decoder layer.
        targets: Truth.
        matched: (B,) index of each clip's query.
        is_frame: (B, T) bool, False where a frame is padded whole.
        is_visible: (B, T) bool, frames that show the object.

    Raises:
        ValueError: A network that does not judge by the phrase.
    """
    if layer.fit is None:
        raise ValueError(
            "the phrase loss needs a network that judges by the phrase: set model.judge_by_phrase=true, or"
            " criterion.phrase_weight=0"
        )
    masks = sample_masks(targets.masks, *layer.masks.shape[-2:])
    with torch.no_grad():
        _, dice = mask_matching_costs(layer.masks, masks, is_frame)
    covers = -dice > COVERS
    covers[torch.arange(len(matched), device=matched.device), matched] = True
    fit = full_precision(layer.fit).masked_fill(~covers[:, None], -torch.inf)
    return -fit.logsumexp(-1).masked_fill(~is_visible, 0.0).sum()
