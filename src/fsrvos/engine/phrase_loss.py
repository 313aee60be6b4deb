"""Teaches a network that judges by the phrase which object of a category that is about (ours, not the paper's)."""

from __future__ import annotations

import torch
from torch import Tensor

from fsrvos.ops.precision import full_precision
from fsrvos.structures import Targets


def phrase_loss(fit: Tensor, targets: Targets, is_frame: Tensor) -> Tensor:
    """Cross-entropy of the object that a phrase is about, among those of the category that a frame shows.

    Summed over the frames that show it, and over the clips: of a clip about which P phrases are known it is their mean.

    Args:
        fit: (P, T, 1 + K) how well the rivals' phrases fit the clips' own objects and their K rivals.
        targets: Truth, with rivals.
        is_frame: (B, T) bool, False where a frame is padded whole.

    Raises:
        ValueError: Targets without rivals.
    """
    if (rivals := targets.rivals) is None:
        raise ValueError("the phrase loss needs other objects to choose among: set data.rivals=1")
    owner, about = rivals.owner, rivals.about
    is_shown = torch.cat((targets.is_visible[..., None], rivals.masks.flatten(3).any(-1)), -1)[owner]
    share = full_precision(fit).masked_fill(~is_shown, torch.finfo(torch.float32).min).log_softmax(-1)
    place = about[:, None, None].expand(-1, fit.shape[1], 1)
    counts = is_shown.gather(2, place)[..., 0] & is_frame[owner]
    losses = -share.gather(2, place)[..., 0].masked_fill(~counts, 0.0).sum(1)
    return (losses / torch.bincount(owner, minlength=len(is_frame))[owner]).sum()
