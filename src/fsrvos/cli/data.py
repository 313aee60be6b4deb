"""``fsrvos-data``: makes, checks and counts data on disk."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fsrvos.cli import data_mini, data_stats, data_synth, data_validate
from fsrvos.cli.parser import Parser, run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``fsrvos-data``.

    Args:
        argv: Arguments without the program's name; those of the process when None.

    Returns:
        The exit code: 0; 1 if `validate` found faults; 2 for bad input, which is told in one line on stderr.
    """
    return run_command(_parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fsrvos-data",
        description="Makes, checks and counts data on disk.",
        epilog="`fsrvos-data COMMAND --help` tells more; docs/data.md shows every command with its output.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (data_synth, data_mini, data_validate, data_stats):
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
