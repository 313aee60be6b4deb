"""Words and paths on a Hydra command line, taken as they are."""

from __future__ import annotations

from collections.abc import Sequence


def quote_values(arguments: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Quotes the values of some keys, so that no comma, bracket or apostrophe in a phrase means anything to Hydra.

    Lists in brackets, null, empty values, and what is quoted already stay as they are.

    Args:
        arguments: Those of the process, such as ``text=the dog, on the left``.
        keys: Whose values are free text.
    """
    return [_quoted(argument, keys) for argument in arguments]


def _quoted(argument: str, keys: Sequence[str]) -> str:
    key, equals, value = argument.partition("=")
    bare = value.strip()
    if not equals or key not in keys or bare in ("", "null") or _is_written_for_hydra(bare):
        return argument
    # Hydra's escapes: of a quote, and of the backslashes that stand before one.
    body = "".join(_escaped(part, index, value.split("'")) for index, part in enumerate(value.split("'")))
    return f"{key}='{body}'"


def _escaped(part: str, index: int, parts: list[str]) -> str:
    trailing = len(part) - len(part.rstrip("\\"))
    return part + "\\" * trailing + ("\\'" if index < len(parts) - 1 else "")


def _is_written_for_hydra(value: str) -> bool:
    pairs = {"[": "]", "'": "'", '"': '"'}
    return len(value) > 1 and pairs.get(value[0]) == value[-1]
