"""A table as bars: a panel a score, groups and mean side by side, the spread over training seeds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from fsrvos.report import replace_file
from fsrvos.tables.build import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {"JF": "J&F"}
WIDTH = 0.8  # of the bars of a column together


def save_plot(of: Table, path: Path) -> None:
    """Writes the plot as a PNG, whole or not at all.

    Args:
        of: The table.
        path: The file.
    """
    from matplotlib.figure import Figure  # takes a second, which no other command should pay

    rows = len(of.rows)
    inches = 2.2 + len(of.columns) * max(0.55, 0.22 * rows)
    figure = Figure(figsize=(inches * len(of.scores), 3.2 + 0.24 * rows), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(of.scores), squeeze=False)[0]
    for number, (panel, score) in enumerate(zip(panels, of.scores, strict=True)):
        _draw(panel, of, number)
        panel.set_ylabel(f"{NAMES.get(score, score)} (%)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", fontsize=8, frameon=False)
    figure.suptitle(of.caption, fontsize=9)
    replace_file(path, lambda file: figure.savefig(file, format="png"))


def _draw(panel: Axes, of: Table, number: int) -> None:
    block, width = len(of.columns), WIDTH / len(of.rows)
    top = max((cell.mean + (cell.std or 0) for _, cells in of.rows for cell in cells if cell), default=0)
    for row, (label, cells) in enumerate(of.rows):
        own = cells[number * block : (number + 1) * block]
        places = [column - WIDTH / 2 + (row + 0.5) * width for column in range(block)]
        color = f"C{row % 10}"
        panel.bar(
            places,
            [cell.mean if cell else 0 for cell in own],
            0.92 * width,
            yerr=[cell.std if cell and cell.std is not None else math.nan for cell in own],
            color=color,
            error_kw={"elinewidth": 1, "capsize": 2, "ecolor": "0.25"},
            label=label,
        )
        for x, cell in zip(places, own, strict=True):
            if cell is None:
                panel.text(
                    x, 0.01 * top, "missing", rotation=90, ha="center", va="bottom", fontsize=7, color=color
                )
    named = [f"group {title}" if title.isdigit() else title for title in of.columns]
    panel.set_xticks(range(block), named, fontsize=8)
    panel.set_ylim(0, 1.1 * top or 1)
    if "mean" in of.columns:
        panel.axvline(of.columns.index("mean") - 0.5, color="0.8", linewidth=0.8)
    panel.spines[["top", "right"]].set_visible(False)
