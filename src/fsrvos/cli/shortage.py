"""Says in one line what to lower where memory runs out, and what is safe where the disk is full."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from fsrvos.cli.mistakes import chain_of
from fsrvos.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory", re.IGNORECASE)
_KILLED = re.compile(r"DataLoader worker .*killed by signal: Killed", re.DOTALL)
_SHARED = re.compile(
    r"DataLoader worker .*(Bus error|shared memory)|unable to allocate shared memory", re.DOTALL
)


@contextmanager
def shortages_told(
    memory: str, disk: Callable[[], str] = lambda: "make room, then start again"
) -> Iterator[None]:
    """Turns running out of memory or disk inside the block into one line.

    Args:
        memory: Which settings to lower, with what they are.
        disk: What is safe and how to go on; asked when it happens.

    Raises:
        UserError: It ran out.
    """
    try:
        yield
    except Exception as error:
        line = out_of_memory(error, memory) or out_of_disk(error, disk)
        if line is None:
            raise
        raise UserError(line) from error


def out_of_memory(error: BaseException, settings: str) -> str | None:
    """One line if an exception, or one that it came from, says that memory ran out."""
    for link in chain_of(error):
        said = str(link)
        if isinstance(link, torch.OutOfMemoryError):
            tried = re.search(r"Tried to allocate [\d.]+ \w+", said)
            return f"out of GPU memory{f' ({tried[0].lower()})' if tried else ''}; lower {settings}"
        if isinstance(link, RuntimeError) and _SHARED.search(said):
            return (
                "out of shared memory, through which workers hand over what they read; lower data.num_workers, or give "
                "more (docker run --shm-size=8g)"
            )
        if isinstance(link, RuntimeError) and _KILLED.search(said):
            return (
                "a process that reads data was killed, mostly because memory ran out; lower data.num_workers, then "
                + settings
            )
        if isinstance(link, MemoryError) or (isinstance(link, RuntimeError) and _NO_MEMORY.search(said)):
            tried = re.search(r"tried to allocate (\d+) bytes", said)
            size = f" (tried to allocate {int(tried[1]) / 2**30:.2f} GiB)" if tried else ""
            return f"out of memory{size}; lower {settings}"
    return None


def out_of_disk(error: BaseException, then: Callable[[], str]) -> str | None:
    """One line if an exception, or one that it came from, says that a disk is full."""
    for link in chain_of(error):
        if isinstance(link, OSError) and link.errno in _FULL:
            where = f"{link.filename}: " if link.filename else ""
            return f"{where}cannot be written ({(link.strerror or str(link)).lower()}); {then()}"
    return None
