"""Multi-scale deformable attention (Zhu et al., ICLR 2021) in plain PyTorch."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn

from fsrvos.layers.deformable_sampling import sample


class DeformableAttention(nn.Module):
    """Every query looks at a few sampled points on every level around its reference.

    Args:
        channels: C.
        num_heads: Heads; must divide C.
        num_levels: Feature levels.
        num_points: Points a head samples on a level.
    """

    def __init__(self, channels: int, num_heads: int, num_levels: int, num_points: int) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(f"channels must be a multiple of num_heads, got {channels} and {num_heads}")
        self.num_heads, self.num_levels, self.num_points = num_heads, num_levels, num_points
        self.sampling_offsets = nn.Linear(channels, num_heads * num_levels * num_points * 2)
        self.attention_weights = nn.Linear(channels, num_heads * num_levels * num_points)
        self.value_projection = nn.Linear(channels, channels)
        self.output_projection = nn.Linear(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Offsets start on rays, one direction a head, point p at distance p + 1; weights start uniform."""
        angle = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        ray = torch.stack((angle.cos(), angle.sin()), dim=-1)
        ray = ray / ray.abs().amax(-1, keepdim=True)
        distance = torch.arange(1, self.num_points + 1)
        offsets = ray[:, None, None, :] * distance[None, None, :, None]
        nn.init.zeros_(self.sampling_offsets.weight)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.expand(-1, self.num_levels, -1, -1).flatten())
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for projection in (self.value_projection, self.output_projection):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(
        self,
        query: Tensor,
        references: Tensor,
        memory: Tensor,
        padding_mask: Tensor,
        shapes: list[tuple[int, int]],
    ) -> Tensor:
        """Samples memory around the references.

        Args:
            query: (B, Q, C).
            references: (B, Q, levels, 2) points or (B, Q, levels, 4) boxes cxcywh, in [0, 1] of the padded map.
            memory: (B, sum of h*w, C), levels one after another.
            padding_mask: (B, sum of h*w).
            shapes: (h, w) of every level.

        Returns:
            (B, Q, C).
        """
        heads, levels, points = self.num_heads, self.num_levels, self.num_points
        value = self.value_projection(memory).masked_fill(padding_mask[..., None], 0.0)
        offsets = rearrange(
            self.sampling_offsets(query), "b q (m l p d) -> b q m l p d", m=heads, l=levels, p=points
        )
        weights = self.attention_weights(query).unflatten(-1, (heads, -1)).softmax(-1)
        locations = self._locations(references, offsets, shapes)
        attended = sample(
            value.unflatten(-1, (heads, -1)), locations, weights.unflatten(-1, (levels, points)), shapes
        )
        return self.output_projection(attended)

    def _locations(self, references: Tensor, offsets: Tensor, shapes: list[tuple[int, int]]) -> Tensor:
        """Sampling locations in [0, 1]: (B, Q, heads, levels, points, 2)."""
        centre = references[:, :, None, :, None, :2]
        if references.shape[-1] == 2:
            size = torch.tensor([(w, h) for h, w in shapes], device=offsets.device, dtype=offsets.dtype)
            return centre + offsets / size[:, None, :]
        extent = references[:, :, None, :, None, 2:]
        return centre + offsets / self.num_points * extent * 0.5
