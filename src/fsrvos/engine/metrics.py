"""Region similarity J and contour accuracy F: pure functions of masks, and the same as torchmetrics.

J is the intersection over union. F is the harmonic mean of boundary precision and recall, where a boundary
pixel counts as found when the other mask has a boundary pixel within ``ceil(bound * diagonal)`` pixels
(Perazzi et al., "A benchmark dataset and evaluation methodology for video object segmentation", CVPR 2016,
section 5). Both equal the official DAVIS code to the last digits (``benchmarks/metric_parity.py``).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchmetrics import Metric

# A device with its own memory takes many frames at once; the CPU one at a time, each cropped to its object.
DEVICE_FRAMES = 64


def region_similarity(prediction: Tensor, truth: Tensor) -> Tensor:
    """Intersection over union of masks; 1 where both are empty.

    Args:
        prediction: (..., H, W) bool.
        truth: (..., H, W) bool.

    Returns:
        (...,) float64 in [0, 1].

    Raises:
        ValueError: the two differ in shape or device, or are not bool masks of at least one pixel.
    """
    _check(prediction, truth)
    intersection, union = _area(prediction & truth), _area(prediction | truth)
    return torch.where(union > 0, intersection / union, 1.0)


def contour_accuracy(prediction: Tensor, truth: Tensor, bound: float = 0.008) -> Tensor:
    """Boundary F-measure of masks; 1 where neither has a boundary, 0 where one has none.

    A mask that fills the frame has no boundary, as in the official code: full against empty is 1.

    Args:
        prediction: (..., H, W) bool.
        truth: (..., H, W) bool.
        bound: Tolerance as a fraction of the frame's diagonal, in [0, 1).

    Returns:
        (...,) float64 in [0, 1].

    Raises:
        ValueError: as ``region_similarity``, or ``bound`` is out of range.
    """
    _check(prediction, truth)
    height, width = prediction.shape[-2:]
    radius = tolerance(height, width, bound)
    predictions, truths = prediction.reshape(-1, height, width), truth.reshape(-1, height, width)
    step = 1 if truth.device.type == "cpu" else DEVICE_FRAMES
    scores = [
        _contour_accuracy(some, same, radius)
        for some, same in zip(predictions.split(step), truths.split(step), strict=True)
    ]
    return torch.cat(scores).reshape(prediction.shape[:-2])


def tolerance(height: int, width: int, bound: float) -> int:
    """Radius in pixels of the disk that boundaries are dilated with: ``ceil(bound * diagonal)``."""
    if not 0 <= bound < 1:
        raise ValueError(f"bound must be a fraction of the frame's diagonal in [0, 1), got {bound}")
    return math.ceil(bound * math.sqrt(height**2 + width**2))


def boundaries(masks: Tensor) -> Tensor:
    """Pixels that differ from their right, lower or lower-right neighbour.

    The last row and column compare along themselves; the last corner is never a boundary.

    Args:
        masks: (..., H, W) bool.

    Returns:
        (..., H, W) bool.
    """
    edges = torch.zeros_like(masks)
    inner = masks[..., :-1, :-1]
    edges[..., :-1, :-1] = (
        (inner ^ masks[..., :-1, 1:]) | (inner ^ masks[..., 1:, :-1]) | (inner ^ masks[..., 1:, 1:])
    )
    edges[..., -1, :-1] = masks[..., -1, :-1] ^ masks[..., -1, 1:]
    edges[..., :-1, -1] = masks[..., :-1, -1] ^ masks[..., 1:, -1]
    return edges


def dilate(maps: Tensor, radius: int) -> Tensor:
    """Dilates with the disk ``x^2 + y^2 <= radius^2``.

    The disk is a stack of horizontal segments, so rows are widened step by step, from the disk's poles to its
    equator, and each width is or-ed in at the rows where the disk has it: some 4 * radius passes over flat
    memory. Margins of ``radius`` zeros keep what leaves one row from reaching the next.

    Args:
        maps: (..., H, W) bool.
        radius: Pixels, at least 0.

    Returns:
        (..., H, W) bool.
    """
    height, width = maps.shape[-2:]
    padded = pad(maps, (0, radius, radius, radius))
    stride, rows = padded.shape[-1], padded.flatten()
    dilated, count = torch.zeros_like(rows), rows.numel()
    half_width = 0
    for dy in range(radius, -1, -1):
        goal = math.isqrt(radius**2 - dy**2)
        while half_width < goal:
            # A segment shifted by at most its own length on both sides leaves no hole.
            shift = min(goal - half_width, 2 * half_width + 1)
            wider = rows.clone()
            wider[shift:] |= rows[:-shift]
            wider[:-shift] |= rows[shift:]
            rows, half_width = wider, half_width + shift
        offset = dy * stride
        dilated[offset:] |= rows[: count - offset]
        if dy:
            dilated[: count - offset] |= rows[offset:]
    return dilated.view(padded.shape)[..., radius : radius + height, :width]


class _MeanOverFrames(Metric):
    """Mean of a score over all frames seen, by every process."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def score(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """(..., H, W) bool twice -> (...,) float64."""
        raise NotImplementedError

    def update(self, prediction: Tensor, truth: Tensor) -> None:
        """Adds frames: two bool tensors (..., H, W)."""
        scores = self.score(prediction, truth)
        self.total += scores.sum()
        self.count += scores.numel()

    def compute(self) -> Tensor:
        """() float64 in [0, 1]; NaN before the first frame."""
        return self.total / self.count


class RegionSimilarity(_MeanOverFrames):
    """J, the mean over frames of ``region_similarity``. Arguments are those of every torchmetrics Metric."""

    def score(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """(..., H, W) bool twice -> (...,) float64."""
        return region_similarity(prediction, truth)


class ContourAccuracy(_MeanOverFrames):
    """F, the mean over frames of ``contour_accuracy``.

    Args:
        bound: Tolerance as a fraction of the frame's diagonal, in [0, 1).
        **kwargs: Those of every torchmetrics Metric.

    Raises:
        ValueError: ``bound`` is out of range.
    """

    def __init__(self, bound: float = 0.008, **kwargs: Any) -> None:
        tolerance(1, 1, bound)
        super().__init__(**kwargs)
        self.bound = bound

    def score(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """(..., H, W) bool twice -> (...,) float64."""
        return contour_accuracy(prediction, truth, self.bound)


def _contour_accuracy(predictions: Tensor, truths: Tensor, radius: int) -> Tensor:
    """(N, H, W) bool twice -> (N,) float64."""
    box = _box(predictions | truths)
    edges = boundaries(torch.stack([predictions[box], truths[box]]))
    total, hits = _area(edges), _area(edges & dilate(edges, radius).flip(0))
    precision, recall = hits / total.clamp(min=1)
    # Without a hit on one side there is none on the other, so the clamp only stands for 0 / 0.
    f_measure = 2 * precision * recall / (precision + recall).clamp(min=1e-12)
    return torch.where((total == 0).all(0), 1.0, f_measure)


def _box(masks: Tensor) -> tuple[slice, slice, slice]:
    """Slices of (N, H, W) to all that is set and one pixel around.

    Boundaries of the crop are those of the frame: its last row and column are empty or the frame's own.
    """
    union = masks[0] if len(masks) == 1 else masks.any(0)
    union = union.view(torch.uint8)
    rows, columns = union.amax(1).nonzero().flatten(), union.amax(0).nonzero().flatten()
    if not len(rows):
        return slice(None), slice(0, 1), slice(0, 1)
    top, bottom, left, right = torch.stack([rows[0], rows[-1], columns[0], columns[-1]]).tolist()
    return slice(None), slice(max(top - 1, 0), bottom + 2), slice(max(left - 1, 0), right + 2)


def _area(masks: Tensor) -> Tensor:
    """(..., H, W) bool -> (...,) float64; summed as int32, four times as fast as the default int64."""
    return masks.view(torch.uint8).sum((-2, -1), dtype=torch.int32).double()


def _check(prediction: Tensor, truth: Tensor) -> None:
    """Raises ValueError unless the two are bool masks of one shape on one device."""
    if prediction.shape != truth.shape or prediction.dtype != torch.bool or truth.dtype != torch.bool:
        raise ValueError(
            "prediction and truth must be bool masks (..., H, W) of one shape, "
            f"got {prediction.dtype} {tuple(prediction.shape)} and {truth.dtype} {tuple(truth.shape)}"
        )
    if prediction.dim() < 2 or 0 in prediction.shape[-2:]:
        raise ValueError(f"masks must be (..., H, W) with at least one pixel, got {tuple(prediction.shape)}")
    if prediction.device != truth.device:
        raise ValueError(
            f"prediction and truth must be on one device, got {prediction.device} and {truth.device}"
        )
