"""Times the network against the published formulations written out below, in one run, on the same random weights.

    python benchmarks/speed.py [--large] [--train [--recompute]] [--rounds 2]

Ten query and five support frames at 192x320, or 360x640 with --large; with --train a training step, 5 and 5 frames,
with --recompute while the default keeps few activations.
ResNet-50 and a text encoder of RoBERTa-base's size, both untrained, since speed does not ask for weights; encoders are
frozen, as published. Both ways take turns and the clock is that of the processor, so that a busy machine matters less;
told is the median. Peak memory is that of a process of its own. Exit code 1 when the two ways differ by more than 1e-4
in a logit, a box or a mask, or in a gradient as part of the largest.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from fsrvos.models.cma import CMA
from fsrvos.models.mask_features import MaskFeatures
from fsrvos.models.mask_head import DynamicMaskHead
from fsrvos.report import table
from fsrvos.structures import Clip, Support

ROBERTA_BASE = {
    "vocab_size": 50_265, "max_position_embeddings": 514, "hidden_size": 768, "num_hidden_layers": 12,
    "num_attention_heads": 12, "intermediate_size": 3072,
}  # fmt: skip
TOLERANCE = 1e-4
ALL_LAYERS = "masks of all decoder layers"


def repeated_mask_head(
    head: DynamicMaskHead, states: Tensor, centres: Tensor, mask_features: MaskFeatures
) -> Tensor:
    """model.md section 8 to the letter: every query gets mask features and offsets of its own."""
    features = mask_features.whole
    m, d, (n, q), (h, w) = head.mask_channels, head.dynamic_channels, states.shape[:2], features.shape[-2:]
    w1, w2, w3, b1, b2, b3 = head.controller(states).flatten(0, 1).split(head.parameter_sizes, -1)
    y, x = torch.meshgrid(torch.arange(h) * 4.0 + 2, torch.arange(w) * 4.0 + 2, indexing="ij")
    offsets = (centres.flatten(0, 1)[..., None, None] - torch.stack((x, y))) * head.coordinate_scale
    masks = torch.cat((features.repeat_interleave(q, 0), offsets), 1).reshape(1, -1, h, w)
    groups = n * q
    masks = F.conv2d(masks, w1.reshape(groups * d, m + 2, 1, 1), b1.flatten(), groups=groups).relu()
    masks = F.conv2d(masks, w2.reshape(groups * d, d, 1, 1), b2.flatten(), groups=groups).relu()
    return F.conv2d(masks, w3.reshape(groups, d, 1, 1), b3.flatten(), groups=groups).reshape(n, q, h, w)


def sample_level_by_level(
    value: Tensor, locations: Tensor, weights: Tensor, shapes: list[tuple[int, int]]
) -> Tensor:
    """Deformable attention's sum as published: ``grid_sample`` of every level, then the weights."""
    b, _, heads, c = value.shape
    found, grids = [], 2 * locations - 1
    for i, (level, (h, w)) in enumerate(zip(value.split([h * w for h, w in shapes], 1), shapes, strict=True)):
        maps = level.flatten(2).transpose(1, 2).reshape(b * heads, c, h, w)
        found.append(
            F.grid_sample(maps, grids[:, :, :, i].transpose(1, 2).flatten(0, 1), align_corners=False)
        )
    weights = weights.transpose(1, 2).flatten(0, 1).flatten(2)[:, None]
    attended = (torch.stack(found, -2).flatten(-2) * weights).sum(-1)
    return attended.view(b, heads * c, -1).transpose(1, 2)


def feed_forward_whole(
    x: Tensor, linear1: torch.nn.Linear, linear2: torch.nn.Linear, dropout: torch.nn.Dropout
) -> Tensor:
    """The hidden states of all tokens at once."""
    return linear2(dropout(linear1(x).relu()))


def features_made_whole(mask_features: MaskFeatures, weights: Tensor) -> Tensor:
    """The pixel decoder's last convolution for itself, then what reads it."""
    return torch.einsum("nki,nihw->nkhw", weights, mask_features.whole)


def maps_with_norms_apart(body: torch.nn.Module, images: Tensor) -> list[Tensor]:
    """The backbone as timm has it, every frozen norm a multiplication and an addition of its own."""
    maps = body(images)
    assert isinstance(maps, list)
    return maps


def explicit_softmax(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *_: object, **__: object
) -> Tensor:
    """Attention with its weights made in full."""
    scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
    if attn_mask is not None:
        is_bool = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -torch.inf) if is_bool else scores + attn_mask
    return scores.softmax(-1) @ value


PUBLISHED: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "mask features repeated for every query": [
        ("fsrvos.models.mask_head.DynamicMaskHead.forward", repeated_mask_head)
    ],
    "mask features made whole": [("fsrvos.models.mask_features.MaskFeatures.through", features_made_whole)],
    "all support frames encoded": [("fsrvos.models.cma.middle_frames", lambda support: support)],
    "frozen norms of the backbone apart": [
        ("fsrvos.encoders.timm_backbone.folded_maps", maps_with_norms_apart)
    ],
    ALL_LAYERS: [],
    "deformable attention by grid_sample": [
        ("fsrvos.layers.deformable_attention.sample", sample_level_by_level)
    ],
    "feed-forward of all tokens at once": [
        ("fsrvos.models.transformer.feed_forward", feed_forward_whole),
        ("fsrvos.layers.vision_language.feed_forward", feed_forward_whole),
    ],
    "attention as explicit softmax": [("torch.nn.functional.scaled_dot_product_attention", explicit_softmax)],
}


@contextmanager
def written_as(parts: Iterable[str]) -> Iterator[None]:
    """These parts of the network as published; all others as they are."""
    with ExitStack() as stack:
        for part in parts:
            for target, formulation in PUBLISHED[part]:
                stack.enter_context(patch(target, formulation))
        yield


class Task:
    """One forward pass, or one training step, of the same network on the same clips.

    Args:
        size: (H, W) of all frames.
        train: A training step of 5 and 5 frames; else inference, 10 and 5.
        recompute: Keep few activations, where no part is as published.
    """

    def __init__(self, size: tuple[int, int], *, train: bool, recompute: bool = False) -> None:
        torch.manual_seed(0)
        torch.backends.mha.set_fastpath_enabled(False)  # both ways go through the same module code
        self.train, self.recompute = train, recompute
        self.model = CMA(
            backbone={"name": "resnet50", "pretrained": False},
            text_encoder={"name": "small", "config": ROBERTA_BASE},
            dropout=0.0,
        ).train(train)
        with torch.no_grad():  # parts that start at zero would say nothing of equality
            for parameter in self.model.transformer.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
        self.query = Clip(*frames(5 if train else 10, size), ["a red dax that moves to the left"])
        masks = torch.zeros(1, 5, *size, dtype=torch.bool)
        masks[..., : size[0] // 2, : size[1] // 2] = True
        self.support = Support(*frames(5, size), ["a dax"], masks=masks, owner=torch.tensor([0]))

    def __call__(self, parts: Iterable[str]) -> tuple[float, list[Tensor]]:
        """Seconds of the processor, and logits, boxes and masks, or the loss and all gradients."""
        parts = list(parts)
        self.model.zero_grad()
        for module in (self.model.pyramid, self.model.transformer, self.model.pixel_decoder):
            module.recompute = self.recompute and not parts
        with written_as(parts), torch.set_grad_enabled(self.train):
            started = time.process_time()
            said = self.model(self.query, self.support, every_layer=self.train or ALL_LAYERS in parts)
            if not self.train:
                return time.process_time() - started, [said.logits, said.boxes, said.masks]
            layers = [*said.auxiliary, said]
            loss = sum(x.square().mean() for y in layers for x in (y.logits, y.boxes, y.masks / 1000))
            assert isinstance(loss, Tensor)
            loss.backward()
            seconds = time.process_time() - started
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        largest = max(g.abs().max() for g in gradients)
        return seconds, [loss.detach(), *(g / largest for g in gradients)]


def frames(count: int, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Random frames of one clip, their padding and sizes."""
    padding = torch.zeros(1, count, *size, dtype=torch.bool)
    return torch.randn(1, count, 3, *size), padding, torch.tensor([size])


def memory(arguments: argparse.Namespace, path: str) -> tuple[float, float]:
    """Peak of a process that takes one path once, and what the path added to the network at rest, in MB."""
    command = [sys.executable, __file__, "--memory", path]
    command += [f"--{name}" for name in ("large", "train", "recompute") if getattr(arguments, name)]
    peak, rest = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(peak), float(peak) - float(rest)


def tell_memory(task: Task, parts: Iterable[str]) -> None:
    """Prints peak and rest in MB, for ``memory``."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    task(parts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(peak, pages * resource.getpagesize() / 2**20)


def main() -> None:
    """Measures and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help="360x640 instead of 192x320")
    parser.add_argument("--train", action="store_true", help="a training step instead of inference")
    parser.add_argument("--recompute", action="store_true", help="recompute_activations=true in the default")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--memory", choices=["default", "published"], help="peak of one path alone")
    arguments = parser.parse_args()
    paths: dict[str, list[str]] = {"default": [], "published": list(PUBLISHED)}
    size = (360, 640) if arguments.large else (192, 320)
    if arguments.memory:
        return tell_memory(
            Task(size, train=arguments.train, recompute=arguments.recompute), paths[arguments.memory]
        )
    # Before the network is built here: a process starts with the peak of the one that it came from.
    peaks = {path: memory(arguments, path) for path in paths}
    sys.exit(
        compare(
            Task(size, train=arguments.train, recompute=arguments.recompute), paths, peaks, arguments.rounds
        )
    )


def compare(
    task: Task, paths: dict[str, list[str]], peaks: dict[str, tuple[float, float]], rounds: int
) -> int:
    """Times both paths and every published part alone, prints both tables, returns the exit code."""
    ways = paths | {part: [part] for part in PUBLISHED if not (task.train and part == ALL_LAYERS)}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    apart = dict.fromkeys(ways, 0.0)
    task([])  # the first pass pays for memory and plans that later ones find ready
    for _ in range(rounds):
        expected: list[Tensor] = []
        for way, parts in ways.items():
            spent, said = task(parts)
            seconds[way].append(spent)
            expected = expected or said
            apart[way] = max(
                apart[way], *((a - b).abs().max().item() for a, b in zip(said, expected, strict=True))
            )
    ours, theirs = (median(seconds[path]) for path in ("default", "published"))
    height, width = task.query.frames.shape[-2:]
    what = "training step" if task.train else "inference"
    what += ", recomputing activations" if task.recompute else ""
    print(f"{what}, {height}x{width}, {torch.get_num_threads()} threads\n")
    rows = [
        [path, f"{median(seconds[path]):.2f}", f"{peaks[path][0]:.0f}", f"{peaks[path][1]:.0f}"]
        for path in paths
    ]
    rows.append(
        ["ratio", f"{theirs / ours:.2f}", *(f"{b / a:.2f}" for a, b in zip(*peaks.values(), strict=True))]
    )
    print(table(["path", "seconds", "peak MB", "added MB"], rows))
    print()
    parts = [
        [way, f"{median(seconds[way]) / ours:.2f}", f"{apart[way]:.1e}"] for way in ways if way != "default"
    ]
    print(table(["as published", "times the default", "largest difference"], parts))
    return int(max(apart.values()) > TOLERANCE)


if __name__ == "__main__":
    main()
