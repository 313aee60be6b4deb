"""From a name to a backbone."""

from __future__ import annotations

import difflib
from typing import Any

import timm

from fsrvos.encoders import swin, video_swin
from fsrvos.encoders.backbone import Backbone
from fsrvos.encoders.small import SmallBackbone
from fsrvos.encoders.swin import SwinBackbone
from fsrvos.encoders.timm_backbone import TimmBackbone
from fsrvos.encoders.video_swin import VideoSwinBackbone
from fsrvos.errors import UserError

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")
PUBLISHED_SUFFIX = "_p4w7"  # patches of 4, windows of 7: "swin_t_p4w7"


def canonical_name(name: str) -> str:
    """Our name of a backbone that may bear its published one."""
    return name.removesuffix(PUBLISHED_SUFFIX)


def build_backbone(name: str, **options: Any) -> Backbone:
    """A backbone by name.

    Args:
        name: ``"small"``; ``"resnet18"`` to ``"resnet101"``; ``"swin_t"``, ``"swin_s"``, ``"swin_b"``, ``"swin_l"``;
            ``"video_swin_t"``, ``"video_swin_s"``, ``"video_swin_b"``; the Swins also under their published names,
            such as ``"swin_t_p4w7"``; or any model of timm that has feature maps, such as ``"convnext_tiny"``.
        options: Constructor arguments of that backbone: ``pretrained`` and ``weights`` of all but ``"small"``.

    Raises:
        UserError: Unknown name, or weights that cannot be had.
    """
    plain = canonical_name(name)
    if plain == "small":
        return SmallBackbone(**options)
    if plain in swin.SIZES:
        return SwinBackbone(plain, **options)
    if plain in video_swin.SIZES:
        return VideoSwinBackbone(plain, **options)
    if timm.is_model(plain):
        return TimmBackbone(plain, **options)
    ours = ["small", *RESNETS, *swin.SIZES, *video_swin.SIZES]
    near = difflib.get_close_matches(plain, timm.list_models(), n=3)
    hint = f", such as {', '.join(near)}" if near else ""
    raise UserError(f"backbone must be one of {', '.join(ours)}, or a model of timm{hint}; got {name!r}")
