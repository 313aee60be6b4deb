"""From pixels and words to fused feature levels (model.md sections 2 to 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsrvos.layers.position import position_1d, position_2d
from fsrvos.layers.recompute import run
from fsrvos.layers.vision_language import EarlyFusion
from fsrvos.ops.precision import full_precision
from fsrvos.structures import Clip


@dataclass
class Phrase:
    """Words (B, L, C), their position (B, L, C) and padding (B, L) bool, and the sentence (B, C)."""

    words: Tensor
    position: Tensor
    padding_mask: Tensor
    sentence: Tensor

    @property
    def as_memory(self) -> tuple[Tensor, Tensor, Tensor]:
        """Words, position, padding."""
        return self.words, self.position, self.padding_mask


@dataclass
class Pyramid:
    """Feature levels of a clip.

    Attributes:
        levels: Strides 8, 16, 32, 64, each (B, T, C, h, w).
        padding: The same, (B, T, h, w) bool.
        finest: The backbone's raw stride-4 map (B, T, C_1, h, w).
        finest_padding: (B, T, h, w) bool.
    """

    levels: list[Tensor]
    padding: list[Tensor]
    finest: Tensor
    finest_padding: Tensor


class TextProjection(nn.Module):
    """Brings words and sentence to C channels; one resizer for both (model.md section 3)."""

    def __init__(self, in_channels: int, channels: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, channels)
        self.norm = nn.LayerNorm(channels, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, words: Tensor, sentence: Tensor, padding_mask: Tensor) -> Phrase:
        """Words (B, L, D), sentence (B, D), padding (B, L) to a phrase."""
        words, sentence = (self.dropout(self.norm(self.linear(x))) for x in (words, sentence))
        return Phrase(words, position_1d(padding_mask, words.shape[-1]), padding_mask, sentence)


class GroupNorm(nn.GroupNorm):
    """Group norm that also takes a map with one value a group, which torch refuses: it becomes the bias."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, h, w) -> the same."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class FeaturePyramid(nn.Module):
    """Projects backbone maps to four levels and fuses them with the phrase; query and support take one path.

    Args:
        in_channels: Width of the backbone's four maps.
        channels: C.
        num_heads: Heads of the fusion.
        transform_all_levels: The support transform reaches the fourth level too (published: levels 1 to 3).
        recompute: Keep no activations of the fusion for the backward pass.
    """

    def __init__(
        self,
        in_channels: list[int],
        channels: int,
        num_heads: int,
        *,
        transform_all_levels: bool,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.transform_all_levels, self.recompute = transform_all_levels, recompute
        projections = [nn.Conv2d(width, channels, 1) for width in in_channels[1:]]
        projections.append(nn.Conv2d(in_channels[-1], channels, 3, stride=2, padding=1))
        self.projections = nn.ModuleList(nn.Sequential(p, GroupNorm(32, channels)) for p in projections)
        self.fusion = EarlyFusion(channels, num_heads)
        for projection in projections:
            nn.init.xavier_uniform_(projection.weight)
            if projection.bias is not None:
                nn.init.zeros_(projection.bias)

    def forward(self, maps: list[Tensor], clip: Clip, phrase: Phrase, *, is_support: bool = False) -> Pyramid:
        """Makes the fused levels of a clip.

        Args:
            maps: Backbone maps (B, T, C_i, h, w) at strides 4, 8, 16, 32.
            clip: The clip itself, for its padding.
            phrase: The clip's own phrase.
            is_support: Apply the support transform before the fusion.
        """
        b = clip.frames.shape[0]
        raw = [*maps[1:], maps[-1]]
        levels = [
            p(m.flatten(0, 1)).unflatten(0, (b, -1)) for p, m in zip(self.projections, raw, strict=True)
        ]
        if is_support:
            reached = len(levels) if self.transform_all_levels else len(levels) - 1
            levels = [support_transform(x) if i < reached else x for i, x in enumerate(levels)]
        levels = [run(self.fusion, x, *phrase.as_memory, recompute=self.recompute) for x in levels]
        padding = [_shrink(clip.padding_mask, x) for x in levels]
        return Pyramid(levels, padding, maps[0], _shrink(clip.padding_mask, maps[0]))


def support_transform(x: Tensor) -> Tensor:
    """Compresses support features: g(x) = f(max(x, 0)) - f(max(-x, 0)) with f(y) = 1 / ln(1/(y + 1e-5) + 1)^1.3."""

    def compress(y: Tensor) -> Tensor:
        return 1 / torch.log(1 / (y.clamp(min=0) + 1e-5) + 1) ** 1.3

    x = full_precision(x)  # in fewer bits 1/y + 1 is 1 for a large y, and its logarithm 0
    return compress(x) - compress(-x)


def positions(padding: list[Tensor], channels: int) -> list[Tensor]:
    """Sine position of every level: (B, T, h, w) -> (B, T, C, h, w)."""
    return [position_2d(mask, channels) for mask in padding]


def _shrink(padding_mask: Tensor, like: Tensor) -> Tensor:
    """Padding of a level: the full-resolution mask, nearest."""
    return F.interpolate(padding_mask.float(), size=like.shape[-2:], mode="nearest").bool()
