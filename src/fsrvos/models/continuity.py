"""Which query answers frame after frame, so that the answer does not jump from object to object.

The published system lets every window of a video choose for itself (model.md section 10), and ours every frame. On a
video that goes on, a choice is a path: every frame gives what its query is worth, and leaving the object costs.
"""

from __future__ import annotations

import torch
from torch import Tensor

NOWHERE = 1e-6


def choose_path(
    scores: Tensor,
    masks: Tensor,
    previous: Tensor | None,
    jump_cost: float,
    *,
    frame_by_frame: bool,
) -> Tensor:
    """The best path through the queries of a window.

    Its worth is the sum of its queries' scores, less ``jump_cost`` times how far each step leaves the object. A step
    to the query that overlaps most with where the object was leaves nothing; where none overlaps, nothing is known and
    nothing is charged. So an object that moves fast is no worse than one that rests.

    Args:
        scores: (T, Q) class probabilities.
        masks: (T, Q, h, w) bool.
        previous: (h, w) bool, the answer in the frame before the window; None at the start of a video.
        jump_cost: What a step to quite another object costs, as a sum of scores; 0: every choice is free.
        frame_by_frame: A query may differ from frame to frame; else one answers the whole window.

    Returns:
        (T,) int64, index of the query.
    """
    frames = len(scores)
    start = scores.new_zeros(scores.shape[1])
    if previous is not None:
        start = jump_cost * leaving(previous[None, None], masks[:1])[0, 0]
    if not frame_by_frame:
        return (scores.sum(0) - start).argmax().expand(frames)
    cost = jump_cost * leaving(masks[:-1], masks[1:])
    worth, came_from = scores[0] - start, []
    for frame in range(1, frames):
        best = (worth[:, None] - cost[frame - 1]).max(0)
        came_from.append(best.indices)
        worth = best.values + scores[frame]
    path = [worth.argmax()]
    for back in reversed(came_from):
        path.append(back[path[-1]])
    return torch.stack(path[::-1])


def leaving(before: Tensor, after: Tensor) -> Tensor:
    """How far a step from each mask to each mask of the next frame leaves the object, in [0, 1].

    Args:
        before: (T, P, h, w) bool.
        after: (T, Q, h, w) bool, of the frames after those.

    Returns:
        (T, P, Q): 0 to the one of largest IoU, 1 to one that does not overlap; all 0 where none overlaps.
    """
    first, second = before.flatten(2).float(), after.flatten(2).float()
    shared = first @ second.transpose(1, 2)
    union = first.sum(-1)[:, :, None] + second.sum(-1)[:, None] - shared
    overlap = shared / union.clamp(min=1)
    largest = overlap.amax(-1, keepdim=True)
    return torch.where(largest > NOWHERE, 1 - overlap / largest.clamp(min=NOWHERE), torch.zeros_like(overlap))
