"""Ours, not the paper's: queries are judged by whether what the phrase says is true of them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsrvos.layers.mlp import MLP
from fsrvos.models.features import Phrase
from fsrvos.ops.precision import full_precision, in_float32

FARTHEST_STEP = 0.15  # from one frame to the next, in frame sides; what goes beyond changed objects
SUREST = 4.0  # nats that the phrase may take from a query
SEEN = 10  # colour (3), centre (2), area (1), velocity (2), speed along each axis (2)


class PhraseJudge(nn.Module):
    """Which query the phrase is about, and what that adds to the class logits.

    "Red", "on the left", "larger" and "moving up" are said of what anyone can measure on a mask: mean colour,
    place, area and velocity. Nothing else is read here, least of all what the category looks like, so what is learned
    of the words on some categories holds for all others. How well a phrase fits a query is the product of two learned
    vectors, one of what was said and one of what was measured; which of two objects it fits better depends on the
    difference of theirs.

    It is taught on true masks (``fit``, a loss of its own), so from the first step on; no gradient flows into it from
    the class logits, but into the weight of its term.

    Args:
        channels: C, width of the words.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.describe = MLP(SEEN, channels, channels, 2)
        self.read = nn.Linear(channels, channels)
        self.weight = nn.Parameter(torch.ones(()))

    def fit(
        self,
        coverage: Tensor,
        boxes: Tensor,
        frames: Tensor,
        padding_mask: Tensor,
        phrase: Phrase,
        owner: Tensor | None = None,
    ) -> Tensor:
        """How well phrases fit objects.

        Args:
            coverage: (B, T, K, h, w) how much of each cell an object covers, in [0, 1].
            boxes: (B, T, K, 4) cxcywh in [0, 1].
            frames: (B, T, 3, H, W) the frames themselves.
            padding_mask: (B, T, h, w) bool.
            phrase: P phrases.
            owner: (P,) the clip of each phrase; None where every clip has one, P = B.

        Returns:
            (P, T, K) unnormalised log-probabilities that a phrase is about an object.
        """
        with in_float32(frames.device):  # sums over pixels
            seen = torch.cat((_colour(coverage, frames, padding_mask), _geometry(boxes, padding_mask)), -1)
            described = self.describe(seen) if owner is None else self.describe(seen)[owner]
            is_word = (~phrase.padding_mask)[..., None]
            read = self.read(full_precision(phrase.words))
            said = read.masked_fill(~is_word, 0.0).sum(1) / is_word.sum(1)
            return torch.einsum("ptkc,pc->ptk", described, said) * said.shape[-1] ** -0.5

    def forward(
        self, masks: Tensor, boxes: Tensor, frames: Tensor, padding_mask: Tensor, phrase: Phrase
    ) -> Tensor:
        """Judges the queries of every frame against one another.

        Args:
            masks: (B, T, Q, h, w) mask logits.
            boxes, frames, padding_mask, phrase: As for ``fit``.

        Returns:
            (B, T, Q) terms of the class logits, 0 where the phrase prefers none.
        """
        with torch.no_grad():
            coverage = masks.sigmoid().masked_fill(masks < 0, 0.0)
            share = self.fit(coverage, boxes, frames, padding_mask, phrase).log_softmax(-1)
        return self.weight * (share + math.log(share.shape[-1])).clamp(min=-SUREST)


def _colour(coverage: Tensor, frames: Tensor, padding_mask: Tensor) -> Tensor:
    """Mean colour of what is covered: (B, T, K, 3)."""
    size = (coverage.shape[-2], coverage.shape[-1])
    cells = F.adaptive_avg_pool2d(frames.flatten(0, 1), size).unflatten(0, frames.shape[:2])
    coverage = coverage.masked_fill(padding_mask[:, :, None], 0.0)
    colours = torch.einsum("btkhw,btchw->btkc", coverage, cells)
    return colours / coverage.sum((-2, -1)).clamp(min=1e-3)[..., None]


def _geometry(boxes: Tensor, padding_mask: Tensor) -> Tensor:
    """Place, area and velocity, each brought to a range of about -1 to 1: (B, T, K, 7)."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    is_frame = ~padding_mask.flatten(2).all(-1)
    steps = centre.diff(dim=1)
    both = (is_frame[:, 1:] & is_frame[:, :-1])[..., None, None]
    is_step = (steps.abs() < FARTHEST_STEP).all(-1, keepdim=True) & both
    # A clip's mean: an object keeps its direction, and the error of single boxes averages out.
    count = is_step.sum(1, keepdim=True).clamp(min=1)
    velocity = 20 * (steps.masked_fill(~is_step, 0.0).sum(1, keepdim=True) / count).expand_as(centre)
    area = size.clamp(min=1e-3).log().sum(-1, keepdim=True) + 3
    return torch.cat((4 * centre - 2, area, velocity, velocity.abs()), -1)
