"""Cross-modal feature pyramid: encoder memory and words to mask features (model.md section 7)."""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from fsrvos.layers.recompute import run
from fsrvos.layers.vision_language import VisionLanguageBlock
from fsrvos.models.mask_features import MaskFeatures

REDUCTIONS = (8, 4, 2, 1)


class PyramidStage(nn.Module):
    """Lateral 1x1, vision-language block, top-down sum, 3x3 output."""

    def __init__(
        self, in_channels: int, channels: int, heads: int, feedforward: int, reduction: int, dropout: float
    ) -> None:
        super().__init__()
        self.lateral = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, bias=False), nn.GroupNorm(8, channels)
        )
        self.block = VisionLanguageBlock(channels, heads, feedforward, reduction, dropout)
        self.output = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.GroupNorm(8, channels), nn.ReLU()
        )

    def forward(
        self,
        features: Tensor,
        position: Tensor,
        padding_mask: Tensor,
        phrase: tuple[Tensor, Tensor, Tensor],
        coarser: Tensor | None,
    ) -> Tensor:
        """One level (B, T, C_in, h, w), with the coarser stage's output (B*T, C, h', w') -> (B*T, C, h, w)."""
        batch = features.shape[0]
        x = rearrange(self.lateral(features.flatten(0, 1)), "(b t) c h w -> b t c h w", b=batch)
        x = self.block(x, position, padding_mask, *phrase).flatten(0, 1)
        if coarser is not None:
            x = x + F.interpolate(coarser, size=x.shape[-2:], mode="nearest")
        return self.output(x)


class CrossModalPyramid(nn.Module):
    """Four stages, stride 32 to stride 4, then mask features.

    Args:
        in_channels: Width of the four inputs, stride 4 first.
        channels: C.
        mask_channels: Width of the mask features.
        num_heads: Heads of the blocks.
        feedforward: Hidden width of the blocks.
        dropout: Probability.
        recompute: Keep no activations of the stages for the backward pass.
    """

    def __init__(
        self,
        in_channels: list[int],
        channels: int,
        mask_channels: int,
        num_heads: int,
        feedforward: int,
        dropout: float,
        *,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.recompute = recompute
        self.stages = nn.ModuleList(
            PyramidStage(width, channels, num_heads, feedforward, reduction, dropout)
            for width, reduction in zip(in_channels, REDUCTIONS, strict=True)
        )
        self.mask_features = nn.Conv2d(channels, mask_channels, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, VisionLanguageBlock):
                for parameter in module.parameters():
                    if parameter.dim() > 1:
                        nn.init.xavier_uniform_(parameter)

    def forward(
        self,
        features: list[Tensor],
        position: list[Tensor],
        padding: list[Tensor],
        phrase: tuple[Tensor, Tensor, Tensor],
    ) -> MaskFeatures:
        """Merges the levels top-down.

        Args:
            features: Four maps (B, T, C_in, h, w), stride 4 first.
            position: The same (B, T, C, h, w).
            padding: The same (B, T, h, w) bool.
            phrase: Words (B, L, C), their position (B, L, C), their padding (B, L).

        Returns:
            Mask features of the B*T frames at stride 4.
        """
        merged: Tensor | None = None
        for level in reversed(range(len(self.stages))):
            given = (features[level], position[level], padding[level], phrase, merged)
            merged = run(self.stages[level], *given, recompute=self.recompute)
        assert merged is not None
        return MaskFeatures(merged, self.mask_features)
