"""The scores of single frames: J and F by both protocols, with all that says which frame it is.

standard   native size, F bound 0.008
paper      short side 360, F bound 0.010 (protocol.md section 4)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.functional import interpolate

from fsrvos.engine.metrics import contour_accuracy, region_similarity
from fsrvos.structures import EpisodeSpec

CONTROLS = ("wrong_support", "no_support", "wrong_text")
CONDITIONS = ("right", *CONTROLS)
STANDARD_BOUND, PAPER_BOUND, PAPER_SHORT_SIDE = 0.008, 0.010, 360


@dataclass(frozen=True, order=True)
class FrameScore:
    """The scores of one frame, in [0, 1], and all that says which frame it is.

    Attributes:
        condition: One of ``CONDITIONS``; a control keeps the ids of the episode that it disturbs.
        seed: Seed of the test run (it draws the support videos).
        category: Category of the query.
        video: Query video.
        object_id: Query object.
        expression_id: Query expression; under ``wrong_text`` the one that was replaced.
        frame: Frame name.
        kind: Kind of expression, where the data set tells.
        J: Standard protocol.
        F: Standard protocol.
        paper_J: Paper protocol.
        paper_F: Paper protocol.
        intersection: Pixels of prediction and truth, native size.
        union: Pixels of prediction or truth, native size.
        share: Share of the frame that the truth covers, in [0, 1].
    """

    condition: str
    seed: int
    category: str
    video: str
    object_id: str
    expression_id: str
    frame: str
    kind: str
    J: float
    F: float
    paper_J: float
    paper_F: float
    intersection: int
    union: int
    share: float

    @property
    def episode(self) -> tuple[int, str, str, str, str]:
        """What was asked, whatever the condition: (seed, category, video, object, expression)."""
        return self.seed, self.category, self.video, self.object_id, self.expression_id

    @property
    def key(self) -> tuple[Any, ...]:
        """What may be counted once only."""
        return self.condition, *self.episode, self.frame


def paper_size(height: int, width: int, short: int = PAPER_SHORT_SIDE) -> tuple[int, int]:
    """(height, width) with the short side at ``short``, the long one at ``int(short * long / short0)``."""
    if height <= width:
        return short, int(short * width / height)
    return int(short * height / width), short


def paper_truth(truth: Tensor) -> Tensor:
    """Truth as the paper protocol sees it: resized bilinearly, then above one half.

    Args:
        truth: (T, H0, W0) bool, native size.

    Returns:
        (T, h, w) bool, ``(h, w) = paper_size(H0, W0)``.
    """
    size = paper_size(*truth.shape[-2:])
    return interpolate(truth[:, None].float(), size, mode="bilinear", align_corners=False)[:, 0] > 0.5


def score_clip(
    spec: EpisodeSpec,
    prediction: Tensor,
    truth: Tensor,
    paper_prediction: Tensor,
    *,
    condition: str,
    seed: int,
    kind: str = "",
) -> list[FrameScore]:
    """Scores the frames of an episode, or of one window of it, by both protocols.

    Args:
        spec: The episode as drawn; ``spec.query.frames`` names the T frames given here.
        prediction: (T, H0, W0) bool, native size.
        truth: (T, H0, W0) bool, native size.
        paper_prediction: (T, h, w) bool, ``(h, w) = paper_size(H0, W0)``.
        condition: One of ``CONDITIONS``.
        seed: Seed of the test run.
        kind: Kind of expression, where the data set tells.

    Returns:
        T records.

    Raises:
        ValueError: shapes, number of frames or condition do not fit.
    """
    if condition not in CONDITIONS:
        raise ValueError(f"condition must be one of {', '.join(CONDITIONS)}, got {condition!r}")
    if len(spec.query.frames) != len(truth):
        raise ValueError(
            f"{spec.query.video}: {len(spec.query.frames)} frames named, {len(truth)} masks given"
        )
    resized = paper_truth(truth)
    columns = (
        region_similarity(prediction, truth),
        contour_accuracy(prediction, truth, STANDARD_BOUND),
        region_similarity(paper_prediction, resized),
        contour_accuracy(paper_prediction, resized, PAPER_BOUND),
        (prediction & truth).sum((-2, -1)),
        (prediction | truth).sum((-2, -1)),
        truth.double().mean((-2, -1)),
    )
    query = spec.query
    which = (condition, seed, spec.category, query.video, query.object_id, query.expression_id)
    rows = zip(query.frames, *(column.tolist() for column in columns), strict=True)
    return [FrameScore(*which, frame, kind, *scores) for frame, *scores in rows]
