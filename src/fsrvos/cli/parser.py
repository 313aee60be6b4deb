"""What the commands without Hydra share: a parser that complains in one line, and exit code 2 for a user's mistake."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from fsrvos.errors import UserError


class Parser(argparse.ArgumentParser):
    """Reports a bad argument in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Exits with 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Parses arguments and calls ``arguments.run(arguments)``, which each subcommand sets.

    Returns:
        The exit code: what ``run`` returns, 0 for None, or 2 for bad input, which is told in one line on stderr.
    """
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except UserError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
