"""What papers report beside the mean: DAVIS' recall and decay, and the precision and IoUs of A2D and RefCOCO.

    J-recall, J-decay          of every sequence, an (object, expression); then the mean over sequences (Perazzi et al.,
    F-recall, F-decay          CVPR 2016, section 5.2)
    precision at 0.5 ... 0.9   share of frames whose IoU is above the threshold (Gavrilyuk et al., CVPR 2018, section 4)
    mean IoU                   mean of the IoU over frames
    overall IoU                all intersections over all unions, so that large objects weigh more

All at native size, seed by seed, then averaged over seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)

# COCO's bounds of small and large objects, 32^2 and 96^2 pixels, as shares of its usual frame of 640 x 480.
SMALL, LARGE = 32**2 / (640 * 480), 96**2 / (640 * 480)
SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class Statistics:
    """All in percent; ``precision`` by threshold, as text."""

    J_recall: float
    J_decay: float
    F_recall: float
    F_decay: float
    mean_IoU: float
    overall_IoU: float
    precision: dict[str, float]


def recall(values: Sequence[float], threshold: float = 0.5) -> float:
    """Share of a sequence's frames that score above a threshold, in [0, 1].

    Raises:
        ValueError: The sequence is empty.
    """
    return fmean(value > threshold for value in _filled(values))


def decay(values: Sequence[float]) -> float:
    """What a sequence loses from its first quarter to its last: the difference of their means, in [-1, 1].

    The quarters are those of the official code, which share their border frames.

    Raises:
        ValueError: The sequence is empty.
    """
    count = len(_filled(values))
    borders = (np.round(np.linspace(1, count, 5) + 1e-10) - 1).astype(int)
    first, last = values[borders[0] : borders[1] + 1], values[borders[3] : borders[4] + 1]
    return fmean(first) - fmean(last)


def precision(ious: Sequence[float], threshold: float) -> float:
    """Share of frames whose IoU is above a threshold, in [0, 1]."""
    return recall(ious, threshold)


def overall_iou(intersections: Sequence[int], unions: Sequence[int]) -> float:
    """All intersections over all unions, in [0, 1]; 1 where there is nothing to find and nothing was found."""
    union = sum(unions)
    return sum(intersections) / union if union else 1.0


def size_of(shares: Sequence[float]) -> str:
    """One of ``SIZES``, from the shares of the frames that an object covers; frames without it do not count.

    Bounds are those of COCO, taken relative to the frame: 1/300 and 3/100.
    """
    shown = [share for share in shares if share > 0]
    mean = fmean(shown) if shown else 0.0
    return SIZES[(mean >= SMALL) + (mean >= LARGE)]


def _filled(values: Sequence[float]) -> Sequence[float]:
    if not len(values):
        raise ValueError("a sequence needs at least one frame")
    return values
