"""A folder of data that is complete or not there at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fsrvos.errors import UserError


@contextmanager
def folder_beside(root: Path) -> Iterator[Path]:
    """A folder beside ``root`` that takes its place when the block ends well, and goes when it doesn't."""
    root = root.resolve()
    partial = root.with_name(f".{root.name}.partial-{os.getpid()}")
    replaced = root.with_name(f".{root.name}.replaced-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"can't make a folder beside {root}: {error.strerror}") from error
    try:
        yield partial
        if root.exists():
            root.rename(replaced)
        partial.rename(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if replaced.exists() and not root.exists():
            replaced.rename(root)
        shutil.rmtree(replaced, ignore_errors=True)
