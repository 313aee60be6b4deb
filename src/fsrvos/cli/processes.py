"""Runs a task in several processes that know of each other, and tells their mistakes as those of one."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import torch
from torch import distributed, multiprocessing

from fsrvos.cli.common import speak_plainly
from fsrvos.cli.mistakes import user_message
from fsrvos.errors import UserError

Task = Callable[..., None]


def check_processes(processes: int, device: str) -> None:
    """Refuses a number of processes that cannot run.

    Raises:
        UserError: Below 1, more than there are GPUs, or on one GPU by its number.
    """
    if processes < 1:
        raise UserError(f"processes must be at least 1, got {processes}")
    kind = torch.device(device)
    if processes > 1 and kind.type == "cuda":
        if kind.index is not None:
            raise UserError(f"processes={processes} take one GPU each; say device=cuda instead of {device}")
        if processes > (count := torch.cuda.device_count()):
            raise UserError(f"processes={processes}, but there are {count} GPUs; each process needs its own")


def run_processes(task: Task, processes: int, device: str, *arguments: Any) -> None:
    """Calls ``task(*arguments, device)`` in so many processes, which share a group (gloo; nccl on GPUs).

    Threads of the CPU are divided, unless OMP_NUM_THREADS is set.

    Args:
        task: A function at the top of a module; it finds its place with ``fsrvos.engine.processes``.
        processes: How many.
        device: "cpu" or "cuda"; each process gets a GPU of its own.
        arguments: Anything that can be pickled.

    Raises:
        UserError: The mistake of the user that a process came upon.
    """
    threads = None if "OMP_NUM_THREADS" in os.environ else max(1, torch.get_num_threads() // processes)
    context = multiprocessing.get_context("spawn")
    mistakes: SimpleQueue[str] = context.SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="fsrvos-") as folder:
        meeting = (Path(folder) / "group").as_uri()
        try:
            multiprocessing.spawn(
                _process, (task, processes, device, threads, meeting, mistakes, arguments), processes
            )
        except multiprocessing.ProcessExitedException:
            if mistakes.empty():
                raise
            raise UserError(mistakes.get()) from None


def _process(
    rank: int,
    task: Task,
    processes: int,
    device: str,
    threads: int | None,
    meeting: str,
    mistakes: SimpleQueue[str],
    arguments: tuple[Any, ...],
) -> None:
    speak_plainly()
    if threads is not None:
        torch.set_num_threads(threads)
    own = torch.device(device, rank) if device == "cuda" else torch.device(device)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    backend = "nccl" if own.type == "cuda" else "gloo"
    distributed.init_process_group(backend, init_method=meeting, rank=rank, world_size=processes)
    try:
        task(*arguments, own)
    except Exception as error:
        if (message := user_message(error)) is None:
            raise
        mistakes.put(message)
        sys.exit(2)
    distributed.destroy_process_group()
