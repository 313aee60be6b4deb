"""A small convolutional backbone that learns from scratch on a CPU: the embedded default."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from fsrvos.encoders.backbone import Backbone


class BatchNorm(nn.BatchNorm2d):
    """Batch norm that takes its running statistics where a single value leaves nothing to take them from."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, h, w) -> the same."""
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm around a shortcut: (n, in, h, w) -> (n, out, h/stride, w/stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False),
            BatchNorm(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False),
            BatchNorm(out_channels),
        )
        straight = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if straight else nn.Conv2d(in_channels, out_channels, 1, stride)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the block."""
        return self.activation(self.main(x) + self.shortcut(x))


class SmallBackbone(Backbone):
    """Stem at stride 4, four residual stages at strides 4, 8, 16, 32, and a top-down path.

    The top-down path adds what the coarse stages saw of the whole object to the fine ones: a small network has
    few layers before stride 8, too few to tell a silhouette there. Batch norm, because from scratch it learned to
    tell categories several times faster than group norm.

    Args:
        channels: Width of each stage; the first one even.
        blocks: Residual blocks of each stage.
    """

    def __init__(
        self, channels: Sequence[int] = (32, 96, 128, 128), blocks: Sequence[int] = (1, 3, 2, 1)
    ) -> None:
        super().__init__()
        if len(channels) != 4 or len(blocks) != 4 or channels[0] % 2:
            raise ValueError(f"four stages, the first of even width, got {channels} and {blocks}")
        self.channels = list(channels)
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels[0] // 2, 3, 2, 1, bias=False),
            BatchNorm(channels[0] // 2),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels[0] // 2, channels[0], 3, 2, 1, bias=False),
            BatchNorm(channels[0]),
            nn.ReLU(inplace=True),
        )
        inputs = [channels[0], *channels[:-1]]
        self.stages = nn.ModuleList(
            nn.Sequential(
                *[
                    ResidualBlock(
                        inputs[i] if j == 0 else channels[i], channels[i], 2 if i > 0 and j == 0 else 1
                    )
                    for j in range(blocks[i])
                ]
            )
            for i in range(4)
        )
        self.top_down = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(channels))

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Clips (B, T, 3, H, W) -> four maps (B, T, C, h, w), finest first."""
        x = self.stem(frames.flatten(0, 1))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        for level in (2, 1, 0):
            seen = F.interpolate(
                self.top_down[level](maps[level + 1]), size=maps[level].shape[-2:], mode="nearest"
            )
            maps[level] = maps[level] + seen
        return [rearrange(x, "(b t) c h w -> b t c h w", b=frames.shape[0]) for x in maps]
