"""Tables from results: the one-line headline and the Markdown report of a results.json.

Both take the content of results.json (``fsrvos.engine.results.Results.to_dict``), so a report can be made
again from the file alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

CONTROL_NAMES = {"wrong_support": "wrong support", "no_support": "no support", "wrong_text": "wrong text"}
BREAKDOWNS = {
    "per_category": "category",
    "per_kind": "kind of expression",
    "per_size": "object size",
    "per_seed": "seed",
}
SCORE_HEADER = ("J", "F", "J&F")


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file whole or not at all: beside its place first, then renamed; folders are made.

    Args:
        path: The file; one that exists is replaced.
        write: Writes the content to an open binary file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            write(file)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def headline(results: Mapping[str, Any]) -> str:
    """One line, standard protocol, such as ``unseen categories: J 48.1 F 51.9 | wrong support J 30.2``."""
    parts = [f"unseen categories: J {results['standard']['J']:.1f} F {results['standard']['F']:.1f}"]
    for key, name in CONTROL_NAMES.items():
        if key in results["controls"]:
            parts.append(f"{name} J {results['controls'][key]['standard']['J']:.1f}")
    return " | ".join(parts)


def markdown(results: Mapping[str, Any]) -> str:
    """The report: headline with controls by both protocols, statistics, per category, kind, object size and seed.

    Args:
        results: The content of results.json.

    Returns:
        GitHub-flavoured Markdown that ends in a newline.
    """
    seeds = results["seeds"]
    group = "" if results["group"] is None else f", group {results['group']} held out"
    sections = [
        f"# {results['experiment']}{group}",
        f"{headline(results)}",
        f"{results['episodes']} test episodes, {results['frames']} frames, "
        f"{len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'} ({', '.join(map(str, seeds))}), "
        f"{results['seconds']:.0f} s. Scores in percent"
        + ("." if len(seeds) == 1 else ", mean ± standard deviation over seeds."),
        _main_table(results),
        "*standard*: native size, F within 0.8 % of the diagonal, mean over frames, then over (object, "
        "expression), then over categories. *paper*: short side 360, F within 1.0 %, mean over all frames.",
    ]
    if results["controls"]:
        sections += ["## Controls", _control_table(results["controls"])]
    if results.get("statistics"):  # those of before 2026-11-26 have none
        sections += ["## Statistics", *_statistics(results["statistics"])]
    for key, title in BREAKDOWNS.items():
        if results.get(key):
            sections += [f"## Per {title}", _breakdown(title, results[key])]
    return "\n\n".join(sections) + "\n"


def save_markdown(results: Mapping[str, Any], path: Path) -> None:
    """Writes ``markdown(results)``, whole or not at all."""
    replace_file(path, lambda file: file.write(markdown(results).encode()))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, aligned in its source too: the first column to the left, the others to the right."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(header))]
    lines = [
        [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        for row in cells
    ]
    lines.insert(1, ["-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _main_table(results: Mapping[str, Any]) -> str:
    rows = [("**right support, right text**", results)]
    rows += [(CONTROL_NAMES[key], scores) for key, scores in results["controls"].items()]
    header = ["support and text", *SCORE_HEADER, *(f"{name} (paper)" for name in SCORE_HEADER)]
    return table(header, [[name, *_cells(of["standard"]), *_cells(of["paper"])] for name, of in rows])


def _control_table(controls: Mapping[str, Any]) -> str:
    """Each control beside the right score on its own episodes: the drop is what the input was worth."""
    rows = []
    for key, control in controls.items():
        right, disturbed = control["right_on_same"]["standard"], control["standard"]
        row = [CONTROL_NAMES[key], str(control["episodes"])]
        for name in ("J", "F"):
            row += [_cell(right, name), _cell(disturbed, name), f"{right[name] - disturbed[name]:.1f}"]
        rows.append(row)
    header = ["control", "episodes", "J right", "J control", "drop", "F right", "F control", "drop"]
    return table(header, rows)


def _statistics(of: Mapping[str, Any]) -> list[str]:
    """DAVIS' statistics, then those of A2D and RefCOCO."""
    davis = table(
        ["measure", "recall", "decay"],
        [[name, f"{of[f'{name}_recall']:.1f}", f"{of[f'{name}_decay']:.1f}"] for name in ("J", "F")],
    )
    names = [*(f"P@{threshold}" for threshold in of["precision"]), "mean IoU", "overall IoU"]
    values = [*of["precision"].values(), of["mean_IoU"], of["overall_IoU"]]
    ious = table(["over frames", *names], [["percent", *(f"{value:.1f}" for value in values)]])
    words = (
        "*recall*: frames above 0.5. *decay*: what a sequence loses from its first quarter to its last. Both are means "
        "over (object, expression), as in DAVIS. *P@0.5*: frames whose IoU is above 0.5. *overall IoU*: all "
        "intersections over all unions."
    )
    return [davis, ious, words]


def _breakdown(title: str, parts: Mapping[str, Any]) -> str:
    header = [title, "episodes", *SCORE_HEADER, *(f"{name} (paper)" for name in SCORE_HEADER)]
    rows = [
        [name, str(part["episodes"]), *_cells(part), *_cells(part["paper"])] for name, part in parts.items()
    ]
    return table(header, rows)


def _cells(score: Mapping[str, Any]) -> list[str]:
    return [_cell(score, name) for name in ("J", "F", "JF")]


def _cell(score: Mapping[str, Any], name: str) -> str:
    spread = score.get(f"{name}_std")
    return f"{score[name]:.1f}" if spread is None else f"{score[name]:.1f} ± {spread:.1f}"
