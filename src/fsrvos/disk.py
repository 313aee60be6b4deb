"""What the disk says when it cannot take a file, as one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fsrvos.errors import UserError


@contextmanager
def told_by_disk(place: Path) -> Iterator[None]:
    """Turns what goes wrong in writing below a folder into one line.

    Raises:
        UserError: The disk is full, the folder cannot be written, and so on.
    """
    try:
        yield
    except OSError as error:
        where = error.filename or place
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            f"{where}: cannot be written ({reason}); make room, or give another folder"
        ) from error
