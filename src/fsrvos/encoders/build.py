"""From a name to an encoder."""

from __future__ import annotations

from typing import Any

from torch import nn

from fsrvos.encoders.resnet import TimmBackbone
from fsrvos.encoders.small import SmallBackbone
from fsrvos.errors import UserError

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")


def build_backbone(name: str, **options: Any) -> nn.Module:
    """A backbone by name.

    Args:
        name: ``"small"`` or one of the ResNets (torchvision layout, through timm).
        options: Constructor arguments of that backbone.

    Returns:
        A module that takes clips (B, T, 3, H, W), returns four maps (B, T, C, h, w) at strides 4, 8, 16, 32,
        and names their widths in ``channels``.

    Raises:
        UserError: Unknown name.
    """
    if name == "small":
        return SmallBackbone(**options)
    if name in RESNETS:
        return TimmBackbone(name, **options)
    raise UserError(f"backbone must be small, {', '.join(RESNETS)}; got {name!r}")
