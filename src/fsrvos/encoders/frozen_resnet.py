"""A ResNet whose batch norm is frozen: each norm is part of the convolution before it, not a pass of its own."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

FRAMES = 2
"""Frames at once on a processor: their maps stay in its cache."""


class FoldedConvolution:
    """A convolution and the frozen norm behind it as one convolution; made anew for every pass, so it is never stale.

    Args:
        convolution: Without a bias.
        norm: What follows it.
    """

    def __init__(self, convolution: nn.Conv2d, norm: FrozenBatchNorm2d) -> None:
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        weight = convolution.weight * scale[:, None, None, None]
        self.weight = weight.to(memory_format=torch.channels_last)
        self.bias = norm.bias - norm.running_mean * scale
        self.stride, self.padding = convolution.stride, convolution.padding

    def __call__(self, x: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, C', h', w')."""
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class FoldedBlock:
    """A residual block of folded convolutions."""

    def __init__(self, block: Any) -> None:
        count = 3 if isinstance(block, Bottleneck) else 2
        self.convolutions = [
            FoldedConvolution(getattr(block, f"conv{i}"), getattr(block, f"bn{i}"))
            for i in range(1, count + 1)
        ]
        self.shortcut = FoldedConvolution(*block.downsample) if block.downsample is not None else None

    def __call__(self, x: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, C', h', w')."""
        y = x
        for convolution in self.convolutions[:-1]:
            y = convolution(y).relu_()
        y = self.convolutions[-1](y)
        return y.add_(x if self.shortcut is None else self.shortcut(x)).relu_()


def can_fold(body: nn.Module) -> bool:
    """Whether a timm model is a plain ResNet with frozen norms: a 7x7 stem, and blocks without additions."""
    layers = dict(body.named_children())
    stages = [layers[f"layer{i}"] for i in range(1, 5) if f"layer{i}" in layers]
    if len(stages) != 4 or not isinstance(layers.get("conv1"), nn.Conv2d):
        return False
    if not isinstance(layers.get("maxpool"), nn.MaxPool2d):
        return False
    return _is_pair(layers["conv1"], layers.get("bn1")) and all(
        _is_plain(block) for stage in stages for block in stage.children()
    )


def folded_maps(body: Any, images: Tensor) -> list[Tensor]:
    """What a plain ResNet says of images: (n, 3, H, W) -> its four stages (n, C, h, w), channels last.

    Args:
        body: For which ``can_fold`` holds.
        images: n frames.
    """
    stem = FoldedConvolution(body.conv1, body.bn1)
    stages = [
        [FoldedBlock(b) for b in stage] for stage in (body.layer1, body.layer2, body.layer3, body.layer4)
    ]

    def through(part: Tensor) -> list[Tensor]:
        x = body.maxpool(stem(part.contiguous(memory_format=torch.channels_last)).relu_())
        maps = []
        for stage in stages:
            for block in stage:
                x = block(x)
            maps.append(x)
        return maps

    if images.device.type != "cpu" or len(images) <= FRAMES:
        return through(images)
    return [torch.cat(maps) for maps in zip(*(through(part) for part in images.split(FRAMES)), strict=True)]


def _is_pair(convolution: Any, norm: Any) -> bool:
    return (
        isinstance(convolution, nn.Conv2d)
        and convolution.bias is None
        and convolution.groups == 1
        and convolution.dilation == (1, 1)
        and type(norm) is FrozenBatchNorm2d
    )


def _is_plain(block: Any) -> bool:
    if type(block) not in (BasicBlock, Bottleneck) or block.se is not None or block.drop_path is not None:
        return False
    count = 3 if isinstance(block, Bottleneck) else 2
    pairs = [(getattr(block, f"conv{i}"), getattr(block, f"bn{i}")) for i in range(1, count + 1)]
    if block.downsample is not None:
        if len(block.downsample) != 2:
            return False
        pairs.append(tuple(block.downsample))
    extras = (block.aa, block.drop_block)
    activations = [getattr(block, f"act{i}") for i in range(1, count + 1)]
    return (
        all(_is_pair(*pair) for pair in pairs)
        and all(x is None or type(x) is nn.Identity for x in extras)
        and all(type(x) is nn.ReLU for x in activations)
    )
