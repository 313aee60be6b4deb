"""Swin Transformer, frame by frame (model.md section 2); transformers' SwinBackbone has the published behaviour."""

from __future__ import annotations

import re
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from transformers import SwinBackbone as HuggingFaceSwin
from transformers import SwinConfig

from fsrvos.encoders.backbone import BODY, Backbone, is_recomputed, load_file, load_state, unavailable
from fsrvos.encoders.hub import hub

WINDOW = 7
STAGES = ("stage1", "stage2", "stage3", "stage4")
# Width, depths, heads, and the ImageNet weights on the Hugging Face hub.
SIZES: dict[str, tuple[int, tuple[int, ...], tuple[int, ...], str]] = {
    "swin_t": (96, (2, 2, 6, 2), (3, 6, 12, 24), "microsoft/swin-tiny-patch4-window7-224"),
    "swin_s": (96, (2, 2, 18, 2), (3, 6, 12, 24), "microsoft/swin-small-patch4-window7-224"),
    "swin_b": (128, (2, 2, 18, 2), (4, 8, 16, 32), "microsoft/swin-base-patch4-window7-224"),
    "swin_l": (192, (2, 2, 18, 2), (6, 12, 24, 48), "microsoft/swin-large-patch4-window7-224"),
}
_ATTENTION_PARTS = ("q_proj", "k_proj", "v_proj")
# (published, transformers), applied in this order.
_RENAMES = [
    (r"^patch_embed\.proj\.", "swin.embeddings.patch_embeddings.projection."),
    (r"^patch_embed\.norm\.", "swin.embeddings.norm."),
    (r"^norm(\d)\.", lambda m: f"hidden_states_norms.stage{int(m[1]) + 1}."),
    (r"^layers\.", "swin.encoder.layers."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.proj\.", ".attention.o_proj."),
    (
        r"\.attn\.relative_position_bias_table$",
        ".attention.relative_position_bias.relative_position_bias_table",
    ),
    (r"\.attn\.qkv\.", ".attention.qkv."),
    # The same library's older names, which files on the hub bear.
    (r"\.attention\.self\.(query|key|value)\.", lambda m: f".attention.{m[1][0]}_proj."),
    (r"\.attention\.self\.relative", ".attention.relative_position_bias.relative"),
    (r"\.attention\.output\.dense\.", ".attention.o_proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
]


class SwinBackbone(Backbone):
    """Swin-T/S/B/L with a LayerNorm on each of its four outputs.

    Windows of 7 x 7; maps are padded to whole windows before the shift, the window never shrinks, and every other
    block shifts even where one window covers the map.

    Args:
        name: ``"swin_t"``, ``"swin_s"``, ``"swin_b"`` or ``"swin_l"``.
        pretrained: Load ImageNet weights from the Hugging Face hub or its cache.
        weights: Local file instead, in transformers' naming or the published one.

    Raises:
        UserError: Weights that cannot be had or do not fit.
    """

    def __init__(self, name: str, *, pretrained: bool = False, weights: str | None = None) -> None:
        super().__init__()
        width, depths, heads, hub_id = SIZES[name]
        self.channels = [width * 2**i for i in range(4)]
        options: dict[str, Any] = {"drop_path_rate": 0.0, "out_features": list(STAGES)}
        config = SwinConfig(
            embed_dim=width, depths=list(depths), num_heads=list(heads), window_size=WINDOW, **options
        )
        self.body: Any = _without_last_norm(HuggingFaceSwin(config))
        if weights is not None:
            load_file(self, weights, may_lack=(f"{BODY}hidden_states_norms.",))
        elif pretrained:
            state = _from_hub(name, hub_id, config).state_dict()
            load_state(self, state, hub_id)

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Clips (B, T, 3, H, W) -> four maps (B, T, C, h, w), finest first."""
        maps = self.body(frames.flatten(0, 1)).feature_maps
        return [rearrange(x, "(b t) c h w -> b t c h w", b=frames.shape[0]) for x in maps]

    def from_published(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """See ``Backbone``; the published projection of query, key and value is one tensor, here they are three."""
        found: dict[str, Tensor] = {}
        for name, tensor in state.items():
            if is_recomputed(name):
                continue
            ours = name
            for pattern, replacement in _RENAMES:
                ours = re.sub(pattern, replacement, ours)  # type: ignore[call-overload]
            if ".attention.qkv." in ours and tensor.shape[0] % 3 == 0:
                parts = zip(_ATTENTION_PARTS, tensor.chunk(3), strict=True)
                found |= {BODY + ours.replace(".qkv.", f".{part}."): value for part, value in parts}
            else:
                found[BODY + ours] = tensor
        return found

    def published_shapes(self) -> dict[str, tuple[int, ...]]:
        """See ``Backbone``."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, tensor in self.state_dict().items():
            published = _published(name.removeprefix(BODY))
            rows, *rest = tensor.shape
            shapes[published] = (3 * rows if ".attn.qkv." in published else rows, *rest)
            if published.endswith(".relative_position_bias_table"):
                index = published.replace("bias_table", "index")
                shapes[index] = (WINDOW**2, WINDOW**2)
        return shapes


def _published(name: str) -> str:
    """The published name of one of transformers' tensors; query, key and value share one."""
    name = re.sub(r"^swin\.embeddings\.patch_embeddings\.projection\.", "patch_embed.proj.", name)
    name = re.sub(r"^swin\.embeddings\.norm\.", "patch_embed.norm.", name)
    name = re.sub(r"^hidden_states_norms\.stage(\d)\.", lambda m: f"norm{int(m[1]) - 1}.", name)
    name = re.sub(r"^swin\.encoder\.layers\.", "layers.", name)
    name = name.replace(".layernorm_before.", ".norm1.").replace(".layernorm_after.", ".norm2.")
    name = re.sub(r"\.attention\.[qkv]_proj\.", ".attn.qkv.", name)
    name = name.replace(".attention.o_proj.", ".attn.proj.")
    return name.replace(".attention.relative_position_bias.", ".attn.")


def _without_last_norm(model: Any) -> HuggingFaceSwin:
    """The library normalises the last state once more for nobody."""
    model.swin.layernorm = nn.Identity()
    return model


def _from_hub(name: str, hub_id: str, config: SwinConfig) -> HuggingFaceSwin:
    try:
        with hub():
            model = HuggingFaceSwin.from_pretrained(hub_id, config=config, dtype=torch.float32)
        return _without_last_norm(model)
    except (OSError, ValueError) as error:
        raise unavailable(name, hub_id, error) from error
