"""Activations made again in the backward pass instead of being kept: less memory for more time, the same gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def run(part: Callable[..., Tensor], *inputs: Any, recompute: bool) -> Tensor:
    """Calls a part of a network.

    Args:
        part: Module or function.
        inputs: Its arguments; none may change until the backward pass.
        recompute: Keep the inputs alone for the backward pass; what dropout drew is drawn again.
    """
    if not (recompute and torch.is_grad_enabled()):
        return part(*inputs)
    made = checkpoint(part, *inputs, use_reentrant=False)
    assert isinstance(made, Tensor)
    return made
