"""Which row of a table a run belongs to, and which run counts where several claim one place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from fsrvos.tables.runs import Run, plain_name

Labelled = tuple[str, Run]
"""A run and the label of its row."""

# Keys that tell runs apart without being a setting: where they are in the table, where things lie, what is shown.
NO_SETTINGS = ("group", "seed", "name", "checkpoint", "device", "evaluate", "ckpt_path", "optimized_metric")
NO_SETTINGS_BELOW = ("hydra", "paths", "logger", "callbacks", "evaluation", "data.root", "data.num_workers")


def label_runs(runs: Sequence[Run], rows: Sequence[str] | None = None) -> list[str]:
    """The row that each run belongs to.

    Args:
        runs: All runs of the table.
        rows: What tells rows apart: "name", "variant" or any key of the config. None: the name, and the overrides
            that vary between the runs, apart from group and seed.

    Returns:
        One label a run.
    """
    if rows is not None:
        return [", ".join(value_in(run, key) for key in rows) for run in runs]
    varying = varying_settings(runs)
    labels = []
    for run in runs:
        told = [f"{key}={value_in(run, key)}" for key in varying]
        labels.append(", ".join([run.name, *(part for part in told if part != f"experiment={run.name}")]))
    return labels


def varying_settings(runs: Sequence[Run]) -> list[str]:
    """Overridden keys whose value differs between runs, in the order of the command lines."""
    keys = dict.fromkeys(key for run in runs for key in run.settings if _is_setting(key))
    return [key for key in keys if len({value_in(run, key) for run in runs}) > 1]


def newest(runs: Sequence[Run], labels: Sequence[str]) -> tuple[list[Labelled], list[str]]:
    """One run for each row, group and seed: the newest with results, else the newest.

    Returns:
        Labelled runs in the order given, and a note on every place that had several.
    """
    places: dict[tuple[str, int | None, int | None], list[Run]] = defaultdict(list)
    for label, run in zip(labels, runs, strict=True):
        places[label, run.group, run.seed].append(run)
    kept, notes = [], []
    for (label, group, seed), same in places.items():
        best = max(same, key=lambda run: (run.results is not None, run.started, str(run.folder)))
        kept.append((label, best))
        if len(same) > 1:
            others = ", ".join(str(run.folder) for run in same if run is not best)
            is_newest = best.started == max(run.started for run in same)
            which = "the newest" if is_newest else "the newest with results"
            where = name_place(label, group, seed)
            notes.append(f"{where}: {len(same)} runs, {which} counts: {best.folder}, not {others}")
    return kept, notes


def by_row(kept: Sequence[Labelled]) -> dict[str, list[Run]]:
    """Runs by the label of their row, in order."""
    rows: dict[str, list[Run]] = {}
    for label, run in kept:
        rows.setdefault(label, []).append(run)
    return rows


def value_in(run: Run, key: str) -> str:
    """What a key was in a run, as a row is told from others by it."""
    if key == "name":
        return run.name
    value = run.value("model.variant" if key == "variant" else key)
    if value is None:
        return f"no {key}"
    return plain_name(value, run.group, run.seed) if key == "experiment" else value


def name_place(label: str, group: int | None, seed: int | None) -> str:
    """Names a place in the table, such as ``smoke, group 2, seed 0``."""
    parts = [label]
    if group is not None:
        parts.append(f"group {group}")
    if seed is not None:
        parts.append(f"seed {seed}")
    return ", ".join(parts)


def _is_setting(key: str) -> bool:
    # A choice of a whole group, such as logger=csv, is a key without a dot.
    below = any(key == name or key.startswith((f"{name}.", f"{name}/")) for name in NO_SETTINGS_BELOW)
    return key not in NO_SETTINGS and not below
