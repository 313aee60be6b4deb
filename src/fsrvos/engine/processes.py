"""What one of several processes needs to know, and how what they found comes together. One process needs no group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from torch import distributed, nn

Item = TypeVar("Item")


def place() -> tuple[int, int]:
    """(rank, number of processes) of the group that training or evaluation runs in; (0, 1) without one."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def share(items: Sequence[Item]) -> Sequence[Item]:
    """This process' share, each item in one process alone; nothing is repeated to make the shares equal."""
    rank, count = place()
    return items[rank::count]


def gather(found: Sequence[Item]) -> list[Item]:
    """What all processes found, in the order of their ranks. Every process must call it, and every one gets all."""
    _, count = place()
    if count == 1:
        return list(found)
    parts: list[Any] = [None] * count
    distributed.all_gather_object(parts, list(found))
    return [item for part in parts for item in part]


def take_buffers_of_first(model: nn.Module) -> None:
    """Makes every process use the buffers of the first, whose network is the one that is saved.

    In training each process updates the running statistics of batch norm with its own batches, so that after a step they
    differ; DDP makes them equal only before the next one. Every process must call it.
    """
    if place()[1] > 1:
        for buffer in model.buffers():
            distributed.broadcast(buffer, 0)
