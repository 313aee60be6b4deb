"""What a command says of a user's mistake: one line on stderr, and exit code 2."""

from __future__ import annotations

import sys

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from fsrvos.errors import UserError

EXIT_USER_ERROR = 2


def exit_on_user_error(error: BaseException) -> None:
    """Prints one line and exits with 2 if the user can mend what went wrong; returns if not."""
    message = user_message(error)
    if message is not None:
        sys.stderr.write(f"fsrvos: {message}\n")  # at once: other processes may write there too
        raise SystemExit(EXIT_USER_ERROR)


def user_message(error: BaseException) -> str | None:
    """The one line of the user's mistake in a chain of exceptions; None if there is none in it."""
    for link in chain_of(error):
        if isinstance(link, UserError):
            return str(link)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _in_one_line(str(error)) or type(error).__name__
    return None


def chain_of(error: BaseException) -> list[BaseException]:
    """An exception and those that it came from, the last one first."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    return chain


def _in_one_line(message: str) -> str:
    """Hydra's words without the list of places where it searched; options stay."""
    told = message.split("Config search path:")[0]
    first, *rest = [line.strip() for line in told.splitlines() if line.strip()] or [""]
    if rest and rest[0].endswith(":"):
        return f"{first}. {rest[0]} {', '.join(rest[1:])}"
    return " ".join([first, *rest[:2]])
