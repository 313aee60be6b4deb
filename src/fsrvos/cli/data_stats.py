"""``fsrvos-data stats``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from fsrvos.cli.video_bar import video_bar
from fsrvos.data.splits import LAYOUTS
from fsrvos.data.statistics import Statistics, count
from fsrvos.data.statistics_plot import draw
from fsrvos.report import replace_file, table

_DESCRIPTION = """\
Counts what episodes can use of a data set's train split: objects of its
categories that an expression refers to and that are visible in a frame or
more. Per category and per group that is held out: videos, objects,
expressions, frames of those videos, object size (share of the frame, mean
over the frames whose mask shows it), words per expression.

A video counts for each category it shows, and once in the total. A data set
with faults is refused; `fsrvos-data validate` lists them.
"""


def add(commands: Any) -> None:
    """Adds the command to those of ``fsrvos-data``."""
    parser = commands.add_parser(
        "stats",
        help="count videos, objects, expressions, frames, sizes, words",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("root", metavar="ROOT", help="the data set")
    parser.add_argument("--layout", choices=LAYOUTS, default="auto", help="default: auto, recognises it")
    parser.add_argument(
        "--out", metavar="DIR", help="also write stats.md, stats.json and the plots, stats.png, there"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown on stdout")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: one per available core)"
    )
    parser.set_defaults(run=_stats)


def _stats(arguments: argparse.Namespace) -> None:
    with video_bar() as bar:
        statistics = count(arguments.root, arguments.layout, arguments.workers, bar)
    as_json = json.dumps(statistics.to_dict(), indent=1)
    text = _markdown(statistics)
    print(as_json if arguments.json else text)
    if arguments.out is not None:
        out = Path(arguments.out).expanduser()
        replace_file(out / "stats.md", lambda file: file.write(f"{text}\n".encode()))
        replace_file(out / "stats.json", lambda file: file.write(f"{as_json}\n".encode()))
        picture = draw(statistics)
        replace_file(out / "stats.png", lambda file: picture.savefig(file, format="png", dpi=110))
        if not arguments.json:
            print(f"\nwrote {out / 'stats.png'}, stats.md and stats.json")


def _markdown(statistics: Statistics) -> str:
    header = ["", "videos", "objects", "expressions", "frames", "size %", "(min-max)", "words", "(min-max)"]
    rows = [_cells(name, row.to_dict()) for name, row in statistics.categories.items() if row.objects]
    groups = [_cells(f"group {group}", row.to_dict()) for group, row in statistics.groups.items()]
    groups.append(_cells("**all**", statistics.total.to_dict()))
    without = [name for name, row in statistics.categories.items() if not row.objects]
    parts = [f"# {statistics.root}", table(["category", *header[1:]], rows)]
    if without:
        parts.append(f"Without videos: {len(without)} of {len(statistics.categories)} categories.")
    parts += [
        table(["held out by" if statistics.groups else "total", *header[1:]], groups),
        "size %: median over objects of the share of the frame. words: mean over expressions.",
    ]
    return "\n\n".join(parts)


def _cells(name: str, row: dict[str, Any]) -> list[str]:
    counts = [f"{row[what]:,}" for what in ("videos", "objects", "expressions", "frames")]
    size, words = row["size_percent_median"], row["words_mean"]
    return [
        name,
        *counts,
        "-" if size is None else f"{size:.1f}",
        "-" if size is None else f"{row['size_percent_min']:.1f}-{row['size_percent_max']:.1f}",
        "-" if words is None else f"{words:.1f}",
        "-" if words is None else f"{row['words_min']}-{row['words_max']}",
    ]
