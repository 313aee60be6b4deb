"""One picture of what a data set holds: categories in the colour of their group, object sizes, phrase lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from fsrvos.data.categories import NUM_GROUPS
from fsrvos.data.statistics import Row, Statistics, words_histogram

# Okabe and Ito's colours, which the colour-blind can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_GREY = "#5f6b7a"


def draw(statistics: Statistics) -> Any:
    """Draws the picture.

    Args:
        statistics: What to show; categories without videos are left out.

    Returns:
        A ``matplotlib.figure.Figure``, ready for ``savefig``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = {name: row.to_dict() for name, row in statistics.categories.items() if row.objects}
    colours = _colours_of(statistics)
    figure = Figure(figsize=(15, max(6.0, 2.0 + 0.24 * len(shown))), layout="constrained")
    FigureCanvasAgg(figure)
    halves: Any = figure.subfigures(1, 2, width_ratios=(1.55, 1))
    left, right = halves
    total = statistics.total.to_dict()
    figure.suptitle(
        f"{statistics.root.name}: {total['videos']:,} videos, {total['objects']:,} objects,"
        f" {total['expressions']:,} expressions, {total['frames']:,} frames",
        fontsize=13,
    )
    panels = left.subplots(1, 3, sharey=True)
    for axes, what in zip(panels, ("videos", "expressions", "frames"), strict=True):
        _category_bars(axes, shown, what, colours)
    right_panels = right.subplots(3, 1)
    _group_bars(right_panels[0], statistics)
    _size_histogram(right_panels[1], statistics, colours)
    _length_histogram(right_panels[2], statistics.total)
    return figure


def _colours_of(statistics: Statistics) -> dict[str, str]:
    """Colour of every category: that of its group."""
    if not statistics.groups:
        return dict.fromkeys(statistics.categories, _COLOURS[0])
    return {name: _COLOURS[n % NUM_GROUPS] for n, name in enumerate(statistics.categories)}


def _category_bars(axes: Any, shown: dict[str, dict[str, Any]], what: str, colours: dict[str, str]) -> None:
    names = list(shown)
    counts = [shown[name][what] for name in names]
    axes.barh(
        range(len(names)),
        counts,
        color=[colours[name] for name in names],
        height=0.75 if len(names) > 8 else 0.45,
    )
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.18 * max(counts))
    for place, number in enumerate(counts):
        axes.text(number, place, f" {number:,}", va="center", fontsize=7, color=_GREY)
    axes.set_title(f"{what} per category", fontsize=10)
    _tidy(axes, "x")


def _group_bars(axes: Any, statistics: Statistics) -> None:
    rows: dict[str, dict[str, Any]] = {f"group {g}": row.to_dict() for g, row in statistics.groups.items()}
    rows = rows or {"all": statistics.total.to_dict()}
    measures = ("videos", "objects", "expressions")
    width = 0.8 / len(rows)
    highest = max(row[what] for row in rows.values() for what in measures)
    for number, (name, row) in enumerate(rows.items()):
        places = np.arange(len(measures)) + (number - (len(rows) - 1) / 2) * width
        heights = [row[what] for what in measures]
        axes.bar(places, heights, 0.92 * width, label=name, color=_COLOURS[number % NUM_GROUPS])
        for place, height in zip(places, heights, strict=True):
            axes.text(place, height, f"{height:,}", ha="center", va="bottom", fontsize=7, color=_GREY)
    axes.set_xticks(range(len(measures)), measures)
    axes.set_ylim(0, 1.15 * highest)
    axes.set_title("held out by each group" if statistics.groups else "in all", fontsize=10)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    _tidy(axes, "y")


def _size_histogram(axes: Any, statistics: Statistics, colours: dict[str, str]) -> None:
    """Mean share of the frame of every object, stacked by group."""
    parts = list(statistics.groups.values()) or [statistics.total]
    sizes = [[100 * thing.size for thing in row.objects if thing.size] for row in parts]
    edges = np.geomspace(0.01, 100, 41)
    flat = [min(max(size, edges[0]), edges[-1]) for part in sizes for size in part]
    axes.hist(
        [np.clip(part, edges[0], edges[-1]) for part in sizes],
        edges,
        stacked=True,
        color=_COLOURS[: len(parts)],
    )
    axes.set_xscale("log")
    ticks = (0.01, 0.1, 1, 10, 100)
    axes.set_xticks(ticks, [f"{tick:g} %" for tick in ticks])
    if flat:
        middle = float(np.median(flat))
        axes.set_ylim(0, 1.2 * axes.get_ylim()[1])
        axes.axvline(middle, color=_GREY, linestyle="--", linewidth=1)
        axes.text(middle, 0.91 * axes.get_ylim()[1], f" median {middle:.1f} %", fontsize=8, color=_GREY)
    axes.set_title("object size, share of the frame (mean over its visible frames)", fontsize=10)
    axes.set_ylabel("objects", fontsize=9)
    _tidy(axes, "y")


def _length_histogram(axes: Any, row: Row) -> None:
    lengths = words_histogram(row)
    axes.bar(list(lengths), list(lengths.values()), width=0.85, color=_GREY)
    average = sum(words * number for words, number in lengths.items()) / sum(lengths.values())
    axes.axvline(average, color="black", linestyle="--", linewidth=1)
    axes.set_ylim(0, 1.15 * max(lengths.values()))
    axes.text(average, 1.07 * max(lengths.values()), f" mean {average:.1f}", fontsize=8, color=_GREY)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlim(0, max(lengths) + 1)
    axes.set_title("phrase length in words", fontsize=10)
    axes.set_ylabel("expressions", fontsize=9)
    _tidy(axes, "y")


def _tidy(axes: Any, counted: str) -> None:
    """Leaves the two axes that carry numbers, a light grid, and whole numbers on the counting one."""
    from matplotlib.ticker import MaxNLocator

    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=counted, color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    (axes.xaxis if counted == "x" else axes.yaxis).set_major_locator(MaxNLocator(5, integer=True))
