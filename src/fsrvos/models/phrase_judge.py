"""Ours, not the paper's: queries are judged by whether what the phrase says is true of them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsrvos.layers.mlp import MLP
from fsrvos.models.features import Phrase

FARTHEST_STEP = 0.15  # of the frame's side from one frame to the next; beyond it a query changed objects
SUREST = 4.0  # nats that the phrase may take from a query
SEEN = 10  # colour (3), centre (2), area (1), velocity (2), speed along each axis (2)


class PhraseJudge(nn.Module):
    """Which query the phrase is about, and what that adds to the class logits.

    "Red", "on the left", "larger" and "moving up" are said of what anyone can measure on a mask: mean colour,
    place, area and velocity. Nothing else is read here, least of all what the category looks like, so what is learned
    of the words on some categories holds for all others. How well a phrase fits a query is the product of two learned
    vectors, one of what was said and one of what was measured; which of two objects it fits better depends on the
    difference of theirs.

    Masks and boxes have losses of their own, and so has this: no gradient flows from here into them, nor from the
    class logits into the fit.

    Args:
        channels: C, width of the words.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.describe = MLP(SEEN, channels, channels, 2)
        self.read = nn.Linear(channels, channels)
        self.weight = nn.Parameter(torch.ones(()))

    def forward(
        self, masks: Tensor, boxes: Tensor, frames: Tensor, padding_mask: Tensor, phrase: Phrase
    ) -> tuple[Tensor, Tensor]:
        """Judges the queries of every frame.

        Args:
            masks: (B, T, Q, h, w) mask logits.
            boxes: (B, T, Q, 4) cxcywh in [0, 1].
            frames: (B, T, 3, H, W) the frames themselves.
            padding_mask: (B, T, h, w) bool, at the masks' size.
            phrase: The clips' phrases.

        Returns:
            The log-probability of each query that the phrase is about it rather than about the frame's others, and the
            term of its class logit, both (B, T, Q). The term is 0 where the phrase prefers none.
        """
        seen = torch.cat((_colour(masks.detach(), frames, padding_mask), _geometry(boxes, padding_mask)), -1)
        is_word = (~phrase.padding_mask)[..., None]
        said = self.read(phrase.words).masked_fill(~is_word, 0.0).sum(1) / is_word.sum(1)
        fit = torch.einsum("btqc,bc->btq", self.describe(seen), said) * said.shape[-1] ** -0.5
        fit = fit.log_softmax(-1)
        surplus = fit.detach() + math.log(fit.shape[-1])
        return fit, self.weight * surplus.clamp(min=-SUREST)


def _colour(masks: Tensor, frames: Tensor, padding_mask: Tensor) -> Tensor:
    """Mean colour under every mask, weighed by its probability where that is above one half: (B, T, Q, 3)."""
    small = F.adaptive_avg_pool2d(frames.flatten(0, 1), (masks.shape[-2], masks.shape[-1])).unflatten(
        0, frames.shape[:2]
    )
    covered = masks.sigmoid().masked_fill(masks < 0, 0.0).masked_fill(padding_mask[:, :, None], 0.0)
    colours = torch.einsum("btqhw,btchw->btqc", covered, small)
    return colours / covered.sum((-2, -1)).clamp(min=1e-3)[..., None]


def _geometry(boxes: Tensor, padding_mask: Tensor) -> Tensor:
    """Place, area and velocity of every query, each brought to a range of about -1 to 1: (B, T, Q, 7)."""
    boxes = boxes.detach()
    centre, size = boxes[..., :2], boxes[..., 2:]
    is_frame = ~padding_mask.flatten(2).all(-1)
    steps = centre.diff(dim=1)
    is_step = (steps.abs() < FARTHEST_STEP).all(-1, keepdim=True) & (is_frame[:, 1:] & is_frame[:, :-1])[
        ..., None, None
    ]
    # A clip's mean: an object keeps its direction, and the error of single boxes averages out.
    velocity = steps.masked_fill(~is_step, 0.0).sum(1, keepdim=True) / is_step.sum(1, keepdim=True).clamp(
        min=1
    )
    velocity = 20 * velocity.expand_as(centre)
    area = size.clamp(min=1e-3).log().sum(-1, keepdim=True) + 3
    return torch.cat((4 * centre - 2, area, velocity, velocity.abs()), -1)
