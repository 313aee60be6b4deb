"""A network whose parameters are spread over the processes that train it (FSDP), by PyTorch's ``fully_shard``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from fsrvos.checkpoints import DESCRIPTION
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA
from fsrvos.models.compiling import BLOCKS

SPREAD = "spread"
"""Key of a checkpoint's description: the network was spread."""


class Sharded(ModelParallelStrategy):
    """Lightning's strategy for such networks, one shard a process, checkpoints as of any other training.

    Args:
        options: Of ``lightning.pytorch.strategies.ModelParallelStrategy``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(save_distributed_checkpoint=False, **options)

    def load_checkpoint(
        self, checkpoint_path: str | Path, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads a checkpoint of such a network.

        Raises:
            UserError: It is of a network that was whole.
        """
        check_kind(torch.load(checkpoint_path, mmap=True, weights_only=True), spread=True)
        return super().load_checkpoint(checkpoint_path, weights_only)

    def processes(self) -> DeviceMesh:
        """All of them in a row; Lightning's own mesh has the processes of a node along another axis."""
        return init_device_mesh(self.root_device.type, (self.world_size,))


def check_kind(checkpoint: Mapping[str, Any], *, spread: bool) -> None:
    """Refuses to go on from a checkpoint whose optimizer numbers its parameters in another order.

    Args:
        checkpoint: As saved.
        spread: Whether the network at hand is.

    Raises:
        UserError: One is spread, the other is not.
    """
    if checkpoint[DESCRIPTION].get(SPREAD, False) != spread:
        raise UserError(
            f"the checkpoint is {'not ' if spread else ''}of strategy=fsdp, whose optimizer state lies in another order; "
            "go on with the strategy that it was trained with"
        )


def check_shardable(model: CMA, *, compiled: bool) -> None:
    """Refuses networks of which the processes would wait for one another without end.

    Args:
        model: The network.
        compiled: Whether its blocks are.

    Raises:
        UserError: The network takes clips size by size, so how often a block is called depends on the episodes; or it
            is compiled, which PyTorch fails at.
    """
    if compiled:
        raise UserError("strategy=fsdp takes no compiled network; say compile=false, or strategy=ddp")
    if model.pad_support_masks:
        raise UserError(
            f"strategy=fsdp takes no network with pad_support_masks, such as {model.variant}: each process calls its "
            "blocks as often as its clips have sizes, and the others would wait; say strategy=ddp"
        )


def shard(model: CMA, mesh: DeviceMesh) -> None:
    """Spreads the parameters of every repeated block, then of the rest.

    Args:
        model: The network; changed.
        mesh: Of processes, with one axis.
    """
    # Nothing is written into what blocks return.
    warnings.filterwarnings("ignore", ".*returned a view tensor.*")
    for block in [module for module in model.modules() if isinstance(module, BLOCKS)]:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def is_sharded(model: torch.nn.Module) -> bool:
    """Whether parameters are spread."""
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def whole(model: CMA, device: torch.device) -> CMA:
    """A network with the same weights, all in every process. A collective call.

    Args:
        model: A network whose parameters are spread.
        device: That of the process, for the exchange.
    """
    state = {name: gathered(tensor.to(device)).cpu() for name, tensor in model.state_dict().items()}
    built = CMA(**model.config)
    built.load_state_dict(state)
    built.text_encoder.tokenizer = model.text_encoder.tokenizer
    return built


def gathered(value: Tensor) -> Tensor:
    """A plain tensor, also of one that is spread or was computed from such. A collective call then."""
    found = value.full_tensor() if isinstance(value, DTensor) else value
    assert isinstance(found, Tensor)
    return found


def own_part(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor: all of it, where it is not spread."""
    part = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    assert isinstance(part, Tensor)
    return part
