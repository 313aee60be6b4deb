"""Deformable transformer: one frame at a time, with a DAB or a ReferFormer decoder (model.md section 6)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from fsrvos.layers.deformable_attention import DeformableAttention
from fsrvos.layers.feed_forward import feed_forward
from fsrvos.layers.mlp import MLP
from fsrvos.layers.position import position_of_boxes
from fsrvos.layers.recompute import run
from fsrvos.ops.precision import full_precision, in_float32

INVERSE_SIGMOID_CLAMP = 1e-5


def inverse_sigmoid(x: Tensor) -> Tensor:
    """Logit, with x and 1 - x each kept above 1e-5 (not torch.logit's eps, which clamps x on both sides)."""
    x = x.clamp(0, 1)
    return torch.log(x.clamp(min=INVERSE_SIGMOID_CLAMP) / (1 - x).clamp(min=INVERSE_SIGMOID_CLAMP))


@dataclass
class Memory:
    """Flattened levels: tokens (n, sum h*w, C), padding (n, sum h*w), valid ratios (n, levels, 2) as w h, shapes."""

    tokens: Tensor
    padding_mask: Tensor
    valid_ratios: Tensor
    shapes: list[tuple[int, int]]

    def level(self, index: int) -> Tensor:
        """Map of one level: (n, C, h, w)."""
        parts = self.tokens.split([h * w for h, w in self.shapes], dim=1)
        return parts[index].transpose(1, 2).unflatten(-1, self.shapes[index])


@dataclass
class Decoded:
    """An entry a layer: states (n, Q, C), boxes (n, Q, 4), references before the layer (n, Q, 2 or 4)."""

    states: list[Tensor]
    boxes: list[Tensor]
    references: list[Tensor]


class EncoderLayer(nn.Module):
    """Deformable self-attention and feed-forward, post-norm."""

    def __init__(
        self, channels: int, heads: int, levels: int, points: int, feedforward: int, dropout: float
    ) -> None:
        super().__init__()
        self.self_attention = DeformableAttention(channels, heads, levels, points)
        self.linear1, self.linear2 = nn.Linear(channels, feedforward), nn.Linear(feedforward, channels)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, memory: Memory, position: Tensor, references: Tensor) -> Tensor:
        """(n, sum h*w, C) -> the same."""
        x = memory.tokens
        seen = self.self_attention(x + position, references, x, memory.padding_mask, memory.shapes)
        x = self.norm1(x + self.dropout(seen))
        return self.norm2(x + self.dropout(feed_forward(x, self.linear1, self.linear2, self.dropout)))


class DecoderLayer(nn.Module):
    """Self-attention over the queries, deformable cross-attention, feed-forward; post-norm.

    The norms stand in the published order: norm2 after self-attention, norm1 after cross-attention.
    """

    def __init__(
        self, channels: int, heads: int, levels: int, points: int, feedforward: int, dropout: float
    ) -> None:
        super().__init__()
        self.self_attention = nn.MultiheadAttention(channels, heads, dropout=dropout, batch_first=True)
        self.cross_attention = DeformableAttention(channels, heads, levels, points)
        self.linear1, self.linear2 = nn.Linear(channels, feedforward), nn.Linear(feedforward, channels)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, position: Tensor, references: Tensor, memory: Memory) -> Tensor:
        """Content (n, Q, C), position (n, Q, C), references (n, Q, levels, 2 or 4) -> content (n, Q, C)."""
        key = x + position
        seen, _ = self.self_attention(key, key, x, need_weights=False)
        x = self.norm2(x + self.dropout(seen))
        found = self.cross_attention(
            x + position, references, memory.tokens, memory.padding_mask, memory.shapes
        )
        x = self.norm1(x + self.dropout(found))
        return self.norm3(x + self.dropout(feed_forward(x, self.linear1, self.linear2, self.dropout)))


class DeformableTransformer(nn.Module):
    """Encodes related features and decodes object queries, frame by frame.

    Args:
        channels: C.
        num_heads: Heads.
        num_encoder_layers: Encoder layers.
        num_decoder_layers: Decoder layers.
        feedforward: Hidden width of the feed-forward networks.
        num_levels: Feature levels.
        num_points: Sampling points a head and level.
        dropout: Probability.
        dab: Queries are content and 4-D anchors (CMA); else the sentence is the content (ReferFormer).
        true_first_anchors: First DAB layer reads the anchors as boxes on every level. The published network
            (False) broadcasts them over levels instead, which needs exactly four levels.
        recompute: Keep no activations of the layers for the backward pass.

    Raises:
        ValueError: ``dab`` without ``true_first_anchors`` on other than four levels.
    """

    def __init__(
        self,
        channels: int = 256,
        num_heads: int = 8,
        num_encoder_layers: int = 4,
        num_decoder_layers: int = 4,
        feedforward: int = 2048,
        num_levels: int = 4,
        num_points: int = 4,
        dropout: float = 0.1,
        *,
        dab: bool = True,
        true_first_anchors: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        if dab and not true_first_anchors and num_levels != 4:
            raise ValueError(f"the published DAB decoder needs num_levels=4, got {num_levels}")
        self.dab, self.true_first_anchors, self.channels = dab, true_first_anchors, channels
        self.recompute = recompute
        sizes = (channels, num_heads, num_levels, num_points, feedforward, dropout)
        self.encoder_layers = nn.ModuleList(EncoderLayer(*sizes) for _ in range(num_encoder_layers))
        self.decoder_layers = nn.ModuleList(DecoderLayer(*sizes) for _ in range(num_decoder_layers))
        self.level_embedding = nn.Parameter(torch.randn(num_levels, channels))
        self.box_heads = nn.ModuleList(MLP(channels, channels, 4, 3) for _ in range(num_decoder_layers))
        if dab:
            self.query_scale = MLP(channels, channels, channels, 2)
            self.anchor_head = MLP(2 * channels, channels, channels, 2)
            # It speaks from the second layer on: of a single layer no path leads through it.
            self.query_scale.requires_grad_(num_decoder_layers > 1)
        else:
            self.reference_points = nn.Linear(channels, 2)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier for matrices, the rays of deformable attention, boxes that start at their references."""
        for layers in (self.encoder_layers, self.decoder_layers):
            for parameter in layers.parameters():
                if parameter.dim() > 1:
                    nn.init.xavier_uniform_(parameter)
        for module in self.modules():
            if isinstance(module, DeformableAttention):
                module.reset_parameters()
        for i, head in enumerate(self.box_heads):
            assert isinstance(head, MLP)
            nn.init.zeros_(head.last.weight)
            nn.init.zeros_(head.last.bias)
            if i == 0:
                nn.init.constant_(head.last.bias[2:], -2.0)
        if not self.dab:
            nn.init.xavier_uniform_(self.reference_points.weight)
            nn.init.zeros_(self.reference_points.bias)

    def encode(self, features: list[Tensor], padding: list[Tensor], position: list[Tensor]) -> Memory:
        """Lets every cell look around on all levels.

        Args:
            features: Levels (n, C, h, w), n frames.
            padding: Levels (n, h, w) bool.
            position: Levels (n, C, h, w).
        """
        shapes = [(f.shape[-2], f.shape[-1]) for f in features]
        placed = _flatten([p + self.level_embedding[i][:, None, None] for i, p in enumerate(position)])
        memory = Memory(
            _flatten(features), torch.cat([m.flatten(1) for m in padding], 1), _valid_ratios(padding), shapes
        )
        references = _cell_centres(memory)
        for layer in self.encoder_layers:
            tokens = run(layer, memory, placed, references, recompute=self.recompute)
            memory = replace(memory, tokens=tokens)  # a new one, since layers may be run again
        return memory

    def decode(self, memory: Memory, content: Tensor, anchors: Tensor) -> Decoded:
        """Refines object queries layer by layer; boxes are float32.

        Args:
            memory: Encoded frames.
            content: (n, Q, C), DAB: learned content; else the sentence.
            anchors: DAB: (Q, 4) boxes before the sigmoid; else (Q, C) query positions.
        """
        n = content.shape[0]
        with in_float32(content.device):
            start = anchors.sigmoid() if self.dab else self.reference_points(anchors).sigmoid()
        reference = start.expand(n, -1, -1)
        decoded = Decoded([], [], [])
        for i, (layer, box_head) in enumerate(zip(self.decoder_layers, self.box_heads, strict=True)):
            placed = self._place(reference, memory.valid_ratios, first=i == 0)
            position = (
                self._query_position(content, placed, first=i == 0) if self.dab else anchors.expand(n, -1, -1)
            )
            content = run(layer, content, position, placed, memory, recompute=self.recompute)
            with in_float32(content.device):
                logits = box_head(full_precision(content))
            known = reference.shape[-1]
            boxes = torch.cat(
                (logits[..., :known] + inverse_sigmoid(reference), logits[..., known:]), -1
            ).sigmoid()
            decoded.states.append(content)
            decoded.boxes.append(boxes)
            decoded.references.append(reference)
            reference = boxes.detach()
        return decoded

    def _place(self, reference: Tensor, valid_ratios: Tensor, *, first: bool) -> Tensor:
        """References on every padded level: (n, Q, levels, 2 or 4)."""
        if reference.shape[-1] == 2:
            return reference[:, :, None] * valid_ratios[:, None]
        ratios = torch.cat((valid_ratios, valid_ratios), -1)[:, None]
        if first and self.dab and not self.true_first_anchors:
            # The published slip: coordinate l of the anchor stands for the whole box on level l.
            return reference[..., None] * ratios
        return reference[:, :, None] * ratios

    def _query_position(self, content: Tensor, placed: Tensor, *, first: bool) -> Tensor:
        position = self.anchor_head(position_of_boxes(placed[:, :, 0], self.channels))
        return position if first else position * self.query_scale(content)


def _flatten(levels: list[Tensor]) -> Tensor:
    return torch.cat([level.flatten(2).transpose(1, 2) for level in levels], dim=1)


def _valid_ratios(padding: list[Tensor]) -> Tensor:
    """Share of every level that is not padded: (n, levels, 2) as w, h."""
    ratios = [torch.stack(((~m)[:, 0].float().mean(-1), (~m)[:, :, 0].float().mean(-1)), -1) for m in padding]
    return torch.stack(ratios, dim=1)


def _cell_centres(memory: Memory) -> Tensor:
    """Centre of every cell, as a reference on every level: (n, sum h*w, levels, 2)."""
    device, ratios = memory.tokens.device, memory.valid_ratios
    centres = []
    for level, (h, w) in enumerate(memory.shapes):
        y, x = torch.meshgrid(
            torch.arange(h, device=device) + 0.5, torch.arange(w, device=device) + 0.5, indexing="ij"
        )
        cells = torch.stack((x, y), -1).flatten(0, 1)
        size = ratios[:, level] * torch.tensor((w, h), device=device)
        centres.append(cells / size[:, None])
    return torch.cat(centres, 1)[:, :, None] * ratios[:, None]
