"""Attention between pixels and words: early fusion, and the block of the cross-modal FPN."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from fsrvos.layers.feed_forward import feed_forward


class EarlyFusion(nn.Module):
    """Multiplies visual features by what they find in the phrase (model.md section 4)."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, num_heads, batch_first=True)
        # A fresh network starts close to the identity: else random words scramble what it sees, and query and
        # support, whose phrases differ, do not look alike.
        with torch.no_grad():
            self.attention.out_proj.weight.mul_(0.1)
            self.attention.out_proj.bias.fill_(1.0)

    def forward(self, features: Tensor, words: Tensor, word_position: Tensor, word_padding: Tensor) -> Tensor:
        """Fuses clips with their phrases.

        Args:
            features: (B, T, C, h, w).
            words: (B, L, C).
            word_position: (B, L, C).
            word_padding: (B, L) bool.

        Returns:
            (B, T, C, h, w).
        """
        _, t, _, h, w = features.shape
        pixels = rearrange(features, "b t c h w -> b (t h w) c")
        found, _ = self.attention(
            pixels, words + word_position, words, key_padding_mask=word_padding, need_weights=False
        )
        return rearrange(pixels * found, "b (t h w) c -> b t c h w", t=t, h=h, w=w)


class VisionLanguageBlock(nn.Module):
    """Self-attention over a clip, cross-attention to the words, feed-forward; post-norm (model.md section 7).

    Args:
        channels: C.
        num_heads: Heads.
        feedforward: Hidden width of the feed-forward network.
        reduction: Spatial reduction of the self-attention: maps shrink to h // reduction.
        dropout: Probability.
    """

    def __init__(
        self, channels: int, num_heads: int, feedforward: int, reduction: int, dropout: float
    ) -> None:
        super().__init__()
        self.reduction = reduction
        self.self_attention = nn.MultiheadAttention(channels, num_heads, dropout=dropout, batch_first=True)
        self.cross_attention = nn.MultiheadAttention(channels, num_heads, dropout=dropout, batch_first=True)
        self.linear1 = nn.Linear(channels, feedforward)
        self.linear2 = nn.Linear(feedforward, channels)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        features: Tensor,
        position: Tensor,
        padding_mask: Tensor,
        words: Tensor,
        word_position: Tensor,
        word_padding: Tensor,
    ) -> Tensor:
        """Refines one level of a clip.

        Args:
            features: (B, T, C, h, w).
            position: (B, T, C, h, w).
            padding_mask: (B, T, h, w) bool.
            words: (B, L, C).
            word_position: (B, L, C).
            word_padding: (B, L) bool.

        Returns:
            (B, T, C, h, w).
        """
        t, h, w = padding_mask.shape[1:]
        x, pixel_position = (rearrange(m, "b t c h w -> b (t h w) c") for m in (features, position))
        seen = self._attend_clip(features, position, padding_mask)
        x = self.norm1(x + self.dropout(seen))
        read, _ = self.cross_attention(
            x + pixel_position,
            words + word_position,
            words,
            key_padding_mask=word_padding,
            need_weights=False,
        )
        x = self.norm2(x + self.dropout(read))
        x = self.norm3(x + self.dropout(feed_forward(x, self.linear1, self.linear2, self.dropout)))
        return rearrange(x, "b (t h w) c -> b t c h w", t=t, h=h, w=w)

    def _attend_clip(self, features: Tensor, position: Tensor, padding_mask: Tensor) -> Tensor:
        """Self-attention over all frames at reduced resolution: (B, T*h*w, C)."""
        b, t, _, h, w = features.shape
        small = (max(1, h // self.reduction), max(1, w // self.reduction))
        maps, places = features.flatten(0, 1), position.flatten(0, 1)
        mask = padding_mask
        if self.reduction > 1:
            maps, places = (F.interpolate(m, size=small, mode="nearest") for m in (maps, places))
            mask = F.interpolate(mask.float(), size=small, mode="nearest").bool()
        tokens, token_position = (rearrange(m, "(b t) c h w -> b (t h w) c", b=b) for m in (maps, places))
        key = tokens + token_position
        seen, _ = self.self_attention(key, key, tokens, key_padding_mask=mask.flatten(1), need_weights=False)
        if self.reduction > 1:
            seen = rearrange(seen, "b (t h w) c -> (b t) c h w", t=t, h=small[0], w=small[1])
            seen = F.interpolate(seen, size=(h, w), mode="bilinear", align_corners=False)
            return rearrange(seen, "(b t) c h w -> b (t h w) c", b=b)
        return seen
