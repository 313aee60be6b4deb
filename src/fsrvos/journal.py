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
        multiple: Go on only after a multiple of so many entries; what follows is forgotten.

    Attributes:
        path: The file.
        count: Entries in it.
        last: The last entry.

    Raises:
        UserError: Nothing to go on with, or entries that belong to something else.
    """

    def __init__(
        self, path: Path, header: dict[str, Any], *, resume: bool = False, multiple: int = 1
    ) -> None:
        self.path = path
        self.count = 0
        self.last: dict[str, Any] | None = None
        self._size = 0
        if resume:
            self._take_up(header, multiple)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
        # No buffer: it would be written once more when the file is closed, also to a disk that is full.
        self._file = path.open("r+b" if resume else "wb", buffering=0)
        self._file.truncate(self._size)  # a line that a crash left unfinished goes
        self._file.seek(self._size)
        if not resume:
            self._write([header])

    def append(self, entries: list[dict[str, Any]]) -> None:
        """Adds entries; they are with the operating system when this returns.

        Raises:
            OSError: The disk is full; none of the entries is in the file then.
        """
        self._write(entries)
        self.count += len(entries)
        self.last = entries[-1] if entries else self.last

    def entries(self) -> Iterator[dict[str, Any]]:
        """All entries in order, read from the file one at a time."""
        with self.path.open() as lines:
            next(lines)
            for _ in range(self.count):
                yield json.loads(next(lines))

    def close(self) -> None:
        """Closes the file, which stays."""
        self._file.close()

    def _write(self, entries: list[dict[str, Any]]) -> None:
        lines = [json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries]
        content = memoryview("".join(lines).encode())
        try:
            while content:
                content = content[self._file.write(content) :]
        except OSError:
            self._file.truncate(self._size)
            self._file.seek(self._size)
            raise
        self._size = self._file.tell()

    def _take_up(self, header: dict[str, Any], multiple: int) -> None:
        """Counts the whole lines, up to the last multiple."""
        if not self.path.is_file():
            raise UserError(
                f"{self.path.parent}: nothing to go on with; leave resume=true away for a fresh start"
            )
        position = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines):
                try:
                    content = json.loads(line) if line.endswith(b"\n") else None
                except (ValueError, RecursionError):
                    content = None
                if content is None:
                    break
                position += len(line)
                if number == 0:
                    self._check(header, content)
                    self._size = position
                elif number % multiple == 0:
                    self.count, self.last, self._size = number, content, position
        if self._size == 0:
            raise UserError(f"{self.path}: damaged; say overwrite=true for a fresh start")

    def _check(self, header: dict[str, Any], found: dict[str, Any]) -> None:
        header = json.loads(json.dumps(header))
        differing = [key for key in {**header, **found} if header.get(key) != found.get(key)]
        if differing:
            key = differing[0]
            raise UserError(
                f"{self.path.parent} was begun with {key} {found.get(key)!r}, not {header.get(key)!r}; give the same, or "
                "another folder"
            )
