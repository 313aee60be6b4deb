"""Reads a JSON file, and checks the two things that every entry of one must be: an object, or a plain name."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from fsrvos.data.faults import Report, fault, fault_error


def read_json(path: Path, report: Report | None = None) -> dict[str, Any]:
    """Reads one JSON object.

    Args:
        path: The file.
        report: Is told of keys given twice in one object, of which JSON readers keep the last.

    Raises:
        UserError: If the file cannot be read, is not valid JSON, or holds something else than an object.
    """
    twice: dict[str, None] = {}

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            seen: set[str] = set()
            twice.update((key, None) for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return content

    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=once if report else None)
    except OSError as error:
        raise fault_error("json", path, f"cannot be read ({error.strerror})") from error
    except ValueError as error:  # no JSON, no UTF-8, or a number of thousands of digits
        raise fault_error("json", path, f"not valid JSON ({error})", "download or write it again") from error
    except RecursionError as error:
        raise fault_error(
            "json", path, "not valid JSON (nested too deep)", "download or write it again"
        ) from error
    if report:
        for key in twice:
            report(fault("json-key-twice", path, f"the key {key!r} stands twice in one object"))
    return mapping(content, path, "the top level")


def mapping(value: object, path: Path, where: str) -> dict[str, Any]:
    """Returns what must be a JSON object.

    Args:
        value: What stands there.
        path: The file.
        where: The place in the file.

    Raises:
        UserError: If it is something else.
    """
    if not isinstance(value, dict):
        found = "nothing" if value is None else f"a {type(value).__name__}"
        raise fault_error("json", path, f"{where} must be a JSON object ({{...}}), found {found}")
    return value


def plain_name(name: object, path: Path, where: str) -> str:
    """Returns an id, which becomes a path below the data root.

    Raises:
        UserError: If it could leave the root.
    """
    if (
        not isinstance(name, str)
        or name in ("", ".", "..")
        or "\0" in name
        or PurePosixPath(name).name != name
        or PureWindowsPath(name).name != name
    ):
        raise fault_error(
            "unsafe-id",
            path,
            f"{where} {name!r}: an id must be a plain name without separators, '..' or drive",
        )
    return name
