"""How close the network comes to what the processor can do, and which parts take the time.

    OMP_NUM_THREADS=1 python benchmarks/floor.py [--large]

One pass of the published sizes, as in speed.py. Operations are those of products, convolutions and attention
(torch.utils.flop_counter: a multiplication and an addition are two); the rate is the best that a large product or a 3x3
convolution reaches in the same run. Operations / rate is the floor in float32: what a pass would take if nothing were
moved and nothing but this computed. Seconds are the processor's, medians. Parts are timed by hooks, in passes of their
own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from speed import PUBLISHED, Task
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fsrvos.report import table

PARTS = {
    "backbone": "backbone",
    "text encoder": "text_encoder",
    "projections and early fusion": "pyramid",
    "affinity": "affinity",
    "encoder layers": "transformer.encoder_layers",
    "decoder layers": "transformer.decoder_layers",
    "pixel decoder": "pixel_decoder",
    "of it, the block at stride 4": "pixel_decoder.stages.0.block",
    "mask head": "mask_head",
}


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds of the processor."""
    started = time.process_time()
    work()
    return time.process_time() - started


def rates() -> dict[str, float]:
    """Operations a second of single large operations, the best of ten."""
    rows, linear = torch.randn(8192, 256), nn.Linear(256, 2048)
    maps, convolution = torch.randn(4, 256, 48, 80), nn.Conv2d(256, 256, 3, padding=1)
    maps, convolution = maps.to(memory_format=torch.channels_last), convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # fmt: skip
    works = {
        "linear layer, 256 to 2048": (lambda: linear(rows), 2 * 8192 * 256 * 2048),
        "3x3 convolution, 256 channels": (lambda: convolution(maps), 2 * 4 * 48 * 80 * 256 * 256 * 9),
    }
    with torch.no_grad():
        return {
            name: count / min(seconds_of(work) for _ in range(10)) for name, (work, count) in works.items()
        }


def operations(task: Task, parts: list[str]) -> int:
    """Operations of a pass."""
    # Folded weights and joined convolutions are made in the pass and counted, as they are a part of it.
    with FlopCounterMode(display=False) as counter:
        task(parts)
    return int(counter.get_total_flops())


@contextmanager
def clocked(model: nn.Module, spent: dict[str, float]) -> Iterator[None]:
    """Adds up the seconds of every part."""
    handles, began = [], {}

    def begin(name: str) -> Any:
        def hook(*_: Any) -> None:
            began[name] = time.process_time()

        return hook

    def end(name: str) -> Any:
        def hook(*_: Any) -> None:
            spent[name] = spent.get(name, 0.0) + time.process_time() - began[name]

        return hook

    for name, place in PARTS.items():
        part = model.get_submodule(place)
        for module in part if isinstance(part, nn.ModuleList) else [part]:
            handles.append(module.register_forward_pre_hook(begin(name)))
            handles.append(module.register_forward_hook(end(name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def main() -> None:
    """Measures and prints both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help="360x640 instead of 192x320")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    task = Task((360, 640) if arguments.large else (192, 320), train=False)
    task.model.requires_grad_(False)  # the counter looks for gradients of what wants some
    paths: dict[str, list[str]] = {"default": [], "published": list(PUBLISHED)}
    counts = {path: operations(task, parts) for path, parts in paths.items()}
    found = rates()
    best = max(found.values())
    rows = []
    for path, parts in paths.items():
        seconds, floor = median(task(parts)[0] for _ in range(arguments.rounds)), counts[path] / best
        rows.append(
            [
                path,
                f"{counts[path] / 1e9:.0f}e9",
                f"{floor:.2f}",
                f"{seconds:.2f}",
                f"{100 * floor / seconds:.0f} %",
            ]
        )
    print("; ".join(f"{name}: {rate / 1e9:.0f}e9 operations/s" for name, rate in found.items()), end="\n\n")
    print(table(["path", "operations", "floor s", "seconds", "floor / seconds"], rows))
    parts_spent: list[dict[str, float]] = []
    wholes = []
    for _ in range(arguments.rounds):
        parts_spent.append({})
        with clocked(task.model, parts_spent[-1]):
            wholes.append(task([])[0])
    whole = median(wholes)
    shares = [[name, f"{100 * median(s[name] for s in parts_spent) / whole:.0f} %"] for name in PARTS]
    print()
    print(table(["part", f"share of {whole:.2f} s"], shares))


if __name__ == "__main__":
    main()
