"""Markdown, LaTeX, CSV and the plot say the same, and survive awkward names."""

import csv
import io
import re

import numpy as np
import pytest
from made_runs import made
from PIL import Image

from fsrvos.tables.build import Table, score_table
from fsrvos.tables.cells import Cell
from fsrvos.tables.files import latex, latex_text, markdown, raw_csv
from fsrvos.tables.plot import save_plot

AWKWARD = r"a_b & 50% of {x} | #1 $y ~z^2 \w <v>"


@pytest.fixture
def table():
    places = [(group, seed) for group in (1, 2, 3, 4) for seed in (0, 1)]
    runs = [made(10.0 * group, 2.0 * group, group=group, name=AWKWARD, seed=seed) for group, seed in places]
    return score_table([*runs, made(33.33, 44.44, group=2, name="b")])


def test_markdown(table):
    lines = markdown(table).splitlines()
    assert lines[0].startswith("Standard protocol, in percent")
    assert lines[0].endswith("over training seeds.")
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines
        if line.startswith("|")
    ]
    assert rows[0] == [
        "setting",
        *(f"{score} {title}" for score in "JF" for title in ("1", "2", "3", "4", "mean")),
    ]
    assert rows[2][0] == AWKWARD.replace("|", r"\|")
    assert rows[2][1:6] == ["10.0 ± 0.0", "20.0 ± 0.0", "30.0 ± 0.0", "40.0 ± 0.0", "25.0 ± 0.0"]
    assert rows[3] == [
        "b",
        "missing",
        "33.3",
        "missing",
        "missing",
        "missing",
        "missing",
        "44.4",
        *["missing"] * 3,
    ]
    assert lines[-1] == "- missing: b: no run of group 1, 3, 4"


def read_latex(text):
    """A tabular of this shape, read by hand: column specification, rows of cells, rules in order."""
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert re.fullmatch(r"\\begin\{tabular\}\{(l(c+))\}", body[0])
    assert body[-1] == r"\end{tabular}"
    rules = [
        line for line in body if line.startswith((r"\toprule", r"\midrule", r"\cmidrule", r"\bottomrule"))
    ]
    rows = [line for line in body[1:-1] if line not in rules]
    assert all(row.endswith(r" \\") for row in rows)
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)&", row.removesuffix(r" \\"))] for row in rows]
    return body[0].count("c", body[0].index("{l")), cells, rules


def test_latex(table):
    columns, rows, rules = read_latex(latex(table))
    assert columns == 10
    assert rows[0] == ["", r"\multicolumn{5}{c}{$\mathcal{J}$}", r"\multicolumn{5}{c}{$\mathcal{F}$}"]
    assert rows[1] == ["Setting", *["1", "2", "3", "4", "Mean"] * 2]
    assert rules == [r"\toprule", r"\cmidrule(lr){2-6} \cmidrule(lr){7-11}", r"\midrule", r"\bottomrule"]
    assert rows[2][0] == (
        r"a\_b \& 50\% of \{x\} \textbar{} \#1 \$y \textasciitilde{}z\textasciicircum{}2 \textbackslash{}w "
        r"\textless{}v\textgreater{}"
    )
    assert rows[2][1] == r"10.0 $\pm$ 0.0"
    assert rows[3] == ["b", "--", "33.3", "--", "--", "--", "--", "44.4", "--", "--", "--"]
    assert all(len(row) == 11 for row in rows[1:])
    # Outside of commands and math nothing is left that LaTeX would read as its own.
    plain = re.sub(r"\\(text\w+\{\}|[&%$#_{}])", "", latex_text(AWKWARD))
    assert not set(plain) & set(r"\{}$&#^_~%<>|")
    assert all(line.startswith("%") for line in latex(table).split(r"\end{tabular}")[1].strip().splitlines())


def test_csv_is_read_back():
    runs = [
        made(12.345678901, 2.5, seed=3, optim__lr="[1, 2]"),
        made(None, group=2, failure='said "no", twice'),
    ]
    first, second = csv.DictReader(io.StringIO(raw_csv(runs)))
    assert (first["group"], first["seed"], first["state"], first["overrides"]) == (
        "1",
        "3",
        "done",
        "optim.lr=[1, 2]",
    )
    assert float(first["standard_J"]) == 12.345678901
    assert float(first["paper_F"]) == 3.5
    assert float(first["wrong_text_standard_J"]) == pytest.approx(12.345678901 - 30)
    assert (first["standard_J_std"], first["reason"]) == ("", "")
    assert (second["state"], second["reason"], second["standard_J"]) == ("missing", 'said "no", twice', "")
    assert second["folder"] == "outputs/demo/2026-01-01_00-00-00_2_0"


def bar_heights(path, color):
    """Heights of the bars of a colour, left to right, in pixels."""
    with Image.open(path) as image:
        found = np.all(np.abs(np.asarray(image.convert("RGB")).astype(int) - color) < 12, axis=2)
    heights = found.sum(axis=0)
    # Neither the sample in the legend nor the word "missing" is so high.
    edges = np.flatnonzero(np.diff(np.concatenate([[0], heights > 24, [0]]).astype(int)))
    return [int(np.median(heights[start:end])) for start, end in edges.reshape(-1, 2) if end - start > 8]


def test_the_plot_draws_what_is_there(tmp_path):
    """One score: bars as high as their numbers, in proportion, and none where a cell is missing."""
    cells = (Cell(10.0), Cell(20.0), None, Cell(40.0), None)
    of = Table("made up", ("J",), ("1", "2", "3", "4", "mean"), (("only", cells),))
    save_plot(of, tmp_path / "plot.png")
    heights = bar_heights(tmp_path / "plot.png", (31, 119, 180))
    assert len(heights) == 3
    assert np.array(heights) / heights[2] == pytest.approx([0.25, 0.5, 1.0], abs=0.02)


def test_the_plot_of_nothing_but_missing(tmp_path):
    of = Table("made up", ("J", "F"), ("all",), (("only", (None, None)),))
    save_plot(of, tmp_path / "plot.png")
    assert bar_heights(tmp_path / "plot.png", (31, 119, 180)) == []
