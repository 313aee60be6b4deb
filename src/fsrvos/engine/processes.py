"""What one of several processes needs to know, and how what they found comes together. One process needs no group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

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


class _AllRanks(torch.autograd.Function):
    """Rows of all ranks; torch's own function for it is deprecated."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(place()[1])]
        distributed.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        rank, count = place()
        grad = grad.contiguous()
        distributed.all_reduce(grad)
        return grad.chunk(count)[rank]


def all_ranks(rows: Tensor) -> Tensor:
    """The rows of all ranks, rank 0 first; gradients flow back to the rank they came from.

    Every process must call it, with equally many rows.
    """
    if place()[1] == 1:
        return rows
    return _AllRanks.apply(rows.contiguous())


def take_buffers_of_first(model: nn.Module) -> None:
    """Makes every process use the buffers of the first, whose network is the one that is saved.

    In training each process updates the running statistics of batch norm with its own batches, so that after a step they
    differ; DDP makes them equal only before the next one. Every process must call it.
    """
    if place()[1] > 1:
        for buffer in model.buffers():
            distributed.broadcast(buffer, 0)
