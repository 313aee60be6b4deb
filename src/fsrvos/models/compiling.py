"""Compilation of the blocks that a network repeats: few graphs, each for all sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo
import torch.fx.experimental._config
from torch import nn

from fsrvos.errors import UserError
from fsrvos.layers.vision_language import EarlyFusion, VisionLanguageBlock
from fsrvos.models.transformer import DecoderLayer, EncoderLayer

BLOCKS = (EarlyFusion, EncoderLayer, DecoderLayer, VisionLanguageBlock)


def compile_blocks(model: nn.Module, backend: str | Callable[..., Any] = "inductor") -> None:
    """Has fusion, transformer layers and the pixel decoder's blocks compiled when they are first called.

    Frames and cells are unknowns of a graph, so that another size, or a window of fewer frames, needs no other one; a
    side or number of one is a case of its own. Layers of one kind share a graph. Weights keep their names. Backbone and
    text encoder are left alone.

    Args:
        model: The network; changed.
        backend: Of ``torch.compile``.
    """
    # Two sides that happen to be equal are not taken for one, and training, validation, and the blocks' four reductions
    # may each have their graphs.
    torch.fx.experimental._config.use_duck_shape = False
    torch._dynamo.config.recompile_limit = 64
    for module in model.modules():
        if isinstance(module, BLOCKS):
            module.compile(dynamic=True, backend=backend)


def check_compiler(device: torch.device | str) -> None:
    """Compiles a sum.

    Raises:
        UserError: It does not compile: a processor needs a C++ compiler, a GPU Triton too.
    """
    one = torch.ones(1, device=device)
    try:
        torch.compile(lambda x: x + 1)(one)
    except Exception as error:
        raise UserError(
            f"compile=true: PyTorch cannot compile here ({type(error).__name__}); install a C++ compiler (g++), or leave "
            "compile=false"
        ) from error
