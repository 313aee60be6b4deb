"""Ours, not the paper's: queries are judged by how well what they cover matches the support."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsrvos.structures import Match


class MatchJudge(nn.Module):
    """What the support says of a query's mask, as a term of its class logit.

    The match's probability is averaged over what the mask covers, and its logit scaled and shifted by two learned
    numbers. Masks and matches have losses of their own: no gradient flows into them from here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(())), nn.Parameter(torch.zeros(()))

    def forward(self, masks: Tensor, match: Match) -> Tensor:
        """Judges every query frame by frame.

        Args:
            masks: (B, T, Q, h, w) mask logits.
            match: The match at stride 8.

        Returns:
            (B, T, Q) terms of the class logits.
        """
        covered = masks.detach().sigmoid()
        found = match.logits.detach().sigmoid()
        found = F.interpolate(found, size=masks.shape[-2:], mode="bilinear", align_corners=False)
        inside = (covered * found[:, :, None]).sum((-2, -1)) / covered.sum((-2, -1)).clamp(min=1e-3)
        return self.scale * torch.logit(inside, eps=1e-4) + self.shift
