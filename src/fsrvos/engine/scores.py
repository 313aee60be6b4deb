"""From masks to numbers: one record per scored frame, and their means by both protocols.

Every process of an evaluation makes its own plain list of ``FrameScore``; the lists are concatenated and
``aggregate`` counts each frame once, so sampler padding and the number of processes cannot change a number.

    standard   native size, F bound 0.008; mean over frames, then over the (object, expression) pairs of a
               category, then over categories
    paper      short side 360, F bound 0.010; one mean over all frames

Both are taken seed by seed, then averaged over seeds. Scores leave here in percent.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from torch import Tensor
from torch.nn.functional import interpolate

from fsrvos.engine.metrics import contour_accuracy, region_similarity
from fsrvos.engine.results import Control, Results, Score, Scores
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
    )
    query = spec.query
    which = (condition, seed, spec.category, query.video, query.object_id, query.expression_id)
    rows = zip(query.frames, *(column.tolist() for column in columns), strict=True)
    return [FrameScore(*which, frame, kind, *scores) for frame, *scores in rows]


def aggregate(
    records: Iterable[FrameScore], *, experiment: str, group: int | None, seconds: float
) -> Results:
    """Turns the records of all processes, in any order, into results.

    Args:
        records: Frame scores; one that occurs twice is counted once.
        experiment: Name of the experiment.
        group: Held-out group, 1-4; None where the benchmark has none.
        seconds: Duration of the evaluation.

    Raises:
        ValueError: nothing was scored as "right", or a control was scored on an episode that was not.
    """
    by_condition = _grouped(count_once(records), lambda record: record.condition)
    right = by_condition.get("right", [])
    if not right:
        raise ValueError("no frame was scored with the right support and text")
    kinds = _grouped((record for record in right if record.kind), lambda record: record.kind)
    return Results(
        experiment=experiment,
        group=group,
        seeds=sorted({record.seed for record in right}),
        right=scores(right),
        controls={name: _control(by_condition[name], right) for name in CONTROLS if name in by_condition},
        per_category={k: scores(v) for k, v in _grouped(right, lambda record: record.category).items()},
        per_kind={k: scores(v) for k, v in kinds.items()},
        per_seed={k: scores(v) for k, v in _grouped(right, lambda record: record.seed).items()},
        seconds=seconds,
    )


def count_once(records: Iterable[FrameScore]) -> list[FrameScore]:
    """Sorts records, keeping one of each key; where copies disagree, the lowest, with one warning."""
    kept: dict[tuple[Any, ...], FrameScore] = {}
    disagreeing = 0
    for record in sorted(records):
        first = kept.setdefault(record.key, record)
        disagreeing += first != record
    if disagreeing:
        warnings.warn(f"{disagreeing} frames scored twice, differently: the lower score counts", stacklevel=2)
    return list(kept.values())


def scores(records: Sequence[FrameScore]) -> Scores:
    """Both protocols on records of one condition, each counted once."""
    seeds = _grouped(records, lambda record: record.seed).values()
    return Scores(
        standard=_over_seeds([_standard(of_seed) for of_seed in seeds]),
        paper=_over_seeds([_paper(of_seed) for of_seed in seeds]),
        episodes=len({record.episode for record in records}),
        frames=len(records),
    )


def _standard(records: Iterable[FrameScore]) -> tuple[float, float]:
    """Frames -> (object, expression) -> category -> mean, for one seed."""
    categories: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for episode, frames in _grouped(records, lambda record: record.episode).items():
        categories[episode[1]].append(_mean((record.J, record.F) for record in frames))
    return _mean(_mean(episodes) for episodes in categories.values())


def _paper(records: Iterable[FrameScore]) -> tuple[float, float]:
    """One mean over all frames, for one seed."""
    return _mean((record.paper_J, record.paper_F) for record in records)


def _control(disturbed: Sequence[FrameScore], right: Sequence[FrameScore]) -> Control:
    episodes = {record.episode for record in disturbed}
    same = [record for record in right if record.episode in episodes]
    if missing := episodes - {record.episode for record in same}:
        seed, category, video, object_id, expression_id = min(missing)
        raise ValueError(
            f"{disturbed[0].condition} was scored where right was not: seed {seed}, category {category}, "
            f"video {video}, object {object_id}, expression {expression_id}"
        )
    return Control(scores(disturbed), scores(same))


def _over_seeds(pairs: Sequence[tuple[float, float]]) -> Score:
    """(J, F) of each seed, in [0, 1] -> mean and sample standard deviation in percent."""
    columns = [[100 * J for J, _ in pairs], [100 * F for _, F in pairs], [50 * (J + F) for J, F in pairs]]
    spreads = [stdev(column) if len(column) > 1 else None for column in columns]
    return Score(*map(fmean, columns), *spreads)


def _mean(pairs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    first, second = zip(*pairs, strict=True)
    return fmean(first), fmean(second)


def _grouped(records: Iterable[FrameScore], key: Callable[[FrameScore], Any]) -> dict[Any, list[FrameScore]]:
    """Records by key, keys sorted."""
    groups: dict[Any, list[FrameScore]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return dict(sorted(groups.items()))
