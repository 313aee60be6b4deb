"""``fsrvos-data validate``: prints what is wrong with a data set, kind by kind, each with its cure."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from fsrvos.cli.video_bar import video_bar
from fsrvos.data.faults import KINDS, Fault
from fsrvos.data.splits import LAYOUTS
from fsrvos.data.validation import Validation, validate

_SHOWN = 5

_DESCRIPTION = """\
Reads a whole data set, decodes every frame and mask that its JSON files name,
and lists everything that is wrong, each with its file and its cure.

  fault    stops training or evaluation, or teaches what is false
  warning  merely loses data: an object without expression, a category with
           one video, a phrase given twice, ...

Exit code: 0 without faults (warnings or not), 1 with faults, 2 if there is
nothing to check.
"""

_EPILOG = """\
layouts:
  ytvos    Mini-Ref-YouTube-VOS, Mini-Ref-Synthetic, Ref-YouTube-VOS,
           Ref-DAVIS17: SPLIT/JPEGImages/VIDEO/FRAME.jpg,
           SPLIT/Annotations/VIDEO/FRAME.png, SPLIT/meta.json,
           meta_expressions/SPLIT/meta_expressions.json.
           Every split that is there is checked (train, valid, test, ...);
           episodes are made of train alone.
  sailvos  Mini-Ref-SAIL-VOS: the same, with Images/VIDEO/FRAME.bmp or
           JPEGImages; or both JSON files and the folders at the root.
  MeViS is not supported.
"""


def add(commands: Any) -> None:
    """Adds the command to those of ``fsrvos-data``."""
    parser = commands.add_parser(
        "validate",
        help="list everything that is wrong with a data set",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("root", metavar="ROOT", help="the data set, or one JSON file of it")
    parser.add_argument("--layout", choices=LAYOUTS, default="auto", help="default: auto, recognises it")
    parser.add_argument(
        "--group", type=int, metavar="G", help="a fault too if group G (1-4) cannot be trained and tested"
    )
    parser.add_argument("--all", action="store_true", help=f"show all of a kind, not just the first {_SHOWN}")
    parser.add_argument("--json", action="store_true", help="print JSON, with everything in it, on stdout")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: one per available core)"
    )
    parser.set_defaults(run=_validate)


def _validate(arguments: argparse.Namespace) -> int:
    with video_bar() as bar:
        results = validate(arguments.root, arguments.layout, arguments.group, arguments.workers, bar)
    if arguments.json:
        contents = [_content(result) for result in results]
        print(json.dumps(contents[0] if len(contents) == 1 else {"files": contents}, indent=1))
    else:
        print("\n\n".join(_text(result, arguments.all) for result in results))
    return int(any(result.faults for result in results))


def _content(result: Validation) -> dict[str, Any]:
    def entries(findings: list[Fault]) -> list[dict[str, str]]:
        return [
            {"kind": one.kind, "file": str(one.file), "problem": one.problem, "cure": one.cure}
            for one in findings
        ]

    return {
        "root": str(result.root),
        "layout": result.layout,
        "splits": result.splits,
        "counts": dict(result.counts),
        "categories": None
        if result.categories is None
        else {"known": result.categories[0], "with_two_videos": result.categories[1]},
        "groups": result.groups,
        "faults_by_kind": _by_kind(result.faults),
        "warnings_by_kind": _by_kind(result.warnings),
        "faults": entries(result.faults),
        "warnings": entries(result.warnings),
    }


def _by_kind(findings: list[Fault]) -> dict[str, int]:
    counts = Counter(one.kind for one in findings)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def _text(result: Validation, shows_all: bool) -> str:
    if result.layout is None:
        lines = [f"{result.root} (a JSON file alone: no frames or masks were looked for)"]
    else:
        lines = [
            f"{result.root} (layout {result.layout}, {_count(result.splits, 'split')} {', '.join(result.splits)})"
        ]
    for kind in KINDS:
        of_kind = [one for one in result.findings if one.kind == kind]
        if of_kind:
            lines += ["", *_section(kind, of_kind, result.root, None if shows_all else _SHOWN)]
    return "\n".join([*lines, "", *_summary(result)])


def _section(kind: str, findings: list[Fault], root: Path, limit: int | None) -> list[str]:
    """A heading with the cure, unless the cures differ, and a line for each of the first."""
    described = KINDS[kind]
    heading = f"{'warning' if described.is_warning else 'FAULT'}: {described.title} ({len(findings)})"
    cures = {one.cure for one in findings}
    lines = [heading]
    for one in findings[:limit]:
        lines.append(f"  {_short(one.file, root)}: {one.problem}")
        if len(cures) > 1:
            lines.append(f"    cure: {one.cure}")
    if limit is not None and len(findings) > limit:
        lines.append(f"  ... and {len(findings) - limit} more (--all shows them)")
    if len(cures) == 1:
        lines.append(f"  cure: {cures.pop()}")
    return lines


def _short(file: Path, root: Path) -> str:
    if file == root:
        return file.name
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)


def _summary(result: Validation) -> list[str]:
    counts = result.counts
    lines = [", ".join(f"{counts[what]} {what}" for what in counts)] if counts else []
    if result.categories is not None:
        known, usable = result.categories
        line = f"{usable} of {known} categories have the two videos that an episode needs"
        if result.layout != "sailvos":
            line += f"; groups that can be trained and tested: {', '.join(map(str, result.groups)) or 'none'}"
        lines.append(line)
    for name, findings in (("faults", result.faults), ("warnings", result.warnings)):
        kinds = ", ".join(f"{count} {kind}" for kind, count in _by_kind(findings).items())
        number = f"{len(findings)} {name[:-1] if len(findings) == 1 else name}"
        lines.append(number + (f": {kinds}" if kinds else ""))
    return lines


def _count(things: list[str], noun: str) -> str:
    return noun if len(things) == 1 else f"{noun}s"
