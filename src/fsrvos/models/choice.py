"""Which query answers a clip (model.md section 10), and the head that says so."""

from __future__ import annotations

import math

from torch import Tensor, nn

from fsrvos.structures import Prediction, Segmentation


def choose_queries(prediction: Prediction, is_frame: Tensor, *, frame_by_frame: bool) -> Segmentation:
    """Masks of the query that answers best.

    Args:
        prediction: Of the last decoder layer.
        is_frame: (B, T) bool, False where a frame is padded whole and so has no say.
        frame_by_frame: The best query of every frame, instead of one for the whole clip.
    """
    is_frame = is_frame[..., None]
    scores = prediction.logits.sigmoid().masked_fill(~is_frame, 0.0)
    count = is_frame.sum(1, keepdim=True).clamp(min=1)
    judged = scores if frame_by_frame else (scores.sum(1, keepdim=True) / count).expand_as(scores)
    best = judged.argmax(-1, keepdim=True)
    masks = prediction.masks.take_along_dim(best[..., None, None], 2)[:, :, 0]
    boxes = prediction.boxes.take_along_dim(best[..., None], 2)[:, :, 0]
    score = scores.take_along_dim(best, 2).sum((1, 2)) / count[:, 0, 0]
    return Segmentation(masks, boxes, score, best[..., 0])


def class_head(channels: int) -> nn.Linear:
    """Says at first that one query in a hundred is the referred object."""
    head = nn.Linear(channels, 1)
    nn.init.constant_(head.bias, -math.log(99))
    return head
