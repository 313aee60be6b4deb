"""CMA, the network of Li et al. (ICCV 2023), assembled; ``forward`` reads like the paper's figure 2."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fsrvos.encoders.build import build_backbone
from fsrvos.encoders.text import TextEncoder
from fsrvos.errors import UserError
from fsrvos.models.affinity import AblatedAffinity, CrossModalAffinity, SupportLevel, published_foreground
from fsrvos.models.features import FeaturePyramid, Phrase, Pyramid, TextProjection, positions
from fsrvos.models.mask_head import DynamicMaskHead
from fsrvos.models.pixel_decoder import CrossModalPyramid
from fsrvos.models.transformer import Decoded, DeformableTransformer
from fsrvos.structures import Clip, Prediction, Segmentation, Support, Tokens

VARIANTS = ("cma", "base", "self", "referformer", "cma_plus")
PUBLISHED = {
    "all_support_frames": False,
    "mask_background": False,
    "pad_support_masks": False,
    "transform_all_levels": False,
    "true_first_anchors": False,
}


class CMA(nn.Module):
    """Few-shot referring video object segmentation network.

    Args:
        variant: ``cma`` (published), ``base`` and ``self`` (its ablations), ``referformer`` (no support),
            ``cma_plus`` (the five switches below on).
        backbone: Name for ``build_backbone``.
        backbone_options: Its constructor arguments.
        text_encoder: Name for ``TextEncoder``.
        text_options: Its constructor arguments.
        freeze_backbone: Backbone gets no gradient and stays in evaluation mode, as published.
        freeze_text_encoder: The same for the text encoder.
        hidden_dim: C.
        num_heads: Heads everywhere.
        num_encoder_layers: Deformable encoder layers.
        num_decoder_layers: Decoder layers.
        feedforward: Hidden width of all feed-forward networks.
        num_points: Sampling points of deformable attention.
        num_queries: Q, object hypotheses a frame.
        dropout: Probability.
        mask_channels: Width of the mask features.
        dynamic_channels: Width of the dynamic convolutions.
        coordinate_scale: Factor on the mask head's pixel coordinates (published: 1).
        affinity_head: Reads a mask off the affinity at stride 8, for an auxiliary loss (published: none).
        all_support_frames: Every frame of every support clip is memory, not the middle one only.
        mask_background: Background support positions get no attention.
        pad_support_masks: Support masks are padded with their frames, not stretched.
        transform_all_levels: The support transform reaches the fourth level.
        true_first_anchors: First decoder layer reads anchors as boxes.

    Switches left None follow the variant: all on for ``cma_plus``, all off else.

    Raises:
        UserError: Unknown variant or encoder.
    """

    def __init__(
        self,
        variant: str = "cma",
        *,
        backbone: str = "resnet50",
        backbone_options: Mapping[str, Any] | None = None,
        text_encoder: str = "roberta-base",
        text_options: Mapping[str, Any] | None = None,
        freeze_backbone: bool = True,
        freeze_text_encoder: bool = True,
        hidden_dim: int = 256,
        num_heads: int = 8,
        num_encoder_layers: int = 4,
        num_decoder_layers: int = 4,
        feedforward: int = 2048,
        num_points: int = 4,
        num_queries: int = 5,
        dropout: float = 0.1,
        mask_channels: int = 256,
        dynamic_channels: int = 8,
        coordinate_scale: float = 1.0,
        affinity_head: bool = False,
        all_support_frames: bool | None = None,
        mask_background: bool | None = None,
        pad_support_masks: bool | None = None,
        transform_all_levels: bool | None = None,
        true_first_anchors: bool | None = None,
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise UserError(f"model variant must be one of {', '.join(VARIANTS)}; got {variant!r}")
        plus = variant == "cma_plus"
        all_support_frames, mask_background, self.pad_support_masks, transform_all_levels, true_first_anchors = (
            plus if switch is None else switch
            for switch in (
                all_support_frames, mask_background, pad_support_masks, transform_all_levels, true_first_anchors,
            )
        )  # fmt: skip
        self.variant, self.hidden_dim, self.num_queries = variant, hidden_dim, num_queries
        dab = variant in ("cma", "cma_plus")

        self.backbone = build_backbone(backbone, **(backbone_options or {}))
        self.text_encoder = TextEncoder(text_encoder, **(text_options or {}))
        self._frozen = [m for m, f in ((self.backbone, freeze_backbone), (self.text_encoder, freeze_text_encoder)) if f]
        for module in self._frozen:
            module.requires_grad_(False)
        if dab:
            self.text_encoder.freeze_sentence()  # no path leads through it (model.md section 6)
        channels: list[int] = self.backbone.channels  # type: ignore[assignment]
        self.text_projection = TextProjection(self.text_encoder.channels, hidden_dim, dropout)
        self.pyramid = FeaturePyramid(channels, hidden_dim, num_heads, transform_all_levels=transform_all_levels)
        self.affinity: CrossModalAffinity | AblatedAffinity | None = None
        if dab:
            self.affinity = CrossModalAffinity(
                hidden_dim, dropout, all_support_frames=all_support_frames, mask_background=mask_background
            )
        elif variant != "referformer":
            self.affinity = AblatedAffinity(hidden_dim, dropout, variant)
        self.transformer = DeformableTransformer(
            hidden_dim, num_heads, num_encoder_layers, num_decoder_layers, feedforward, len(channels), num_points,
            dropout, dab=dab, true_first_anchors=true_first_anchors,
        )  # fmt: skip
        if dab:
            self.query_content = nn.Embedding(num_queries, hidden_dim)
            self.query_anchors = nn.Embedding(num_queries, 4)
        else:
            self.query_position = nn.Embedding(num_queries, hidden_dim)
        self.class_heads = nn.ModuleList(nn.Linear(hidden_dim, 1) for _ in range(num_decoder_layers))
        for head in self.class_heads:
            nn.init.constant_(head.bias, -math.log(99))
        self.pixel_decoder = CrossModalPyramid(
            [channels[0], *[hidden_dim] * 3], hidden_dim, mask_channels, num_heads, feedforward, dropout
        )
        self.mask_head = DynamicMaskHead(hidden_dim, mask_channels, dynamic_channels, coordinate_scale)
        self.affinity_head = nn.Conv2d(hidden_dim, 1, 1) if affinity_head else None

    @property
    def uses_support(self) -> bool:
        """Whether the variant reads support clips at all."""
        return self.affinity is not None

    def train(self, mode: bool = True) -> CMA:
        """Training mode, in which frozen encoders stay in evaluation mode."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(self, query: Clip, support: Support | None = None) -> Prediction:
        """Segments query clips.

        Args:
            query: B clips with their phrases.
            support: N annotated clips of the same categories; None: none is shown.

        Returns:
            The last decoder layer's prediction, with those of the earlier layers in ``auxiliary``.
        """
        features, phrase = self.encode(query)
        shown = self.encode_support(support, features) if support is not None and self.uses_support else None
        related = self.relate(features, shown)
        position = positions([features.finest_padding, *features.padding], self.hidden_dim)
        memory = self.transformer.encode(
            *([x.flatten(0, 1) for x in levels] for levels in (related, features.padding, position[1:]))
        )
        decoded = self.transformer.decode(memory, *self._queries(phrase, query.frames.shape[1]))
        mask_features = self.pixel_decoder(
            [features.finest, *(memory.level(i).unflatten(0, query.frames.shape[:2]) for i in range(3))],
            position[:4],
            [features.finest_padding, *features.padding[:3]],
            phrase.as_memory,
        )
        prediction = self.segment_queries(decoded, mask_features, query.sizes)
        if self.affinity_head is not None:
            prediction.affinity_masks = self.affinity_head(related[0].flatten(0, 1)).unflatten(0, query.frames.shape[:2])[:, :, 0]
        return prediction

    def encode(self, clip: Clip, *, is_support: bool = False) -> tuple[Pyramid, Phrase]:
        """Backbone, words and early fusion of clips, query and support alike."""
        tokens: Tokens = clip.tokens or self.text_encoder.tokenize(clip.expressions)
        tokens = tokens.to(clip.frames.device)
        phrase = self.text_projection(*self.text_encoder(tokens), tokens.padding_mask)
        return self.pyramid(self.backbone(clip.frames), clip, phrase, is_support=is_support), phrase

    def encode_support(self, support: Support, query: Pyramid) -> list[SupportLevel]:
        """Foreground features of the support, level by level."""
        shown, _ = self.encode(support, is_support=True)
        return [
            published_foreground(s, support, tuple(q.shape[-2:]), pad_masks=self.pad_support_masks)
            for s, q in zip(shown.levels, query.levels, strict=True)
        ]

    def relate(self, features: Pyramid, shown: list[SupportLevel] | None) -> list[Tensor]:
        """The cross-modal affinity, level by level."""
        if self.affinity is None:
            return features.levels
        supports = shown if shown is not None else [None] * len(features.levels)
        return [
            self.affinity(x, padding, s)
            for x, padding, s in zip(features.levels, features.padding, supports, strict=True)
        ]

    def _queries(self, phrase: Phrase, frames: int) -> tuple[Tensor, Tensor]:
        """Content (B*T, Q, C) and anchors (Q, 4) or positions (Q, C)."""
        n = phrase.sentence.shape[0] * frames
        if self.transformer.dab:
            return self.query_content.weight.expand(n, -1, -1), self.query_anchors.weight
        sentence = phrase.sentence.repeat_interleave(frames, dim=0)
        return sentence[:, None].expand(-1, self.num_queries, -1), self.query_position.weight

    def segment_queries(self, decoded: Decoded, mask_features: Tensor, sizes: Tensor) -> Prediction:
        """Class, box and mask of every query, from each decoder layer's states.

        Args:
            decoded: States and boxes of B*T frames.
            mask_features: (B, T, C_mask, h, w).
            sizes: (B, 2) height and width of the unpadded frames.
        """
        b, t = mask_features.shape[:2]
        to_pixels = sizes.flip(-1).repeat_interleave(t, dim=0)[:, None]
        layers = []
        for head, states, boxes in zip(self.class_heads, decoded.states, decoded.boxes, strict=True):
            centres = boxes[..., :2].detach() * to_pixels
            masks = self.mask_head(states, centres, mask_features.flatten(0, 1))
            layers.append(
                Prediction(*(x.unflatten(0, (b, t)) for x in (head(states)[..., 0], boxes, masks)))
            )
        last = layers.pop()
        last.auxiliary = layers
        return last

    @torch.no_grad()
    def segment(self, query: Clip, support: Support | None = None) -> Segmentation:
        """Masks of the one query that answers best over the whole clip (model.md section 10)."""
        prediction = self(query, support)
        scores = prediction.logits.sigmoid().mean(1)
        score, best = scores.max(-1)
        rows = torch.arange(len(best), device=best.device)
        return Segmentation(prediction.masks[rows, :, best], prediction.boxes[rows, :, best], score, best)
