"""What the commands without Hydra share: a parser that complains in one line, and exit code 2 for a user's mistake."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from fsrvos.errors import UserError

# As a shell tells of a program that SIGINT or SIGPIPE ended.
_INTERRUPTED, _BROKEN_PIPE = 128 + 2, 128 + 13


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
        code = arguments.run(arguments) or 0
        sys.stdout.flush()
    except UserError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:  # who read this, such as `head`, has gone; nor may Python flush to it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    return code
