"""Words and paths on a Hydra command line, taken as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_ITEM = re.compile(rf"\s*(?P<item>(?:{_QUOTED.pattern})(?=\s*(?:,|$))|[^,]*?)\s*(?:,|$)")


def quote_values(arguments: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Quotes the values of some keys, so that no comma, bracket or apostrophe in a phrase means anything to Hydra.

    A value in brackets is a list: commas part its items, each of which is taken as it is. Null, empty values, and
    what is quoted already stay as they are.

    Args:
        arguments: Those of the process, such as ``text=the dog, on the left``.
        keys: Whose values are free text.
    """
    return [_argument(argument, keys) for argument in arguments]


def _argument(argument: str, keys: Sequence[str]) -> str:
    key, equals, value = argument.partition("=")
    bare = value.strip()
    if not equals or key not in keys or not bare:
        return argument
    if len(bare) > 1 and bare[0] + bare[-1] == "[]":
        return f"{key}=[{','.join(map(_quoted, _items(bare[1:-1])))}]"
    return f"{key}={_quoted(value)}"


def _items(text: str) -> list[str]:
    """The items of a list; a comma within a quoted one parts nothing."""
    items, position = [], 0
    while position < len(text):
        found = _ITEM.match(text, position)
        assert found is not None  # it matches anything
        items.append(found["item"])
        position = found.end()
    return [*items, ""] if text.rstrip().endswith(",") else items


def _quoted(value: str) -> str:
    if value.strip() == "null" or _QUOTED.fullmatch(value.strip()):
        return value
    # Hydra's escapes: of a quote, and of the backslashes that stand before one.
    parts = value.split("'")
    return "'" + "".join(_escaped(part, index < len(parts) - 1) for index, part in enumerate(parts)) + "'"


def _escaped(part: str, before_quote: bool) -> str:
    trailing = len(part) - len(part.rstrip("\\"))
    return part + "\\" * trailing + ("\\'" if before_quote else "")
