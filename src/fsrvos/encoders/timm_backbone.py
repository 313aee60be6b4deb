"""Backbones that timm provides, frame by frame; its ResNets have torchvision's layout (model.md section 2)."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import timm
import torch
import torch.nn.functional as F
from einops import rearrange
from timm.utils.model import freeze_batch_norm_2d
from torch import Tensor

from fsrvos.encoders.backbone import STRIDES, Backbone, unavailable
from fsrvos.encoders.frozen_resnet import can_fold, folded_maps
from fsrvos.encoders.hub import hub
from fsrvos.errors import UserError

# How timm's families are told to take frames of any size: a model takes both, one, or none of these.
_DYNAMIC, _LENIENT = {"dynamic_img_size": True}, {"strict_img_size": False}
_ANY_SIZE: tuple[dict[str, Any], ...] = ({**_DYNAMIC, **_LENIENT}, _DYNAMIC, _LENIENT, {})


class TimmBackbone(Backbone):
    """Any timm model with ``features_only``; batch norm statistics are frozen, trained or not.

    The deepest map at each of the strides 4, 8, 16, 32 is taken. Where a model has none at a stride (a ViT has 16
    alone), the deepest map of the nearest stride stands in, brought to size: averaged over areas where it is finer,
    bilinear where it is coarser. Every map is ceil(H / stride) x ceil(W / stride). ResNets read frames of any size
    as they are, as published; for all others frames are first padded to multiples of 32.

    Args:
        name: timm model name, such as ``"resnet50"`` or ``"convnext_tiny"``.
        pretrained: Load timm's weights (needs the hub or its cache).
        weights: Local checkpoint file instead.

    Attributes:
        strides: Strides of the maps that are taken, before they are brought to size.

    Raises:
        UserError: Unknown name, no feature maps, or weights that cannot be had.
    """

    def __init__(self, name: str, *, pretrained: bool = False, weights: str | None = None) -> None:
        super().__init__()
        if not timm.is_model(name):
            raise UserError(f"timm knows no model {name!r}; timm.list_models() names those it has")
        self.name, self.pads = name, not name.startswith("resnet")
        every = _create(name).feature_info
        reductions = every.reduction()
        taken = [_deepest_nearest(reductions, stride) for stride in STRIDES]
        kept = sorted(set(taken))
        options: dict[str, Any] = {"out_indices": tuple(every.out_indices[i] for i in kept)}
        if weights:
            options["pretrained_cfg_overlay"] = {"file": weights}
        try:
            with hub() if pretrained and not weights else nullcontext():
                model = _create(name, pretrained=pretrained or weights is not None, **options)
        except (OSError, RuntimeError) as error:
            if not (pretrained or weights):
                raise
            raise unavailable(name, weights or "those of timm", error) from error
        self.body: Any = freeze_batch_norm_2d(model)
        self.is_folded = can_fold(self.body)
        self._places = [kept.index(i) for i in taken]
        self.strides = tuple(reductions[i] for i in taken)
        self.channels = [model.feature_info.channels()[place] for place in self._places]

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Clips (B, T, 3, H, W) -> four maps (B, T, C, h, w), finest first.

        Raises:
            UserError: A model that takes other sizes only.
        """
        batch, _, _, height, width = frames.shape
        sizes = [(math.ceil(height / stride), math.ceil(width / stride)) for stride in STRIDES]
        images = frames.flatten(0, 1)
        if self.pads:
            images = F.pad(images, (0, -width % STRIDES[-1], 0, -height % STRIDES[-1]))
        maps = self._maps(images)
        levels = [_bring_to(maps[place], h, w) for place, (h, w) in zip(self._places, sizes, strict=True)]
        return [rearrange(level, "(b t) c h w -> b t c h w", b=batch) for level in levels]

    def _maps(self, images: Tensor) -> list[Tensor]:
        # In training it would gain 3 %, and the rounding, grown on the way back, moves gradients by 3e-4.
        if self.is_folded and not torch.is_grad_enabled():
            return folded_maps(self.body, images)
        try:
            maps = self.body(images)
        except (AssertionError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "size of tensor" not in str(error):
                raise
            height, width = images.shape[-2:]
            raise UserError(
                f"backbone {self.name!r} does not take frames of {height}x{width} ({error}); choose another backbone"
            ) from error
        if getattr(self.body, "output_fmt", None) == "NHWC":
            return [rearrange(x, "n h w c -> n c h w") for x in maps]
        return maps


def _create(name: str, *, pretrained: bool = False, **options: Any) -> Any:
    """The model with its feature maps, told to take any size if its family wants to be told."""
    for any_size in _ANY_SIZE:
        try:
            return timm.create_model(name, features_only=True, pretrained=pretrained, **options, **any_size)
        except TypeError as error:
            if not any(option in str(error) for option in any_size):
                raise
        except (AttributeError, RuntimeError) as error:
            if pretrained:
                raise
            raise UserError(
                f"timm model {name!r} has no feature maps ({error}); choose another backbone"
            ) from error
    raise AssertionError("the last attempt tells the model nothing")


def _deepest_nearest(reductions: list[int], stride: int) -> int:
    """Index of the deepest map whose stride is nearest on a log scale; of two equally near ones the finer."""
    return max(
        range(len(reductions)), key=lambda i: (-abs(math.log2(reductions[i] / stride)), -reductions[i], i)
    )


def _bring_to(x: Tensor, height: int, width: int) -> Tensor:
    """A map (n, C, h, w) of the padded frame at a size: averaged down, bilinear up, the padding's cells cut off."""
    h, w = x.shape[-2:]
    while h // 2 >= height and w // 2 >= width:
        x, h, w = F.avg_pool2d(x, 2), h // 2, w // 2
    if h < height or w < width:
        scale = 2 ** math.ceil(math.log2(max(height / h, width / w)))
        x = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    return x[..., :height, :width]
