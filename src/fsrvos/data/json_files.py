"""Reads a JSON file, and checks the two things that every entry of one must be: an object, or a plain name."""

from __future__ import annotations

import json
import os
import reprlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from fsrvos.data.faults import Report, fault, fault_error
from fsrvos.errors import UserError

# The benchmark's files have under 10 MB, and a parsed file takes up to 25 times its size of memory.
MAX_MEGABYTES = 64
# Of a support's file: COCO's own have up to 470 MB, and LabelMe's may hold the picture.
MAX_SUPPORT_MEGABYTES = 512


def read_value(path: Path, max_megabytes: int = MAX_MEGABYTES, **how: Any) -> Any:
    """Reads whatever one JSON file holds.

    Args:
        path: The file.
        max_megabytes: Larger files are refused.
        how: As ``json.loads``.

    Raises:
        UserError: If the file cannot be read, is too large, or is not valid JSON.
    """
    again = "download or write it again"
    try:
        return json.loads(_content(path, max_megabytes), **how)
    except OSError as error:
        raise fault_error("json", path, f"cannot be read ({error.strerror})") from error
    except UserError:
        raise
    except ValueError as error:  # no JSON, no UTF-8, or a number of thousands of digits
        raise fault_error("json", path, f"not valid JSON ({error})", again) from error
    except RecursionError as error:
        raise fault_error("json", path, "not valid JSON (nested too deep)", again) from error
    except MemoryError as error:
        raise fault_error("json", path, "does not fit in memory", again) from error


def read_json(path: Path, report: Report | None = None, max_megabytes: int = MAX_MEGABYTES) -> dict[str, Any]:
    """Reads one JSON object.

    Args:
        path: The file.
        report: Is told of keys given twice in one object, of which JSON readers keep the last.
        max_megabytes: Larger files are refused.

    Raises:
        UserError: If the file cannot be read or is too large, is not valid JSON, or holds something else than an
            object.
    """
    twice: dict[str, None] = {}

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            seen: set[str] = set()
            twice.update((key, None) for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return content

    content = read_value(path, max_megabytes, object_pairs_hook=once if report else None)
    if report:
        for key in twice:
            report(fault("json-key-twice", path, f"the key {key!r} stands twice in one object"))
    return mapping(content, path, "the top level")


def _content(path: Path, max_megabytes: int) -> bytes:
    if os.path.exists(path) and not os.path.isfile(path):  # opening a pipe would wait for ever
        raise fault_error("json", path, "is no file", "put the file itself there")
    limit = max_megabytes * 1_000_000
    with path.open("rb") as file:
        content = file.read(limit + 1)  # not by the size on disk, which is 0 for /dev/zero
    if len(content) > limit:
        problem = f"has more than {max_megabytes} MB, which is the most that is read"
        raise fault_error("json", path, problem, "download it again, or split it")
    return content


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
        or not name.isprintable()  # line ends, and halves of characters, which no file name can hold
        or PurePosixPath(name).name != name
        or PureWindowsPath(name).name != name
    ):
        raise fault_error(
            "unsafe-id",
            path,
            f"{where} {reprlib.repr(name)}: an id must be a plain name without separators, '..' or drive",
        )
    return name
