"""What was done so far, one line of JSON after the other, so that a stop at any moment loses no finished frame."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fsrvos.errors import UserError


class Journal:
    """Appends entries to a file and reads them again.

    Args:
        path: The file. Its first line says what the entries belong to.
        header: What they belong to.
        resume: Go on with the entries that are there; else the file starts anew.

    Attributes:
        path: The file.
        count: Entries in it.
        last: The last entry.

    Raises:
        UserError: Nothing to go on with, or entries that belong to something else.
    """

    def __init__(self, path: Path, header: dict[str, Any], *, resume: bool = False) -> None:
        self.path = path
        self.count = 0
        self.last: dict[str, Any] | None = None
        if resume:
            self._take_up(header)
            self._file = path.open("a")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w")
            self._line(header)

    def append(self, entries: list[dict[str, Any]]) -> None:
        """Adds entries; they are on their way to the disk when this returns."""
        for entry in entries:
            self._line(entry)
        self._file.flush()
        self.count += len(entries)
        self.last = entries[-1] if entries else self.last

    def entries(self) -> Iterator[dict[str, Any]]:
        """All entries in order, read from the file one at a time."""
        self._file.flush()
        with self.path.open() as lines:
            next(lines)
            for _ in range(self.count):
                yield json.loads(next(lines))

    def close(self) -> None:
        """Closes the file, which stays."""
        self._file.close()

    def _line(self, content: dict[str, Any]) -> None:
        self._file.write(json.dumps(content, separators=(",", ":")) + "\n")

    def _take_up(self, header: dict[str, Any]) -> None:
        """Counts the whole lines, and cuts off one that a crash left unfinished."""
        if not self.path.is_file():
            raise UserError(
                f"{self.path.parent}: nothing to go on with; leave resume=true away for a fresh start"
            )
        whole = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines):
                try:
                    content = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    content = None
                if content is None:
                    break
                whole += len(line)
                if number == 0:
                    self._check(header, content)
                else:
                    self.count, self.last = number, content
        if whole == 0:
            raise UserError(f"{self.path}: damaged; leave resume=true away for a fresh start")
        with self.path.open("rb+") as file:
            file.truncate(whole)

    def _check(self, header: dict[str, Any], found: dict[str, Any]) -> None:
        header = json.loads(json.dumps(header))
        differing = [key for key in {**header, **found} if header.get(key) != found.get(key)]
        if differing:
            key = differing[0]
            raise UserError(
                f"{self.path.parent} was begun with {key} {found.get(key)!r}, not {header.get(key)!r}; give the same, or "
                "another folder"
            )
