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
from statistics import fmean, stdev
from typing import Any

from fsrvos.data.annotation_files import natural
from fsrvos.engine.frame_scores import CONTROLS, FrameScore
from fsrvos.engine.results import Control, Results, Score, Scores
from fsrvos.engine.statistics import (
    SIZES,
    THRESHOLDS,
    Statistics,
    decay,
    overall_iou,
    precision,
    recall,
    size_of,
)


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
    sizes = _by_size(right)
    return Results(
        experiment=experiment,
        group=group,
        seeds=sorted({record.seed for record in right}),
        right=scores(right),
        controls={name: _control(by_condition[name], right) for name in CONTROLS if name in by_condition},
        per_category={k: scores(v) for k, v in _grouped(right, lambda record: record.category).items()},
        per_kind={k: scores(v) for k, v in kinds.items()},
        per_size={size: scores(sizes[size]) for size in SIZES if size in sizes},
        per_seed={k: scores(v) for k, v in _grouped(right, lambda record: record.seed).items()},
        seconds=seconds,
        statistics=statistics(right),
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


def statistics(records: Sequence[FrameScore]) -> Statistics:
    """What papers report beside the mean, on records of one condition, each counted once."""
    seeds = _grouped(records, lambda record: record.seed).values()
    found = [_statistics(of_seed) for of_seed in seeds]
    mean = {name: 100 * fmean(of_seed[name] for of_seed in found) for name in found[0]}
    by_threshold = {str(threshold): mean.pop(f"P@{threshold}") for threshold in THRESHOLDS}
    return Statistics(**mean, precision=by_threshold)


def _statistics(records: Sequence[FrameScore]) -> dict[str, float]:
    """The fields of ``Statistics`` for one seed, in [0, 1], with P@THRESHOLD for each precision."""
    sequences = [
        sorted(frames, key=lambda record: natural(record.frame))
        for frames in _grouped(records, lambda record: record.episode).values()
    ]
    davis = {
        f"{measure}_{name}": fmean(
            of([getattr(record, measure) for record in frames]) for frames in sequences
        )
        for measure in ("J", "F")
        for name, of in (("recall", recall), ("decay", decay))
    }
    ious = [record.J for record in records]
    overall = overall_iou([record.intersection for record in records], [record.union for record in records])
    precisions = {f"P@{threshold}": precision(ious, threshold) for threshold in THRESHOLDS}
    return {**davis, "mean_IoU": fmean(ious), "overall_IoU": overall, **precisions}


def _by_size(records: Sequence[FrameScore]) -> dict[str, list[FrameScore]]:
    """Records by the mean size of the object in its episode."""
    episodes = _grouped(records, lambda record: record.episode)
    sizes = {episode: size_of([frame.share for frame in frames]) for episode, frames in episodes.items()}
    return _grouped(records, lambda record: sizes[record.episode])


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
