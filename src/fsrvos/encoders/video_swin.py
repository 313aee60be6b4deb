"""Video Swin Transformer over whole clips (model.md section 2); torchvision's modules have the published behaviour."""

from __future__ import annotations

import math
import re
from typing import Any

from einops import rearrange
from torch import Tensor, nn
from torchvision.models.video import swin_transformer as torchvision_swin

from fsrvos.encoders.backbone import BODY, Backbone, is_recomputed, load_file, load_state, unavailable

PATCH, WINDOW = (1, 4, 4), (8, 7, 7)
# Width, depths, heads, and torchvision's weights of Kinetics-400.
SIZES: dict[str, tuple[int, tuple[int, ...], tuple[int, ...], Any]] = {
    "video_swin_t": (96, (2, 2, 6, 2), (3, 6, 12, 24), torchvision_swin.Swin3D_T_Weights.KINETICS400_V1),
    "video_swin_s": (96, (2, 2, 18, 2), (3, 6, 12, 24), torchvision_swin.Swin3D_S_Weights.KINETICS400_V1),
    "video_swin_b": (128, (2, 2, 18, 2), (4, 8, 16, 32), torchvision_swin.Swin3D_B_Weights.KINETICS400_V1),
}
_PATCH_WEIGHT = "patch_embed.proj.weight"


class VideoSwinBackbone(Backbone):
    """Video-Swin-T/S/B: patches of (1, 4, 4), windows of (8, 7, 7), no temporal stride, no norm on the outputs.

    Weights that were trained with patches of two frames, as Kinetics' are, are summed over time: on two equal
    frames that is the same.

    Args:
        name: ``"video_swin_t"``, ``"video_swin_s"`` or ``"video_swin_b"``.
        pretrained: Load torchvision's Kinetics-400 weights from the network or its cache.
        weights: Local file instead, in torchvision's naming or the published one.

    Raises:
        UserError: Weights that cannot be had or do not fit.
    """

    by_frame = False

    def __init__(self, name: str, *, pretrained: bool = False, weights: str | None = None) -> None:
        super().__init__()
        width, depths, heads, kinetics = SIZES[name]
        self.channels = [width * 2**i for i in range(4)]
        model = torchvision_swin.SwinTransformer3d(
            list(PATCH),
            width,
            list(depths),
            list(heads),
            list(WINDOW),
            stochastic_depth_prob=0.0,
            num_classes=1,
        )
        self.body: Any = nn.ModuleDict({"patch_embed": model.patch_embed, "features": model.features})
        for attention in self.body.modules():
            if isinstance(attention, torchvision_swin.ShiftedWindowAttention3d):
                _keep_out_of_files(attention, "relative_position_index")
        if weights is not None:
            load_file(self, weights)
        elif pretrained:
            load_state(self, _from_torchvision(name, kinetics), "torchvision's Kinetics-400 weights")

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Clips (B, T, 3, H, W) -> four maps (B, T, C, h, w), finest first."""
        x = self.body["patch_embed"](rearrange(frames, "b t c h w -> b c t h w"))
        maps = []
        for index, part in enumerate(self.body["features"]):  # stages and, between them, down-sampling
            x = part(x)
            if index % 2 == 0:
                maps.append(rearrange(x, "b t h w c -> b t c h w"))
        return maps

    def from_published(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """See ``Backbone``; torchvision's own names pass too."""
        found: dict[str, Tensor] = {}
        for name, tensor in state.items():
            if is_recomputed(name):
                continue
            ours = re.sub(r"^layers\.(\d)\.blocks\.", lambda m: f"features.{2 * int(m[1])}.", name)
            ours = re.sub(r"^(?:downsamples\.(\d)|layers\.(\d)\.downsample)\.", _down_sampling, ours)
            ours = ours.replace(".mlp.fc1.", ".mlp.0.").replace(".mlp.fc2.", ".mlp.3.")
            if name == _PATCH_WEIGHT and tensor.dim() == 5:
                tensor = tensor.sum(2, keepdim=True)
            found[BODY + ours] = tensor
        return found

    def published_shapes(self) -> dict[str, tuple[int, ...]]:
        """See ``Backbone``."""
        shapes = {}
        for name, tensor in self.state_dict().items():
            published = re.sub(r"^features\.(\d)\.", _stage, name.removeprefix(BODY))
            shapes[published.replace(".mlp.0.", ".mlp.fc1.").replace(".mlp.3.", ".mlp.fc2.")] = tuple(
                tensor.shape
            )
            if published.endswith(".relative_position_bias_table"):
                shapes[published.replace("bias_table", "index")] = (math.prod(WINDOW),) * 2
        return shapes


def _keep_out_of_files(module: nn.Module, buffer: str) -> None:
    """Makes a buffer that the module computes itself no part of the state dict."""
    value = getattr(module, buffer)
    delattr(module, buffer)
    module.register_buffer(buffer, value, persistent=False)


def _down_sampling(match: re.Match[str]) -> str:
    return f"features.{2 * int(match[1] or match[2]) + 1}."


def _stage(match: re.Match[str]) -> str:
    stage, between = divmod(int(match[1]), 2)
    return f"downsamples.{stage}." if between else f"layers.{stage}.blocks."


def _from_torchvision(name: str, kinetics: Any) -> dict[str, Tensor]:
    try:
        state = kinetics.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise unavailable(name, kinetics.url, error) from error
    return dict(state)
