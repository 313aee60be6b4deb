"""Spreads work on many videos over processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from fsrvos.errors import UserError

Task = TypeVar("Task")
Result = TypeVar("Result")


def check_workers(workers: int | None) -> None:
    """Refuses a number of processes below one.

    Raises:
        UserError: If it is.
    """
    if workers is not None and workers < 1:
        raise UserError(f"workers must be at least 1, got {workers}")


def in_order(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int | None = None
) -> Iterator[Result]:
    """Yields ``function(task)`` of every task, in the order of the tasks.

    Args:
        function: A function at the top of a module, so that processes find it.
        tasks: What to do.
        workers: Processes; None for one per available core. One works in this process.
    """
    workers = min(workers or _cores(), len(tasks))
    if workers <= 1:
        yield from map(function, tasks)
        return
    # Forked where possible: the workers need nothing but NumPy and Pillow, which are loaded here already.
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context(method), initializer=_ignore_interrupts
    )
    try:
        yield from pool.map(function, tasks, chunksize=2)
    finally:
        pool.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    """Ctrl-C goes to the whole process group; the parent alone stops the work, in one line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
