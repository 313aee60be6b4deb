"""Dynamic mask head: every query brings three small convolutions of its own (model.md section 8)."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from fsrvos.layers.mlp import MLP
from fsrvos.models.mask_features import MaskFeatures
from fsrvos.ops.precision import full_precision, in_float32

STRIDE = 4


class DynamicMaskHead(nn.Module):
    """Turns query states into mask logits at stride 4.

    Args:
        channels: Width C of the query states.
        mask_channels: Width of the mask features.
        dynamic_channels: Width of the dynamic convolutions.
        coordinate_scale: Factor on the relative coordinates, which the published network takes in pixels (1).
    """

    def __init__(
        self, channels: int, mask_channels: int, dynamic_channels: int = 8, coordinate_scale: float = 1.0
    ) -> None:
        super().__init__()
        d = dynamic_channels
        self.mask_channels, self.dynamic_channels, self.coordinate_scale = mask_channels, d, coordinate_scale
        self.parameter_sizes = [(mask_channels + 2) * d, d * d, d, d, d, 1]
        self.controller = MLP(channels, channels, sum(self.parameter_sizes), 3)
        for parameter in self.controller.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)

    def forward(self, states: Tensor, centres: Tensor, mask_features: Tensor | MaskFeatures) -> Tensor:
        """Draws a mask for every query; but for the mask features in float32: pixel coordinates reach into the hundreds.

        Args:
            states: (n, Q, C), n frames.
            centres: (n, Q, 2) x, y in input pixels of the unpadded frame.
            mask_features: (n, C_mask, h, w), made or not.

        Returns:
            (n, Q, h, w) logits.
        """
        d = self.dynamic_channels
        with in_float32(states.device):
            drawn = self.controller(full_precision(states))
        w1, w2, w3, b1, b2, b3 = drawn.split(self.parameter_sizes, dim=-1)
        w1, w2 = (rearrange(w, "n q (o i) -> n q o i", o=d) for w in (w1, w2))
        on_features, on_offset = w1.split([self.mask_channels, 2], dim=-1)
        # The first convolution is linear: mask features need not be repeated for every query, and the offsets
        # to the centre split into a part of the column and a part of the row.
        every = on_features.flatten(1, 2)
        if isinstance(mask_features, MaskFeatures):
            x = mask_features.through(every)
        else:
            x = torch.einsum("nki,nihw->nkhw", every, mask_features)
        x = x.to(drawn.dtype).unflatten(1, (-1, d))
        on_x, on_y = (on_offset * self.coordinate_scale).split(1, dim=-1)
        columns, rows = (_cells(n, centres.device) for n in (x.shape[-1], x.shape[-2]))
        across = on_x * (centres[..., None, :1] - columns)
        down = on_y * (centres[..., None, 1:] - rows) + b1[..., None]
        x = x + across[..., None, :] + down[..., None]
        with in_float32(x.device):
            x = torch.einsum("nqoi,nqihw->nqohw", w2, x.relu()) + b2[..., None, None]
            return torch.einsum("nqi,nqihw->nqhw", w3, x.relu()) + b3[..., None]


def _cells(count: int, device: torch.device) -> Tensor:
    """Pixel coordinates of the centres of a row or column of cells."""
    return torch.arange(count, device=device, dtype=torch.float32) * STRIDE + STRIDE // 2
