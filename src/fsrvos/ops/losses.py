"""Focal and dice, as losses of the matched query and as costs of every query (model.md section 9)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fsrvos.ops.precision import full_precision

PAD_MULTIPLE = (
    32  # the largest stride of a backbone: frames may be padded to a multiple of it inside a network
)


def sigmoid_focal_loss(logits: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Focal loss of binary logits, element by element (Lin et al., ICCV 2017).

    Args:
        logits: (...) float.
        targets: (...) same shape, 0 or 1 or bool.
        alpha: Weight of positives; negatives weigh ``1 - alpha``.
        gamma: How much easy elements are played down.

    Returns:
        (...) unreduced.
    """
    targets = targets.to(logits.dtype)
    probability = logits.sigmoid()
    miss = (probability - targets).abs()  # one minus the probability of the truth
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return weight * miss**gamma * cross_entropy


def dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """One minus the dice coefficient of probabilities, smoothed by +1 above and below.

    Args:
        logits: (..., P) over P pixels, of one frame or of a whole clip.
        targets: (..., P) 0 or 1 or bool.

    Returns:
        (...) in [0, 1).
    """
    targets = targets.to(logits.dtype)
    probability = logits.sigmoid()
    shared = (probability * targets).sum(-1)
    return 1 - (2 * shared + 1) / (probability.sum(-1) + targets.sum(-1) + 1)


def class_matching_cost(logits: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """What it costs to call each query the referred object: focal loss as a positive minus as a negative.

    Args:
        logits: (...) class logits.
        alpha: As in the loss.
        gamma: As in the loss.

    Returns:
        (...) cost; the published ``log(p + 1e-8)`` keeps it within about +-14.
    """
    probability = logits.sigmoid()
    as_positive = -alpha * (1 - probability) ** gamma * (probability + 1e-8).log()
    as_negative = -(1 - alpha) * probability**gamma * (1 - probability + 1e-8).log()
    return as_positive - as_negative


def mask_matching_costs(
    logits: Tensor, targets: Tensor, is_frame: Tensor | None = None, alpha: float = 0.25, gamma: float = 2.0
) -> tuple[Tensor, Tensor]:
    """Focal and (negative) dice cost of every query's masks over a clip.

    The dice coefficient is one of the whole clip, not a mean over frames: the published matches show it, and
    it keeps an empty frame from deciding. One frame is worked on at a time and the target is never repeated
    over queries, so the peak is a few times (B, Q, h, w), not (B, T, Q, h, w).

    Args:
        logits: (B, T, Q, h, w) mask logits.
        targets: (B, T, h, w) 0 or 1 or bool.
        is_frame: (B, T) bool, False where there is no frame; every frame counts when None.
        alpha: Weight of positives in the focal cost.
        gamma: Exponent of the focal cost.

    Returns:
        Focal cost (B, Q), the mean over frames and cells, and dice cost (B, Q) in [-1, 0).
    """
    if is_frame is None:
        is_frame = torch.ones(logits.shape[:2], dtype=torch.bool, device=logits.device)
    focal, shared, total = [], [], []
    for t in range(logits.shape[1]):
        is_absent = ~is_frame[:, t, None, None]
        frame = full_precision(logits[:, t]).flatten(-2).masked_fill(is_absent, 0.0)
        target = targets[:, t, None].flatten(-2).to(frame.dtype).masked_fill(is_absent, 0.0)
        probability = frame.sigmoid().masked_fill(is_absent, 0.0)
        focal.append(sigmoid_focal_loss(frame, target.expand_as(frame), alpha, gamma).mean(-1))
        shared.append((probability * target).sum(-1))
        total.append(probability.sum(-1) + target.sum(-1))
    dice = (2 * torch.stack(shared).sum(0) + 1) / (torch.stack(total).sum(0) + 1)
    return mean_over_frames(torch.stack(focal, dim=1), is_frame), -dice


def mean_over_frames(values: Tensor, is_frame: Tensor) -> Tensor:
    """Mean over T of (B, T, ...), over the frames where ``is_frame`` (B, T) alone; zero if there are none."""
    weight = is_frame.to(values.dtype)
    weight = weight / weight.sum(1, keepdim=True).clamp(min=1)
    return (values * weight.reshape(*weight.shape, *[1] * (values.ndim - 2))).sum(1)


def sample_masks(masks: Tensor, height: int, width: int, stride: int = 4) -> Tensor:
    """Target masks at the centres of a network's cells: padded to a multiple of 32, every stride-th pixel.

    Frames that are padded already meet exactly. Frames whose size is no multiple of 32 give maps between
    ``ceil(H / stride)`` (nothing padded inside the network) and that of the padded frame; cells past the
    frame are background.

    Args:
        masks: (..., H, W) bool, padded as the frames are.
        height: Rows of the map the network made.
        width: Columns of it.
        stride: Pixels per cell.

    Returns:
        (..., height, width), of the same dtype.

    Raises:
        ValueError: The map cannot come from frames of this size.
    """
    for name, pixels, cells in (("height", masks.shape[-2], height), ("width", masks.shape[-1], width)):
        least, most = -(-pixels // stride), -(-pixels // PAD_MULTIPLE) * (PAD_MULTIPLE // stride)
        if not least <= cells <= most:
            allowed = f"{least}" if least == most else f"{least} to {most}"
            raise ValueError(
                f"mask logits of {name} {cells} do not fit target masks of {name} {pixels}: "
                f"stride {stride} gives {allowed}; pad the targets as the frames are padded"
            )
    sampled = masks[..., stride // 2 :: stride, stride // 2 :: stride]
    return F.pad(sampled, (0, width - sampled.shape[-1], 0, height - sampled.shape[-2]))
