"""Which network a published state dict belongs to, read off its names and shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from fsrvos.published_names import PUBLISHED_BACKBONE

Shapes = Mapping[str, tuple[int, ...]]
# What no shape tells: the network's heads, and the width of a head of RoBERTa (base and large).
HEADS, ROBERTA_HEAD_WIDTH = 8, 64

_RESNETS = {(3, 4, 6, 3): "resnet50", (3, 4, 23, 3): "resnet101"}
_SWINS = {(96, 6): "t", (96, 18): "s", (128, 18): "b", (192, 18): "l"}  # by first width and blocks of stage 3


class UnknownNetwork(ValueError):
    """The names or shapes are not those of a published network."""


def infer_config(shapes: Shapes) -> dict[str, Any]:
    """Constructor arguments of the network that a published state dict belongs to.

    Args:
        shapes: Published names and shapes. Names of ``base`` and ``self`` are the same: ``self`` is taken.

    Returns:
        Primitives for ``CMA``; its encoders load nothing.

    Raises:
        UnknownNetwork: Not a published network; the message says what is missing or unknown.
    """
    hidden_dim, levels = _shape(shapes, "input_proj.0.0.weight")[0], _count(shapes, r"input_proj\.(\d+)\.")
    mask_channels = _shape(shapes, "pixel_decoder.mask_features.weight")[0]
    variant = _variant(shapes)
    offsets = _shape(shapes, "transformer.encoder.layers.0.self_attn.sampling_offsets.weight")[0]
    return {
        "variant": variant,
        "backbone": {"name": infer_backbone(shapes), "pretrained": False, "weights": None},
        "text_encoder": _text_encoder(shapes),
        "hidden_dim": hidden_dim,
        "num_heads": HEADS,
        "num_encoder_layers": _count(shapes, r"transformer\.encoder\.layers\.(\d+)\."),
        "num_decoder_layers": _count(shapes, r"transformer\.decoder\.layers\.(\d+)\."),
        "feedforward": _shape(shapes, "transformer.encoder.layers.0.linear1.weight")[0],
        "num_points": offsets // (HEADS * levels * 2),
        "num_queries": _shape(shapes, "tgt_embed.weight" if variant == "cma" else "query_embed.weight")[0],
        "mask_channels": mask_channels,
        "dynamic_channels": _dynamic_channels(mask_channels, _shape(shapes, "controller.layers.2.bias")[0]),
    }


def infer_backbone(shapes: Shapes) -> str:
    """Our name of the backbone of a published state dict.

    Raises:
        UnknownNetwork: None that was published.
    """
    body = {
        n.removeprefix(PUBLISHED_BACKBONE): s for n, s in shapes.items() if n.startswith(PUBLISHED_BACKBONE)
    }
    depths = tuple(_count(body, rf"layer{stage}\.(\d+)\.") for stage in range(1, 5))
    if depths in _RESNETS:
        return _RESNETS[depths]
    patches = body.get("patch_embed.proj.weight")
    if patches is not None:
        size = _SWINS.get((patches[0], _count(body, r"layers\.2\.blocks\.(\d+)\.")))
        if size is not None:
            return f"{'video_swin' if len(patches) == 5 else 'swin'}_{size}"
    raise UnknownNetwork(
        f"its backbone ({len(body)} tensors below {PUBLISHED_BACKBONE!r}) is none that was published"
    )


def _variant(shapes: Shapes) -> str:
    if "tgt_embed.weight" in shapes:
        return "cma"
    return "self" if "conv_q.weight" in shapes else "referformer"


def _text_encoder(shapes: Shapes) -> dict[str, Any]:
    words = _shape(shapes, "text_encoder.embeddings.word_embeddings.weight")
    places = _shape(shapes, "text_encoder.embeddings.position_embeddings.weight")
    return {
        "name": "roberta-base",
        "pretrained": False,
        "config": {
            "vocab_size": words[0],
            "hidden_size": words[1],
            "num_attention_heads": max(1, words[1] // ROBERTA_HEAD_WIDTH),
            "max_position_embeddings": places[0],
            "num_hidden_layers": _count(shapes, r"text_encoder\.encoder\.layer\.(\d+)\."),
            "intermediate_size": _shape(shapes, "text_encoder.encoder.layer.0.intermediate.dense.weight")[0],
        },
    }


def _dynamic_channels(mask_channels: int, parameters: int) -> int:
    """Width d of the dynamic convolutions from their parameters: (C + 2) d + d d + d weights, d + d + 1 biases."""
    for d in range(1, parameters):
        if (mask_channels + 2) * d + d * d + d + 2 * d + 1 == parameters:
            return d
    raise UnknownNetwork(
        f"its mask head has {parameters} parameters for {mask_channels} mask features, which fit no width"
    )


def _shape(shapes: Shapes, name: str) -> tuple[int, ...]:
    if name not in shapes:
        raise UnknownNetwork(f"it has no tensor {name!r}")
    return tuple(shapes[name])


def _count(names: Iterable[str], pattern: str) -> int:
    """Distinct numbers that a pattern finds at the beginning of names."""
    return len({match[1] for name in names if (match := re.match(pattern, name))})
