"""The feed-forward network of transformer layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ROWS = 1024
"""Tokens at once without gradient: their hidden states, eight times as wide, stay in the processor's cache."""


def feed_forward(x: Tensor, linear1: nn.Linear, linear2: nn.Linear, dropout: nn.Dropout) -> Tensor:
    """Two linear layers with ReLU and dropout between them.

    On a processor and without gradient no hidden state is kept whole; a GPU, and a compiler, prefer few large products.

    Args:
        x: (..., C) tokens.
        linear1: C to the hidden width.
        linear2: Back to C.
        dropout: Of the hidden states.

    Returns:
        (..., C).
    """

    def through(tokens: Tensor) -> Tensor:
        return linear2(dropout(linear1(tokens).relu_()))

    if torch.is_grad_enabled() or torch.compiler.is_compiling() or x.device.type != "cpu":
        # Of two axes, since ReLU in place on a view would copy the hidden states and their gradient.
        return through(x.flatten(0, -2)).view(x.shape)
    return torch.cat([through(rows) for rows in x.flatten(0, -2).split(ROWS)]).view(x.shape)
