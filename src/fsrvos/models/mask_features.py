"""Mask features, whole or only as far as they are read: the last convolution and what reads it are both linear."""

from __future__ import annotations

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MaskFeatures:
    """The output of the pixel decoder's last convolution, made when somebody needs it whole.

    Args:
        merged: (n, C, h, w), what the convolution reads; n frames.
        convolution: C to C_mask channels.
    """

    def __init__(self, merged: Tensor, convolution: nn.Conv2d) -> None:
        self.merged, self.convolution = merged, convolution

    @cached_property
    def whole(self) -> Tensor:
        """(n, C_mask, h, w)."""
        features = self.convolution(self.merged)
        assert isinstance(features, Tensor)
        return features

    def through(self, weights: Tensor) -> Tensor:
        """What linear maps of every frame's own make of the features of a cell: (n, K, C_mask) -> (n, K, h, w).

        Without gradient, and where the maps are few, they are joined with the convolution, so that it has K outputs
        in place of C_mask.
        """
        convolution = self.convolution
        if torch.is_grad_enabled() or 2 * weights.shape[1] > convolution.out_channels:
            return torch.einsum("nki,nihw->nkhw", weights, self.whole)
        kernels = torch.einsum("nki,icyx->nkcyx", weights, convolution.weight)
        frames = zip(self.merged.split(1), kernels, strict=True)
        seen = torch.cat([F.conv2d(x, kernel, padding=convolution.padding) for x, kernel in frames])
        return seen if convolution.bias is None else seen + (weights @ convolution.bias)[..., None, None]
