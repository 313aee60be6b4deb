"""``fsrvos-data``: makes and looks after data on disk."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from fsrvos.cli.parser import Parser, run_command
from fsrvos.data.synthetic import generate


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``fsrvos-data``.

    Args:
        argv: Arguments without the program's name; those of the process when None.

    Returns:
        The exit code: 0, or 2 for bad input, which is told in one line on stderr.
    """
    return run_command(_parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="fsrvos-data", description="Makes and looks after data on disk.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    synth = commands.add_parser(
        "synth",
        help="make the synthetic benchmark",
        description="Makes Mini-Ref-Synthetic in the layout of Mini-Ref-YouTube-VOS. "
        "The same parameters make the same bytes, whatever the number of workers.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    synth.add_argument("--out", required=True, metavar="DIR", help="the data root to make")
    synth.add_argument("--seed", type=int, default=0, help="seed of everything random")
    synth.add_argument(
        "--videos-per-category", type=int, default=6, metavar="N", help="videos of each of the 48 categories"
    )
    synth.add_argument("--frames", type=int, default=12, metavar="N", help="frames a video")
    synth.add_argument(
        "--size", type=_size, default="112x192", metavar="HxW", help="height and width in pixels"
    )
    synth.add_argument("--workers", type=int, metavar="N", help="processes (default: one per available core)")
    synth.add_argument(
        "--overwrite", action="store_true", help="replace an earlier synthetic benchmark of other parameters"
    )
    synth.set_defaults(run=_synth)
    return parser


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"must be HEIGHTxWIDTH such as 112x192, got {text!r}")
    return int(match[1]), int(match[2])


def _synth(arguments: argparse.Namespace) -> None:
    columns = (TextColumn("videos"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # No refreshing thread: worker processes are forked before the first video is done, and perhaps after it.
    bar = Progress(*columns, console=Console(stderr=True), auto_refresh=False)
    task: TaskID | None = None
    with ExitStack() as stack:

        def progress(done: int, total: int) -> None:
            nonlocal task
            if task is None:  # not before: what is refused shows no bar
                task = stack.enter_context(bar).add_task("videos", total=total)
            bar.update(task, completed=done, refresh=True)

        root = generate(
            arguments.out,
            seed=arguments.seed,
            videos_per_category=arguments.videos_per_category,
            frames=arguments.frames,
            size=arguments.size,
            workers=arguments.workers,
            overwrite=arguments.overwrite,
            progress=progress,
        )
    made = (
        "already there"
        if task is None
        else f"made {bar.tasks[task].total:.0f} videos of {arguments.frames} frames"
    )
    print(f"{root}: {made}; {root / 'preview.png'} shows them")


if __name__ == "__main__":
    sys.exit(main())
