"""Mixed precision: which numbers a network computes with, and what stays in float32 all the same."""

from __future__ import annotations

import torch
from torch import Tensor

PRECISIONS: dict[str, torch.dtype | None] = {
    "32-true": None,
    "bf16-mixed": torch.bfloat16,
    "16-mixed": torch.float16,
}
"""Names of Lightning's trainer, and the type of products and convolutions; None: that of the weights."""


def computing(precision: str, device: torch.device | str) -> torch.autocast:
    """The context in which a network computes so; a precision that is not among ``PRECISIONS`` changes nothing."""
    lower = PRECISIONS.get(precision)
    return torch.autocast(torch.device(device).type, lower, enabled=lower is not None)


def in_float32(device: torch.device) -> torch.autocast:
    """The context of what needs float32 whatever the precision, such as coordinates in pixels."""
    return torch.autocast(device.type, enabled=False)


def full_precision(tensor: Tensor) -> Tensor:
    """The same numbers in float32 at least: sums over a whole clip do not fit 8 or 11 bits."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
