"""The smallest networks and clips that still have every part: what tests of assembled parts run on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fsrvos.models.cma import CMA
from fsrvos.structures import Clip, Support

BACKBONE: dict[str, Any] = {
    "name": "small",
    "channels": [8, 8, 16, 16],
    "blocks": [1, 1, 1, 1],
    "frozen": False,
}
TEXT_ENCODER: dict[str, Any] = {
    "name": "small",
    "frozen": False,
    "config": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
}
SIZES: dict[str, Any] = {
    "hidden_dim": 32,
    "num_heads": 4,
    "num_encoder_layers": 1,
    "num_decoder_layers": 2,
    "feedforward": 32,
    "num_points": 2,
    "num_queries": 3,
    "mask_channels": 8,
    "dynamic_channels": 4,
}
PHRASES = ("a dax", "the red blicket on the left", "the wug that moves up")


def tiny_model(variant: str = "cma_plus", **options: Any) -> CMA:
    """A network whose parameters are all random and none zero, so that no path is dead at the start."""
    torch.manual_seed(0)
    model = CMA(variant, **{"backbone": BACKBONE, "text_encoder": TEXT_ENCODER, **SIZES, **options})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


def make_clip(
    expressions: Sequence[str] = PHRASES[:1],
    frames: int = 2,
    size: tuple[int, int] = (64, 96),
    real: tuple[int, int] | None = None,
    seed: int = 0,
) -> Clip:
    """Random clips, one a phrase; ``real`` is their size before padding."""
    generator = torch.Generator().manual_seed(seed)
    height, width = real or size
    pixels = torch.randn(len(expressions), frames, 3, *size, generator=generator)
    padding = torch.ones(len(expressions), frames, *size, dtype=torch.bool)
    padding[..., :height, :width] = False
    pixels.masked_fill_(padding[:, :, None], 0.0)
    sizes = torch.tensor([[height, width]] * len(expressions))
    return Clip(pixels, padding, sizes, list(expressions))


def make_support(
    owner: Sequence[int] = (0,),
    frames: int = 2,
    size: tuple[int, int] = (64, 96),
    real: tuple[int, int] | None = None,
    seed: int = 1,
) -> Support:
    """Random support clips; the object is a rectangle at the top left, so that every level has some of it."""
    clip = make_clip([PHRASES[n % 3] for n in range(len(owner))], frames, size, real, seed)
    masks = torch.zeros_like(clip.padding_mask)
    for n in range(len(owner)):
        masks[n, :, : 40 - 4 * n, : 56 - 8 * n] = True
    return Support(**vars(clip), masks=masks & ~clip.padding_mask, owner=torch.tensor(owner))


def pick_clips(clip: Clip, rows: Sequence[int]) -> Clip:
    """Some of the clips of a batch."""
    index = list(rows)
    return Clip(
        clip.frames[index], clip.padding_mask[index], clip.sizes[index], [clip.expressions[i] for i in index]
    )


def pick_support(support: Support, episode: int) -> Support | None:
    """The support of one episode, as that of a batch of one."""
    rows = [n for n, owner in enumerate(support.owner.tolist()) if owner == episode]
    if not rows:
        return None
    return Support(
        **vars(pick_clips(support, rows)),
        masks=support.masks[rows],
        owner=torch.zeros(len(rows), dtype=torch.long),
    )


def randomised(module: nn.Module, std: float = 0.5, seed: int = 2) -> nn.Module:
    """The module with every parameter drawn anew, in float64 and evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=std, generator=generator)
    return module.double().eval()
