"""What one must know to read a table: what is missing and why, what is mixed, what is not comparable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePath

from fsrvos.tables.cells import GROUPS
from fsrvos.tables.rows import Labelled, by_row, name_place, value_in, varying_settings
from fsrvos.tables.runs import Run

TEST_SETTINGS = (
    "root", "layout", "data_seed", "videos_per_category", "video_frames", "video_size", "window", "support_frames",
    "support_clips", "max_test_per_category", "test_seeds", "test_transform",
)  # fmt: skip


def notes_on(kept: Sequence[Labelled]) -> list[str]:
    """All notes on the runs of a table."""
    return [*missing(kept), *mixed(kept), *uneven(kept), *not_comparable(kept)]


def missing(kept: Sequence[Labelled]) -> list[str]:
    """A note on every run without results, and on the groups of every row that have no run."""
    notes = [
        f"missing: {name_place(label, run.group, run.seed)}: {run.reason} ({run.folder})"
        for label, run in kept
        if run.results is None
    ]
    for label, runs in by_row(kept).items():
        groups = {run.group for run in runs}
        absent = [group for group in GROUPS if group not in groups]
        if absent and groups != {None}:
            notes.append(f"missing: {label}: no run of group {_listed(absent)}")
    return notes


def mixed(kept: Sequence[Labelled]) -> list[str]:
    """A note on every row whose runs differ in more than group and seed."""
    return [
        f"{label} mixes settings: {key} is {_listed(sorted({value_in(run, key) for run in runs}))}"
        for label, runs in by_row(kept).items()
        for key in varying_settings(runs)
    ]


def uneven(kept: Sequence[Labelled]) -> list[str]:
    """A note on every row whose groups were trained with different seeds."""
    notes = []
    for label, runs in by_row(kept).items():
        seeds: dict[int, list[int]] = defaultdict(list)
        for run in runs:
            if run.results is not None and run.group is not None and run.seed is not None:
                seeds[run.group].append(run.seed)
        if len({tuple(sorted(of)) for of in seeds.values()}) > 1:
            told = "; ".join(f"group {group}: {_listed(sorted(of))}" for group, of in sorted(seeds.items()))
            notes.append(f"{label}: the groups have different seeds, so their mean has no spread ({told})")
    return notes


def not_comparable(kept: Sequence[Labelled]) -> list[str]:
    """A note on every setting of data and test that differs between runs with results."""
    scored = [(label, run) for label, run in kept if run.results is not None and "data" in run.config]
    notes = []
    for key in TEST_SETTINGS:
        values: dict[str, dict[str, None]] = defaultdict(dict)
        for label, run in scored:
            values[_setting_of_test(run, key)][label] = None
        if len(values) > 1:
            told = "; ".join(f"{value} in {' | '.join(labels)}" for value, labels in values.items())
            notes.append(f"not comparable: data.{key} is {told}")
    return notes


def _setting_of_test(run: Run, key: str) -> str:
    value = run.config["data"].get(key, "not set")
    # The same data may lie elsewhere on another machine.
    return PurePath(str(value)).name if key == "root" else str(value)


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
