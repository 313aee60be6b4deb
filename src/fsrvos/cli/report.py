"""``fsrvos-report``: one table of many runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from fsrvos.cli.parser import Parser, run_command
from fsrvos.report import replace_file
from fsrvos.tables.build import control_table, score_table
from fsrvos.tables.cells import PROTOCOLS, SCORES
from fsrvos.tables.files import latex, markdown, raw_csv
from fsrvos.tables.plot import save_plot
from fsrvos.tables.runs import find_runs


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``fsrvos-report``.

    Args:
        argv: Arguments without the program's name; those of the process when None.

    Returns:
        The exit code: 0, or 2 for bad input, which is told in one line on stderr.
    """
    return run_command(_parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fsrvos-report",
        description="Makes one table of many runs: a row for every setting, held-out groups as columns, their mean "
        "last, several seeds as mean and standard deviation. Writes table.md, table.tex (booktabs), table.csv (raw "
        "numbers, a row a run) and table.png.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "places",
        nargs="+",
        metavar="DIR",
        help="run folder, folder of runs (outputs/NAME), or folder of a sweep",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("outputs/report"), metavar="DIR", help="where to write"
    )
    parser.add_argument(
        "--rows",
        type=_listed(None),
        metavar="KEYS",
        help="what tells rows apart, with commas between: name, variant, or any key of the config such as backbone or "
        "optim.lr; %(default)s: the name and the overrides that vary",
    )
    parser.add_argument("--protocol", choices=PROTOCOLS, default=PROTOCOLS[0], help="protocol of the scores")
    parser.add_argument(
        "--score", type=_listed(SCORES), default="J,F", metavar="NAMES", help=f"of {', '.join(SCORES)}"
    )
    parser.add_argument("--controls", action="store_true", help="add the table of the controls")
    parser.set_defaults(run=_report)
    return parser


def _listed(allowed: Sequence[str] | None) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        parts = [part.strip() for part in text.split(",")]
        if not all(parts) or len(set(parts)) < len(parts):
            raise argparse.ArgumentTypeError(f"must be different names with commas between, got {text!r}")
        unknown = [part for part in parts if allowed is not None and part not in allowed]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"must be of {', '.join(allowed or ())}, got {', '.join(unknown)}"
            )
        return parts

    return parse


def _report(arguments: argparse.Namespace) -> None:
    runs = find_runs(arguments.places)
    choice = (arguments.rows, arguments.protocol, arguments.score)
    scores = score_table(runs, *choice)
    texts = {
        "table.md": markdown(scores),
        "table.tex": latex(scores),
        "table.csv": raw_csv(runs, arguments.rows),
    }
    if arguments.controls:
        controls = control_table(runs, *choice)
        texts["table.md"] += f"\n{markdown(controls)}"
        texts["controls.tex"] = latex(controls)
    for name, text in texts.items():
        replace_file(arguments.out / name, lambda file, text=text: file.write(text.encode()))  # type: ignore[misc]
    save_plot(scores, arguments.out / "table.png")
    print(texts["table.md"], end="\n")
    print(
        f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} -> {', '.join(map(str, _written(arguments.out, texts)))}"
    )


def _written(out: Path, texts: Iterable[str]) -> list[Path]:
    return [out / name for name in (*texts, "table.png")]


if __name__ == "__main__":
    sys.exit(main())
