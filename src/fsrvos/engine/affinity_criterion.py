"""Teaches the affinity directly: positions of the object match the support, and match it better than others'.

Ours, not the paper's: from a fresh start the losses of the decoder alone take very long to make the network
look at its support at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsrvos.engine.mask_losses import mask_losses
from fsrvos.engine.matcher import check_weights
from fsrvos.engine.processes import all_ranks, place
from fsrvos.ops.losses import sample_masks
from fsrvos.ops.precision import in_float32
from fsrvos.structures import Match, Targets

FIRST_STRIDE = 8
LEVELS = 2


class AffinityCriterion(nn.Module):
    """Losses on the matches at strides 8 and 16; coarser cells hold more than one object.

    Args:
        mask_weight: Weight of the focal loss of the match as a mask.
        dice_weight: Weight of its dice loss.
        contrast_weight: Weight of the contrast: every position of the object is to prefer the mean key of its own
            support over those of the other categories in the batch of all ranks (cross-entropy).
    """

    def __init__(
        self, mask_weight: float = 2.0, dice_weight: float = 2.0, contrast_weight: float = 1.0
    ) -> None:
        super().__init__()
        self.weights = {
            "match_mask": mask_weight,
            "match_dice": dice_weight,
            "match_contrast": contrast_weight,
        }
        check_weights(self.weights)

    def forward(
        self, matches: list[Match], targets: Targets, is_frame: Tensor, categories: Sequence[str] | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Sums over the batch.

        Args:
            matches: Levels, stride 8 first.
            targets: Truth.
            is_frame: (B, T) bool, False where a frame is padded whole.
            categories: Category of each episode; needed for the contrast.

        Returns:
            The weighted sum, and the terms before weighting.

        Raises:
            ValueError: A network without matches, or a contrast without categories.
        """
        if not matches:
            raise ValueError(
                "the affinity loss needs matches: set model.rest=true, or take criterion.affinity out (null)"
            )
        terms = {name: torch.zeros((), device=is_frame.device) for name in self.weights}
        for level, match in enumerate(matches[:LEVELS]):
            stride = FIRST_STRIDE * 2**level
            focal, dice = mask_losses(match.logits, targets.masks, is_frame, stride)
            terms["match_mask"] = terms["match_mask"] + focal / LEVELS
            terms["match_dice"] = terms["match_dice"] + dice / LEVELS
            if self.weights["match_contrast"] > 0:
                if categories is None:
                    raise ValueError("the contrast needs the categories of the episodes")
                contrast = _contrast(match, targets.masks, is_frame, stride, categories)
                terms["match_contrast"] = terms["match_contrast"] + contrast / LEVELS
        weighted = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return weighted, terms


def _contrast(
    match: Match, masks: Tensor, is_frame: Tensor, stride: int, categories: Sequence[str]
) -> Tensor:
    """Cross-entropy of own prototype against those of other categories, a sum over frames that show the object.

    Args:
        match: One level.
        masks: (B, T, H, W) bool, the object.
        is_frame: (B, T) bool.
        stride: Pixels per cell.
        categories: B names.
    """
    is_cell = is_frame[..., None, None]
    cells = sample_masks(masks, match.logits.shape[-2], match.logits.shape[-1], stride) & is_cell
    asked = match.asked.masked_fill(~is_cell[..., None], 0.0)
    with in_float32(asked.device):
        scores = torch.einsum("bthwc,kc->bthwk", asked, all_ranks(match.prototypes)) * asked.shape[-1] ** -0.5
    category = torch.tensor([_number(name) for name in categories], device=masks.device)
    everyone = all_ranks(category)
    own = torch.arange(len(category), device=masks.device) + place()[0] * len(category)
    # Another episode of the same category is neither right nor wrong.
    same = (category[:, None] == everyone) & (
        own[:, None] != torch.arange(len(everyone), device=masks.device)
    )
    scores = scores.masked_fill(same[:, None, None, None], torch.finfo(scores.dtype).min)
    labels = own[:, None, None, None].expand(cells.shape)
    losses = F.cross_entropy(scores.flatten(0, 3), labels.flatten(), reduction="none").view(cells.shape)
    return ((losses * cells).sum((-2, -1)) / cells.sum((-2, -1)).clamp(min=1)).sum()


def _number(name: str) -> int:
    """The same number of a category on every rank."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest())
