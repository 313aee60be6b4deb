"""CMA, the network of Li et al. (ICCV 2023), assembled; ``forward`` reads like the paper's figure 2."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fsrvos.encoders.build import build_backbone
from fsrvos.encoders.text import TextEncoder
from fsrvos.errors import UserError
from fsrvos.models.affinity import AblatedAffinity, build_affinity
from fsrvos.models.answers import read_queries
from fsrvos.models.choice import choose_queries, class_head
from fsrvos.models.configuration import build_encoder, described_encoders, primitive
from fsrvos.models.features import FeaturePyramid, Phrase, Pyramid, TextProjection, positions
from fsrvos.models.foreground import EncodedSupport, SupportLevel, middle_frames
from fsrvos.models.hub import HubModel
from fsrvos.models.mask_head import DynamicMaskHead
from fsrvos.models.match_judge import MatchJudge
from fsrvos.models.phrase_judge import PhraseJudge
from fsrvos.models.pixel_decoder import CrossModalPyramid
from fsrvos.models.regroup import group_by_group, groups_of, is_tight
from fsrvos.models.transformer import DeformableTransformer
from fsrvos.structures import Clip, Match, Prediction, Segmentation, Support, Tokens

VARIANTS = ("cma", "base", "self", "referformer", "cma_plus")


class CMA(nn.Module, HubModel):
    """Few-shot referring video object segmentation network.

    Args:
        variant: ``cma`` (published), ``base`` and ``self`` (its ablations), ``referformer`` (no support),
            ``cma_plus`` (the five switches below on).
        backbone: Name for ``build_backbone``, or a mapping of ``name``, ``frozen`` and its constructor arguments.
            A frozen encoder (the default, as published) gets no gradient and stays in evaluation mode.
        text_encoder: The same for ``TextEncoder``.
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
        rest: Attention over the support may rest on nothing; its match at stride 8 can then be taught by a mask
            loss (published: no).
        judge_by_match: The class logit of a query adds how well what its mask covers matches the support; needs
            ``rest`` (published: no).
        judge_by_phrase: The class logit of a query adds how well the phrase fits what is measured on its mask: colour,
            place, area, velocity (published: no).
        choose_per_frame: ``segment`` picks the best query frame by frame; the published system picks one for the
            whole clip.
        recompute_activations: Make activations again in the backward pass: less memory, more time, the same gradients.
        all_support_frames: Every frame of every support clip is memory, not the middle one only.
        mask_background: Background support positions get no attention.
        pad_support_masks: Support masks are padded with their frames, not stretched, and padding changes nothing:
            every clip goes through the network at its own size, rounded up to a multiple of 32.
        transform_all_levels: The support transform reaches the fourth level.
        true_first_anchors: First decoder layer reads anchors as boxes.

    Switches left None follow the variant: all on for ``cma_plus``, all off else.

    Attributes:
        config: Constructor arguments, primitives only: ``CMA(**model.config)`` has the same layers, and loads
            nothing: encoders that came from the hub or a file are described by their architecture.

    Raises:
        UserError: Unknown variant or encoder.
    """

    def __init__(
        self,
        variant: str = "cma",
        *,
        backbone: str | Mapping[str, Any] = "resnet50",
        text_encoder: str | Mapping[str, Any] = "roberta-base",
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
        rest: bool = False,
        judge_by_match: bool = False,
        judge_by_phrase: bool = False,
        choose_per_frame: bool = False,
        recompute_activations: bool = False,
        all_support_frames: bool | None = None,
        mask_background: bool | None = None,
        pad_support_masks: bool | None = None,
        transform_all_levels: bool | None = None,
        true_first_anchors: bool | None = None,
    ) -> None:
        super().__init__()
        self.config = {k: primitive(v) for k, v in locals().items() if k not in ("self", "__class__")}
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
        self.choose_per_frame = choose_per_frame
        dab = variant in ("cma", "cma_plus")

        self.backbone, frozen_backbone = build_encoder(build_backbone, backbone)
        self.text_encoder, frozen_text = build_encoder(TextEncoder, text_encoder)
        self.config |= described_encoders(self.config, self.text_encoder.architecture)
        encoders = ((self.backbone, frozen_backbone), (self.text_encoder, frozen_text))
        self._frozen = [encoder for encoder, frozen in encoders if frozen]
        for module in self._frozen:
            module.requires_grad_(False)
        if dab:
            self.text_encoder.freeze_sentence()  # no path leads through it (model.md section 6)
        channels: list[int] = self.backbone.channels
        self.text_projection = TextProjection(self.text_encoder.channels, hidden_dim, dropout)
        self.pyramid = FeaturePyramid(
            channels, hidden_dim, num_heads,
            transform_all_levels=transform_all_levels, recompute=recompute_activations,
        )  # fmt: skip
        self.affinity = build_affinity(
            variant, hidden_dim, dropout,
            all_support_frames=all_support_frames, mask_background=mask_background, rest=rest,
        )  # fmt: skip
        self.transformer = DeformableTransformer(
            hidden_dim, num_heads, num_encoder_layers, num_decoder_layers, feedforward, len(channels), num_points,
            dropout, dab=dab, true_first_anchors=true_first_anchors, recompute=recompute_activations,
        )  # fmt: skip
        if dab:
            self.query_content = nn.Embedding(num_queries, hidden_dim)
            self.query_anchors = nn.Embedding(num_queries, 4)
        else:
            self.query_position = nn.Embedding(num_queries, hidden_dim)
        if judge_by_match and not (dab and rest):
            raise UserError("model.judge_by_match needs matches with the support: set model.rest=true")
        judges = (MatchJudge() for _ in range(num_decoder_layers))
        self.judges = nn.ModuleList(judges) if judge_by_match else None
        self.phrase_judge = PhraseJudge(hidden_dim) if judge_by_phrase else None
        self.class_heads = nn.ModuleList(class_head(hidden_dim) for _ in range(num_decoder_layers))
        self.pixel_decoder = CrossModalPyramid(
            [channels[0], *[hidden_dim] * 3], hidden_dim, mask_channels, num_heads, feedforward, dropout,
            recompute=recompute_activations,
        )  # fmt: skip
        self.mask_head = DynamicMaskHead(hidden_dim, mask_channels, dynamic_channels, coordinate_scale)

    @property
    def uses_support(self) -> bool:
        """Whether the variant reads support clips at all."""
        return self.affinity is not None

    @property
    def adds_frame_by_frame(self) -> bool:
        """Whether support frame t meets query frame t alone, so that a window is no longer than the support."""
        return isinstance(self.affinity, AblatedAffinity)

    @property
    def _reads_middle_frame(self) -> bool:
        """Whether no other support frame reaches the answer: not through a backbone that mixes frames, or batch norm."""
        reads_one = self.affinity is not None and self.affinity.reads_middle_frame
        by_frame = self.backbone.by_frame and not self.backbone.training
        return reads_one and by_frame and not self.pad_support_masks

    def train(self, mode: bool = True) -> CMA:
        """Training mode, in which frozen encoders stay in evaluation mode."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(
        self,
        query: Clip,
        support: Support | EncodedSupport | None = None,
        maps: list[Tensor] | None = None,
        *,
        every_layer: bool = True,
    ) -> Prediction:
        """Segments query clips.

        Args:
            query: B clips with their phrases.
            support: N annotated clips of the same categories; encoded already, to be used again; None: none is shown.
            maps: What the backbone says of the query's frames, where that is known, as for a further phrase.
            every_layer: The earlier decoder layers answer too, as the loss asks for; the answer is the last one's,
                which is the same without them.

        Returns:
            The last decoder layer's prediction, with those of the earlier layers in ``auxiliary``.

        Raises:
            ValueError: Encoded support or maps, of a network to which padding is not to matter, with clips that are
                padded to more than a multiple of 32.
        """
        if self.pad_support_masks and not is_tight(query, groups := groups_of(query)):
            if isinstance(support, EncodedSupport) or maps is not None:
                raise ValueError("encoded support and maps go with clips of one size, padded to whole cells")
            return group_by_group(partial(self, every_layer=every_layer), query, support, groups)
        features, phrase = self.encode(query, maps=maps)
        related, matches = self.relate(features, self.show(support, features))
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
        prediction = read_queries(
            decoded, mask_features, query.sizes, self.class_heads, self.mask_head, every_layer=every_layer
        )
        prediction.matches = matches
        seen = (query.frames, features.finest_padding, phrase)
        layers = [*prediction.auxiliary, prediction]
        for i, layer in enumerate(layers, start=-len(layers)):
            if self.judges is not None:
                layer.logits = layer.logits + self.judges[i](layer.masks, matches[0])
            if self.phrase_judge is not None:
                layer.logits = layer.logits + self.phrase_judge(layer.masks, layer.boxes, *seen)
        return prediction

    def encode(
        self, clip: Clip, *, maps: list[Tensor] | None = None, is_support: bool = False
    ) -> tuple[Pyramid, Phrase]:
        """Backbone (unless ``maps`` are known), words and early fusion of clips, query and support alike."""
        phrase = self.read(clip.expressions, clip.tokens)
        maps = self.backbone(clip.frames) if maps is None else maps
        return self.pyramid(maps, clip, phrase, is_support=is_support), phrase

    def read(self, phrases: list[str], tokens: Tokens | None = None) -> Phrase:
        """Words of phrases, tokenised already or not."""
        tokens = (tokens or self.text_encoder.tokenize(phrases)).to(self.text_projection.linear.weight.device)
        return self.text_projection(*self.text_encoder(tokens), tokens.padding_mask)

    def fit(self, clip: Clip, masks: Tensor, boxes: Tensor, phrases: list[str], owner: Tensor) -> Tensor:
        """How well P phrases fit given objects of their clips: masks (B, T, K, H, W), boxes (B, T, K, 4) -> (P, T, K)."""
        if self.phrase_judge is None:
            raise UserError("criterion.phrase_weight above 0 needs model.judge_by_phrase=true")
        phrase = self.read(phrases)
        return self.phrase_judge.fit(masks.float(), boxes, clip.frames, clip.padding_mask, phrase, owner)

    def encode_support(self, support: Support) -> EncodedSupport:
        """What is made of the support alone; where padding is not to matter, size by size."""
        if self._reads_middle_frame:
            support = middle_frames(support)
        groups = groups_of(support) if self.pad_support_masks else []
        groups = [] if is_tight(support, groups) else groups
        clips = [group.cut(support) for group in groups] or [support]
        levels = [self.encode(clip, is_support=True)[0].levels for clip in clips]
        return EncodedSupport(clips, levels, groups, support.owner, self.pad_support_masks)

    def show(self, support: Support | EncodedSupport | None, query: Pyramid) -> list[SupportLevel] | None:
        """The support's object as the query's features meet it, level by level; None of a network without support."""
        if support is None or not self.uses_support:
            return None
        if not isinstance(support, EncodedSupport):
            support = self.encode_support(support)
        return support.foreground(query)

    def relate(self, features: Pyramid, shown: list[SupportLevel] | None) -> tuple[list[Tensor], list[Match]]:
        """The cross-modal affinity, level by level, and the matches with the support."""
        if self.affinity is None:
            return features.levels, []
        supports = shown if shown is not None else [None] * len(features.levels)
        levels = zip(features.levels, features.padding, supports, strict=True)
        related, matches = zip(*(self.affinity(*level) for level in levels), strict=True)
        return list(related), [m for m in matches if m is not None]

    def _queries(self, phrase: Phrase, frames: int) -> tuple[Tensor, Tensor]:
        """Content (B*T, Q, C) and anchors (Q, 4) or positions (Q, C)."""
        n = phrase.sentence.shape[0] * frames
        if self.transformer.dab:
            return self.query_content.weight.expand(n, -1, -1), self.query_anchors.weight
        sentence = phrase.sentence.repeat_interleave(frames, dim=0)
        return sentence[:, None].expand(-1, self.num_queries, -1), self.query_position.weight

    @torch.no_grad()
    def segment(self, query: Clip, support: Support | EncodedSupport | None = None) -> Segmentation:
        """Masks of the query that answers best, over the whole clip or frame by frame (model.md section 10)."""
        is_frame = ~query.padding_mask.flatten(2).all(-1)
        prediction = self(query, support, every_layer=False)
        return choose_queries(prediction, is_frame, frame_by_frame=self.choose_per_frame)
