"""From runs to cells: groups as columns, their mean last, training seeds as a spread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from fsrvos.tables.runs import Run

GROUPS = (1, 2, 3, 4)
SCORES = ("J", "F", "JF")
PROTOCOLS = ("standard", "paper")
Measure = Callable[[Run], float | None]


@dataclass(frozen=True)
class Cell:
    """Mean over training seeds, in percent, and their standard deviation (n - 1), None for a single seed."""

    mean: float
    std: float | None = None


def measure(protocol: str, score: str, condition: str = "right") -> Measure:
    """How to read one number from a run.

    Args:
        protocol: "standard" or "paper".
        score: "J", "F" or "JF".
        condition: "right", a control, or ``"right on CONTROL"``: the right support on the control's episodes.
    """
    control = condition.removeprefix("right on ")

    def read(run: Run) -> float | None:
        scores: Mapping | None = run.results
        if scores is not None and condition != "right":
            scores = scores["controls"].get(control)
            if scores is not None and control != condition:
                scores = scores["right_on_same"]
        return None if scores is None else scores[protocol][score]

    return read


def column_titles(runs: Sequence[Run]) -> tuple[str, ...]:
    """The columns of a score: the groups and their mean, and one for data without groups, if there are such runs."""
    grouped = ("1", "2", "3", "4", "mean") if any(run.group is not None for run in runs) else ()
    return (*grouped, *(("all",) if any(run.group is None and run.results for run in runs) else ()))


def row_cells(runs: Sequence[Run], read: Measure, titles: Sequence[str]) -> list[Cell | None]:
    """Cells of one row and score, by column.

    The mean is over groups within each seed, its spread over seeds. Where the groups were trained with different seeds
    it is the mean of the cells, without a spread. Where a group is missing there is no mean.

    Args:
        runs: Of the row, one for a group and seed.
        read: The score.
        titles: From ``column_titles``.
    """
    values: dict[int | None, dict[int | None, float]] = {group: {} for group in (*GROUPS, None)}
    for run in runs:
        value = read(run)
        if value is not None and run.group in values:
            values[run.group][run.seed] = value
    cells = {str(group): cell(list(values[group].values())) for group in GROUPS}
    cells |= {"mean": _mean([values[group] for group in GROUPS]), "all": cell(list(values[None].values()))}
    return [cells[title] for title in titles]


def cell(values: Sequence[float]) -> Cell | None:
    """Mean and spread; None without values."""
    if not values:
        return None
    return Cell(fmean(values), stdev(values) if len(values) > 1 else None)


def _mean(groups: Sequence[Mapping[int | None, float]]) -> Cell | None:
    if not all(groups):
        return None
    seeds = list(groups[0])
    if all(set(group) == set(seeds) for group in groups):
        return cell([fmean(group[seed] for group in groups) for seed in seeds])
    return Cell(fmean(fmean(group.values()) for group in groups))
