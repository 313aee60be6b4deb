"""Boxes: the two formats, boxes of masks, generalized IoU (``...`` is any number of leading axes)."""

from __future__ import annotations

import torch
from torch import Tensor


def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """Turns centres and sizes (..., 4) into left, top, right, bottom (..., 4)."""
    _check_boxes(boxes)
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - 0.5 * size, centre + 0.5 * size], dim=-1)


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """Turns left, top, right, bottom (..., 4) into centres and sizes (..., 4)."""
    _check_boxes(boxes)
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([0.5 * (low + high), high - low], dim=-1)


def boxes_from_masks(masks: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Boxes of the extent of masks, as the published targets have them.

    The extent is last minus first pixel index, so one pixel less than the covered width: an object of one
    pixel has a box of size zero at that pixel.

    Args:
        masks: (..., H, W) bool or numeric, nonzero on the object, padded at the bottom and right at most.
        size: Height and width before padding, in pixels; (H, W) when None.

    Returns:
        (..., 4) float32 cxcywh over ``size``; zeros where the mask is empty.

    Raises:
        ValueError: Fewer than two axes, or a size that is not within the mask's.
    """
    if masks.ndim < 2 or 0 in masks.shape[-2:]:
        raise ValueError(f"masks must be (..., H, W) with at least one pixel, got {tuple(masks.shape)}")
    full_height, full_width = masks.shape[-2:]
    height, width = (full_height, full_width) if size is None else size
    if not (0 < height <= full_height and 0 < width <= full_width):
        raise ValueError(
            f"size before padding must lie within the masks' {full_height}x{full_width}, got {height}x{width}"
        )
    occupied = masks != 0
    is_visible = occupied.flatten(-2).any(-1)
    top, bottom = _extent(occupied.any(-1))
    left, right = _extent(occupied.any(-2))
    corners = torch.stack([left / width, top / height, right / width, bottom / height], dim=-1)
    return xyxy_to_cxcywh(corners) * is_visible[..., None]


def generalized_iou(boxes: Tensor, others: Tensor, eps: float = 1e-6) -> Tensor:
    """Generalized IoU of boxes and others, one by one, with broadcasting (Rezatofighi et al., CVPR 2019).

    ``eps`` is added to the union and to the hull where they divide, as in the published code, so that two
    boxes without area give 0 and not 0 / 0. Pairs come from broadcasting: ``(n, 1, 4)`` with ``(m, 4)``.

    Args:
        boxes: (..., 4) xyxy.
        others: (..., 4) xyxy.
        eps: What is added to both denominators.

    Returns:
        (...) in (-1, 1].
    """
    _check_boxes(boxes)
    _check_boxes(others)
    overlap = _area(
        torch.maximum(boxes[..., :2], others[..., :2]), torch.minimum(boxes[..., 2:], others[..., 2:])
    )
    hull = _area(
        torch.minimum(boxes[..., :2], others[..., :2]), torch.maximum(boxes[..., 2:], others[..., 2:])
    )
    union = _area(boxes[..., :2], boxes[..., 2:]) + _area(others[..., :2], others[..., 2:]) - overlap
    return overlap / (union + eps) - (hull - union) / (hull + eps)


def _area(low: Tensor, high: Tensor) -> Tensor:
    """Area between two corners (..., 2), zero where they cross."""
    return (high - low).clamp(min=0).prod(-1)


def _extent(line: Tensor) -> tuple[Tensor, Tensor]:
    """First and last true index of (..., N), as float32; 0 and N - 1 where there is none."""
    first = line.int().argmax(-1)
    last = line.shape[-1] - 1 - line.flip(-1).int().argmax(-1)
    return first.float(), last.float()


def _check_boxes(boxes: Tensor) -> None:
    if boxes.ndim == 0 or boxes.shape[-1] != 4:
        raise ValueError(f"boxes must be (..., 4), got {tuple(boxes.shape)}")
