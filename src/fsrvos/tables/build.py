"""The two tables of a set of runs: scores, and scores under the controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fsrvos.report import CONTROL_NAMES
from fsrvos.tables.cells import Cell, column_titles, measure, row_cells
from fsrvos.tables.notes import notes_on
from fsrvos.tables.rows import by_row, label_runs, newest
from fsrvos.tables.runs import Run

CONDITIONS = {"right": "right", **CONTROL_NAMES, "right on wrong_text": "right, where wrong text"}


@dataclass(frozen=True)
class Table:
    """Cells by row, score and column; None is missing.

    Attributes:
        caption: What the numbers are.
        scores: Names of the scores, each with a block of columns.
        columns: Titles of the columns of a block.
        rows: Label and cells of each row, the blocks one after the other.
        notes: What one must know to read it.
    """

    caption: str
    scores: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    notes: tuple[str, ...] = ()


def score_table(
    runs: Sequence[Run],
    rows: Sequence[str] | None = None,
    protocol: str = "standard",
    scores: Sequence[str] = ("J", "F"),
) -> Table:
    """The table of a paper: groups and their mean, for each score.

    Args:
        runs: In any order; those without results are missing.
        rows: What tells rows apart, see ``rows.label_runs``.
        protocol: "standard" or "paper".
        scores: Of "J", "F", "JF".
    """
    kept, notes = newest(runs, label_runs(runs, rows))
    titles = column_titles([run for _, run in kept])
    made = [
        (label, _cells(of_row, titles, protocol, scores, "right")) for label, of_row in by_row(kept).items()
    ]
    caption = _caption(f"{protocol} protocol", made)
    return Table(caption, tuple(scores), titles, tuple(made), (*notes, *notes_on(kept)))


def control_table(
    runs: Sequence[Run],
    rows: Sequence[str] | None = None,
    protocol: str = "standard",
    scores: Sequence[str] = ("J", "F"),
) -> Table:
    """Every setting with the right support and text, under every control, and right on the episodes of wrong text.

    Args:
        runs: As for ``score_table``, which has the notes on them.
        rows: As there.
        protocol: As there.
        scores: As there.
    """
    kept, _ = newest(runs, label_runs(runs, rows))
    titles = column_titles([run for _, run in kept])
    made = []
    for label, of_row in by_row(kept).items():
        for condition, name in CONDITIONS.items():
            cells = _cells(of_row, titles, protocol, scores, condition)
            if condition == "right" or any(cells):
                made.append((f"{label}: {name}", cells))
    note = "right, where wrong text: right support and text on the episodes of wrong text, which have two objects"
    return Table(
        _caption(f"controls, {protocol} protocol", made), tuple(scores), titles, tuple(made), (note,)
    )


def _cells(
    runs: Sequence[Run], titles: Sequence[str], protocol: str, scores: Sequence[str], condition: str
) -> tuple[Cell | None, ...]:
    return tuple(
        one for score in scores for one in row_cells(runs, measure(protocol, score, condition), titles)
    )


def _caption(what: str, rows: Sequence[tuple[str, Sequence[Cell | None]]]) -> str:
    spread = any(one is not None and one.std is not None for _, cells in rows for one in cells)
    over = "; mean ± standard deviation over training seeds" if spread else ""
    return f"{what}, in percent, by the group held out{over}"
