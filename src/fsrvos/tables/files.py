"""Tables as Markdown and LaTeX, runs as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from fsrvos.report import CONTROL_NAMES, table
from fsrvos.tables.build import Table
from fsrvos.tables.cells import PROTOCOLS, SCORES, Cell
from fsrvos.tables.rows import label_runs
from fsrvos.tables.runs import Run

NAMES = {"JF": "J&F"}
LATEX_NAMES = {"J": r"$\mathcal{J}$", "F": r"$\mathcal{F}$", "JF": r"$\mathcal{J}\&\mathcal{F}$"}
LATEX_ESCAPES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$", **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip
ABOUT = ("setting", "name", "group", "seed", "state", "started", "folder", "overrides", "reason")


def markdown(of: Table) -> str:
    """The table and its notes as GitHub-flavoured Markdown that ends in a newline."""
    header = [
        "setting",
        *(f"{NAMES.get(score, score)} {title}" for score in of.scores for title in of.columns),
    ]
    body = [[label, *(_text(cell, "missing") for cell in cells)] for label, cells in of.rows]
    parts = [f"{of.caption[0].upper()}{of.caption[1:]}.", table(header, body)]
    if of.notes:
        parts.append("\n".join(f"- {note}" for note in of.notes))
    return "\n\n".join(parts) + "\n"


def latex(of: Table) -> str:
    r"""The table as a ``tabular`` for the booktabs package, its caption and notes as comments."""
    block = len(of.columns)
    heads, rules = [], []
    for number, score in enumerate(of.scores):
        first = 2 + number * block
        heads.append(rf"\multicolumn{{{block}}}{{c}}{{{LATEX_NAMES[score]}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + block - 1}}}")
    titles = [title.capitalize() for _ in of.scores for title in of.columns]
    lines = [
        f"% {of.caption}. Needs \\usepackage{{booktabs}}.",
        rf"\begin{{tabular}}{{l{'c' * block * len(of.scores)}}}",
        r"\toprule",
        rf" & {' & '.join(heads)} \\",
        " ".join(rules),
        rf"Setting & {' & '.join(titles)} \\",
        r"\midrule",
        *(
            rf"{latex_text(label)} & {' & '.join(latex_text(_text(cell, '--')) for cell in cells)} \\"
            for label, cells in of.rows
        ),
        r"\bottomrule",
        r"\end{tabular}",
        *(f"% {' '.join(note.split())}" for note in of.notes),
    ]
    return "\n".join(lines) + "\n"


def latex_text(text: str) -> str:
    """Plain text for LaTeX."""
    return "".join(LATEX_ESCAPES.get(sign, sign) for sign in text)


def raw_csv(runs: Sequence[Run], rows: Sequence[str] | None = None) -> str:
    """All numbers of all runs, one row a run, also of those that do not count in the table.

    Args:
        runs: Those of the table.
        rows: What tells rows apart, see ``rows.label_runs``.

    Returns:
        CSV with a header: what the run is, then ``PROTOCOL_SCORE`` with ``_std`` over its test seeds, then
        ``CONTROL_PROTOCOL_SCORE``; empty where there is no number.
    """
    numbers: list[dict[str, float | None]] = [_numbers(run) for run in runs]
    keys = list(dict.fromkeys(key for row in numbers for key in row))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*ABOUT, *keys])
    for label, run, row in zip(label_runs(runs, rows), runs, numbers, strict=True):
        overrides = " ".join(f"{key}={value}" for key, value in run.settings.items())
        done = run.results is not None
        about = [label, run.name, run.group, run.seed, "done" if done else "missing", run.started, run.folder]
        writer.writerow([*about, overrides, "" if done else run.reason, *(row.get(key) for key in keys)])
    return file.getvalue()


def _numbers(run: Run) -> dict[str, float | None]:
    if run.results is None:
        return {}
    found: dict[str, float | None] = {"episodes": run.results["episodes"], "frames": run.results["frames"]}
    for protocol in PROTOCOLS:
        for score in SCORES:
            found[f"{protocol}_{score}"] = run.results[protocol][score]
            found[f"{protocol}_{score}_std"] = run.results[protocol].get(f"{score}_std")
    for control in CONTROL_NAMES:
        scores = run.results["controls"].get(control)
        for protocol in PROTOCOLS:
            for score in SCORES:
                found[f"{control}_{protocol}_{score}"] = scores and scores[protocol][score]
    return found


def _text(cell: Cell | None, missing: str) -> str:
    if cell is None:
        return missing
    return f"{cell.mean:.1f}" if cell.std is None else f"{cell.mean:.1f} ± {cell.std:.1f}"
