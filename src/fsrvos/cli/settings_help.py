"""The help of a command whose config is a list of settings: its YAML's own comments."""

from __future__ import annotations

import re
from pathlib import Path

_SETTING = re.compile(r"(?P<key>\w+): (?P<value>\S.*?)\s+# (?P<comment>.+)")
_MORE = re.compile(r"\s+# (?P<comment>.+)")


def settings_help(config: Path) -> str:
    """What ``--help`` prints.

    The comment at the top of the file says what the command does; the one behind a setting, what it is for. Indented
    lines of the first are examples.

    Args:
        config: The YAML of the command.
    """
    lines = config.read_text().splitlines()
    top = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    parts = [line.removeprefix("#").removeprefix(" ") for line in lines[:top]]
    rows: list[tuple[str, str]] = []
    for line in lines[top:]:
        if found := _SETTING.fullmatch(line):
            rows.append((f"{found['key']}={found['value']}", found["comment"]))
        elif (more := _MORE.fullmatch(line)) and rows:
            rows.append(("", more["comment"]))
        elif not line.strip() and rows and rows[-1] != ("", ""):
            rows.append(("", ""))
    width = max(len(name) for name, _ in rows)
    table = [f"  {name:<{width}}  {comment}".rstrip() for name, comment in rows]
    return "\n".join([*parts, "", "Settings and what they are unless you say otherwise:", "", *table])
