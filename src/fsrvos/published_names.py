"""Names of the published state dict (model.md section 11) and ours, translated both ways by one table."""

from __future__ import annotations

PUBLISHED_BACKBONE, OUR_BACKBONE = "backbone.0.body.", "backbone."
PUBLISHED_ALIAS = "transformer.decoder.bbox_embed."
ALIASED = "bbox_embed."
CLASS_HEADS = "class_heads."

# (published, ours): beginnings of a name; at most one applies. The published pyramid counts its stages from 1.
_BEGINNINGS = [
    ("text_encoder.", "text_encoder.model."),
    ("resizer.fc.", "text_projection.linear."),
    ("resizer.layer_norm.", "text_projection.norm."),
    ("input_proj.", "pyramid.projections."),
    ("fusion_module.multihead_attn.", "pyramid.fusion.attention."),
    ("support_qkv.Key.", "affinity.of_support.key."),
    ("support_qkv.Value.", "affinity.of_support.value."),
    ("support_qkv.query.", "affinity.of_support.query."),
    ("query_qkv.Key.", "affinity.of_query.key."),
    ("query_qkv.Value.", "affinity.of_query.value."),
    ("query_qkv.query.", "affinity.of_query.query."),
    ("conv_q.", "affinity.keep."),
    ("layer_norm.", "affinity.norm."),
    ("transformer.level_embed", "transformer.level_embedding"),
    ("transformer.encoder.layers.", "transformer.encoder_layers."),
    ("transformer.decoder.layers.", "transformer.decoder_layers."),
    ("transformer.decoder.query_scale.", "transformer.query_scale."),
    ("transformer.decoder.ref_point_head.", "transformer.anchor_head."),
    ("bbox_embed.", "transformer.box_heads."),
    ("class_embed.", CLASS_HEADS),
    ("tgt_embed.", "query_content."),
    ("refpoint_embed.", "query_anchors."),
    ("query_embed.", "query_position."),
    ("controller.", "mask_head.controller."),
    *(
        pair
        for stage in range(4)
        for pair in (
            (f"pixel_decoder.adapter_{stage + 1}.norm.", f"pixel_decoder.stages.{stage}.lateral.1."),
            (f"pixel_decoder.adapter_{stage + 1}.", f"pixel_decoder.stages.{stage}.lateral.0."),
            (f"pixel_decoder.layer_{stage + 1}.norm.", f"pixel_decoder.stages.{stage}.output.1."),
            (f"pixel_decoder.layer_{stage + 1}.", f"pixel_decoder.stages.{stage}.output.0."),
            (
                f"pixel_decoder.cross_attn_{stage + 1}.multihead_attn.",
                f"pixel_decoder.stages.{stage}.block.cross_attention.",
            ),
            (f"pixel_decoder.cross_attn_{stage + 1}.", f"pixel_decoder.stages.{stage}.block."),
        )
    ),
]
# Parts inside the layers: (scope, published, ours).
_INSIDE = [
    ("transformer.", ".self_attn.", ".self_attention."),
    ("transformer.", ".cross_attn.", ".cross_attention."),
    ("transformer.", ".value_proj.", ".value_projection."),
    ("transformer.", ".output_proj.", ".output_projection."),
    ("pixel_decoder.", ".self_attn.", ".self_attention."),
]


def our_name(published: str) -> str:
    """Our name of a published tensor outside the backbone; unknown names come back as they are."""
    for theirs, ours in _BEGINNINGS:
        if published.startswith(theirs):
            published = ours + published.removeprefix(theirs)
            break
    for scope, theirs, ours in _INSIDE:
        if published.startswith(scope):
            published = published.replace(theirs, ours)
    return published


def published_name(ours: str) -> str:
    """The published name of one of our tensors outside the backbone; unknown names come back as they are."""
    for scope, theirs, inside in _INSIDE:
        if ours.startswith(scope):
            ours = ours.replace(inside, theirs)
    for theirs, beginning in _BEGINNINGS:
        if ours.startswith(beginning):
            return theirs + ours.removeprefix(beginning)
    return ours
