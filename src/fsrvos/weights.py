"""Names of the published state dict (model.md section 11), and what they are called here."""

from __future__ import annotations

import re

from torch import Tensor

# Published -> ours, applied in order, each once; (pattern, replacement).
_RENAMES = [
    (r"^backbone\.0\.body\.", "backbone.body."),
    (r"^text_encoder\.", "text_encoder.model."),
    (r"^resizer\.fc\.", "text_projection.linear."),
    (r"^resizer\.layer_norm\.", "text_projection.norm."),
    (r"^input_proj\.", "pyramid.projections."),
    (r"^fusion_module\.multihead_attn\.", "pyramid.fusion.attention."),
    (r"^support_qkv\.", "affinity.of_support."),
    (r"^query_qkv\.", "affinity.of_query."),
    (r"^(affinity\.of_\w+)\.Key\.", r"\1.key."),
    (r"^(affinity\.of_\w+)\.Value\.", r"\1.value."),
    (r"^conv_q\.", "affinity.keep."),
    (r"^layer_norm\.", "affinity.norm."),
    (r"^transformer\.level_embed$", "transformer.level_embedding"),
    (r"^transformer\.(encoder|decoder)\.layers\.", r"transformer.\1_layers."),
    (r"^transformer\.decoder\.query_scale\.", "transformer.query_scale."),
    (r"^transformer\.decoder\.ref_point_head\.", "transformer.anchor_head."),
    (r"^bbox_embed\.", "transformer.box_heads."),
    (r"\.self_attn\.", ".self_attention."),
    (r"\.cross_attn\.", ".cross_attention."),
    (r"\.value_proj\.", ".value_projection."),
    (r"\.output_proj\.", ".output_projection."),
    (r"^class_embed\.", "class_heads."),
    (r"^tgt_embed\.", "query_content."),
    (r"^refpoint_embed\.", "query_anchors."),
    (r"^query_embed\.", "query_position."),
    (r"^controller\.", "mask_head.controller."),
    (r"^pixel_decoder\.adapter_(\d)\.norm\.", r"pixel_decoder.stages.\1.lateral.1."),
    (r"^pixel_decoder\.adapter_(\d)\.", r"pixel_decoder.stages.\1.lateral.0."),
    (r"^pixel_decoder\.layer_(\d)\.norm\.", r"pixel_decoder.stages.\1.output.1."),
    (r"^pixel_decoder\.layer_(\d)\.", r"pixel_decoder.stages.\1.output.0."),
    (r"^pixel_decoder\.cross_attn_(\d)\.", r"pixel_decoder.stages.\1.block."),
    (r"\.block\.multihead_attn\.", ".block.cross_attention."),
]
_ALIASES = re.compile(r"^transformer\.decoder\.bbox_embed\.")


def our_name(published: str, variant: str) -> str | None:
    """Our name of a published tensor; None for an alias of another one."""
    if _ALIASES.match(published):
        return None
    name = published
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    if variant in ("base", "self"):
        name = re.sub(r"^affinity\.", "affinity.affinity.", name)
    # The published pyramid counts its stages from 1.
    return re.sub(r"^(pixel_decoder\.stages\.)(\d)", lambda m: f"{m[1]}{int(m[2]) - 1}", name)


def rename_published(state: dict[str, Tensor], variant: str) -> dict[str, Tensor]:
    """A published state dict under our names, aliases dropped."""
    names = {name: our_name(name, variant) for name in state}
    return {ours: state[name] for name, ours in names.items() if ours is not None}
