"""Checks a whole data set: every JSON entry, every frame, every mask; lists all that is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fsrvos.data.annotation_checks import categories_of
from fsrvos.data.annotation_files import read_objects
from fsrvos.data.categories import NUM_GROUPS, held_out, training
from fsrvos.data.faults import Fault, fault, told
from fsrvos.data.json_files import read_json
from fsrvos.data.layout import Layout, checked
from fsrvos.data.parallel import check_workers, in_order
from fsrvos.data.split_checks import SplitChecks
from fsrvos.data.splits import DataSet, Split, find
from fsrvos.data.video_checks import VideoTask, check_video
from fsrvos.errors import UserError


@dataclass
class Validation:
    """What a check found.

    Attributes:
        root: The data set's own folder, or the JSON file.
        layout: "ytvos" or "sailvos"; None for a JSON file alone.
        splits: Names of the splits that are there.
        findings: All faults and warnings, in the order in which they were found.
        counts: How many videos, objects, expressions, frames and masks were read.
        categories: How many categories the data set names, and how many of them have the two videos of an episode.
        groups: Groups that can be trained and tested.
    """

    root: Path
    layout: str | None
    splits: list[str] = field(default_factory=list)
    findings: list[Fault] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    categories: tuple[int, int] | None = None
    groups: list[int] = field(default_factory=list)

    @property
    def faults(self) -> list[Fault]:
        """What stops training or teaches what is false."""
        return [found for found in self.findings if not found.is_warning]

    @property
    def warnings(self) -> list[Fault]:
        """What merely loses data."""
        return [found for found in self.findings if found.is_warning]


def validate(
    root: str | Path,
    layout: str = "auto",
    group: int | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Validation]:
    """Checks a data set, or a JSON file of one.

    Args:
        root: The data set, a folder that holds it, one of its splits, or one JSON file. A folder that has nothing but
            JSON files of the benchmark is checked file by file.
        layout: One of `fsrvos.data.splits.LAYOUTS`.
        group: Also require that this group, 1-4, can be trained and tested.
        workers: Processes; None for one per available core.
        progress: Told (videos done, videos in all) while frames and masks are decoded.

    Returns:
        What was found: of the data set, or of every file.

    Raises:
        UserError: If there is nothing to check.
    """
    check_workers(workers)
    if group is not None:
        held_out(group)  # refuses what is no group
    root = Path(root).expanduser()
    if root.is_file():
        return [_validate_file(root)]
    if not root.is_dir():
        raise UserError(f"{root}: no such folder or file; give the folder of a data set")
    found = find(root, layout)
    if found is not None:
        return [_validate_set(found, group, workers, progress)]
    files = [path for path in sorted(root.glob("*.json")) if _is_annotation_file(path)]
    if not files:
        raise UserError(
            f"{root}: no data set: neither meta_expressions/SPLIT/meta_expressions.json, SPLIT/meta.json nor"
            " SPLIT/JPEGImages is there or one folder deeper (docs/data.md shows the layouts)"
        )
    return [_validate_file(path) for path in files]


def _validate_set(
    found: DataSet, group: int | None, workers: int | None, progress: Callable[[int, int], None] | None
) -> Validation:
    result = Validation(found.root, found.layout, [split.name for split in found.splits])
    report = result.findings.append
    all_checks, tasks = [], []
    for split in found.splits:
        layout = _layout(found, split, result)
        categories: tuple[tuple[str, ...], frozenset[str]] | None = None
        with told(report):
            categories = categories_of(layout)
        checks = SplitChecks(split, layout, categories, report)
        checks.run()
        result.counts.update(checks.counts)
        tasks += checks.tasks
        all_checks.append(checks)
    _check_episodes(result, all_checks, group)
    _decode(result, tasks, workers, progress)
    return result


def _layout(found: DataSet, split: Split, result: Validation) -> Layout:
    def report(missing: Fault) -> None:
        kind = missing.kind if split.trains else "split-incomplete"
        result.findings.append(fault(kind, missing.file, missing.problem))

    return checked(found.layout, found.root, split.metas, split.expressions, split.folder, report)


def _check_episodes(result: Validation, all_checks: list[SplitChecks], group: int | None) -> None:
    """Whether there are categories with two videos: in all, and on both sides of a group."""
    if all(checks.without_ids for checks in all_checks):
        for checks in all_checks:
            if not checks.split.trains:
                checks.report(checks.no_ids_fault("no-object-ids"))
        return
    for checks in all_checks:
        if not checks.split.trains:
            if checks.without_ids:
                checks.report(checks.no_ids_fault("split-without-ids"))
            continue
        usable, names = checks.usable, checks.categories
        if usable is None or names is None:
            continue
        result.categories = len(names), len(usable)
        ready = [
            number
            for number in range(1, NUM_GROUPS + 1)
            if usable & set(held_out(number, names)) and usable & set(training(number, names))
        ]
        result.groups = ready if result.layout != "sailvos" else []
        if not usable:
            checks.report(
                fault("categories-few", checks.layout.meta, "no category has two videos with an expression")
            )
        elif group is not None and group not in ready:
            side, of_side = ("holds out", held_out(group, names))
            if usable & set(of_side):
                side, of_side = ("trains on", training(group, names))
            problem = (
                f"none of the categories that group {group} {side} ({', '.join(of_side)}) has two videos"
            )
            checks.report(fault("categories-few", checks.layout.meta, problem))


def _decode(
    result: Validation,
    tasks: list[VideoTask],
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    for done, checked_video in enumerate(in_order(check_video, tasks, workers), 1):
        result.findings += checked_video.faults
        result.counts["frames"] += checked_video.frames
        result.counts["masks"] += checked_video.masks
        if progress is not None:
            progress(done, len(tasks))


def _validate_file(path: Path) -> Validation:
    """Checks one JSON file; there are no frames to go with it."""
    result = Validation(path, None)
    report = result.findings.append
    kind = _kind_of_file(path)
    if kind == "objects":
        objects = read_objects(path, report)
        result.counts.update(videos=len(objects), objects=sum(map(len, objects.values())))
    elif kind == "expressions":
        SplitChecks.of_file(path, result.findings, result.counts)
    else:
        with told(report):
            read_json(path)
            raise UserError(
                f"{path}: neither a meta_expressions.json nor a meta.json: no video in it has"
                ' "expressions" or "objects"'
            )
    return result


def _is_annotation_file(path: Path) -> bool:
    return _kind_of_file(path) is not None


def _kind_of_file(path: Path) -> str | None:
    try:
        videos = read_json(path).get("videos")
    except UserError:
        return None
    entries = list(videos.values()) if isinstance(videos, dict) else []
    for kind in ("expressions", "objects"):
        if any(isinstance(entry, dict) and kind in entry for entry in entries):
            return kind
    return None
