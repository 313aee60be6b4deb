"""Backbones that timm provides, frame by frame; ResNet here has torchvision's layout (model.md section 2)."""

from __future__ import annotations

from typing import Any

import timm
from einops import rearrange
from timm.utils.model import freeze_batch_norm_2d
from torch import Tensor, nn

from fsrvos.errors import UserError

STRIDES = (4, 8, 16, 32)


class TimmBackbone(nn.Module):
    """Any timm model with ``features_only`` at strides 4, 8, 16, 32; batch norm statistics are frozen.

    Args:
        name: timm model name, such as ``"resnet50"``.
        pretrained: Load timm's weights (needs the hub or its cache).
        weights: Local checkpoint file instead.

    Raises:
        UserError: Unknown name, other strides, or weights that cannot be had.
    """

    def __init__(self, name: str, *, pretrained: bool = False, weights: str | None = None) -> None:
        super().__init__()
        if not timm.is_model(name):
            raise UserError(f"timm knows no model {name!r}; timm.list_models() names those it has")
        options: dict[str, Any] = {"pretrained_cfg_overlay": {"file": weights}} if weights else {}
        try:
            model: Any = timm.create_model(
                name,
                features_only=True,
                pretrained=pretrained or weights is not None,
                out_indices=(-4, -3, -2, -1),
                **options,
            )
        except (OSError, RuntimeError) as error:
            if not (pretrained or weights):
                raise
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            source = weights or "timm's"
            raise UserError(
                f"backbone {name!r}: its weights ({source}) could not be loaded ({reason}); "
                "go online once, or name a local file with backbone.weights=FILE, or set backbone.pretrained=false"
            ) from error
        strides = tuple(model.feature_info.reduction())
        if strides != STRIDES:
            raise UserError(f"backbone {name!r} has strides {strides}, but the network needs {STRIDES}")
        self.body: Any = freeze_batch_norm_2d(model)
        self.channels: list[int] = model.feature_info.channels()

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Clips (B, T, 3, H, W) -> four maps (B, T, C, h, w), finest first."""
        batch = frames.shape[0]
        return [rearrange(m, "(b t) c h w -> b t c h w", b=batch) for m in self.body(frames.flatten(0, 1))]
