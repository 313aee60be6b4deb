"""What a second process costs: measured with gloo on this machine, compared with a model, and the model for GPU nodes.

    OMP_NUM_THREADS=1 python benchmarks/scaling.py
    OMP_NUM_THREADS=1 python benchmarks/scaling.py --gpu-step 0.25

Measured in turns, as other work on the machine disturbs them: a step of one process alone, of two processes without
communication, of two under DistributedDataParallel, and all-reduces of the gradients and of one number. Model:

    t(n) = compute + (1 - overlap) * (latency + 2 (n - 1) / n * bytes / bandwidth),  0 <= overlap <= 1

where compute is the slower of n steps, since all wait for it: here the median over all pairs of the two processes' steps.

The table of GPU nodes is computed from assumptions, which it names; nothing in it is measured.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from fsrvos.engine.criterion import Criterion
from fsrvos.models.cma import CMA
from fsrvos.ops.boxes import boxes_from_masks
from fsrvos.report import table
from fsrvos.structures import Clip, Support, Targets

PROCESSES = 2
SIZES: dict[str, Any] = {
    "backbone": {"name": "small", "channels": [32, 64, 128, 128], "blocks": [1, 1, 1, 1], "frozen": False},
    "text_encoder": {"name": "small", "frozen": False},
    "hidden_dim": 128,
    "num_encoder_layers": 2,
    "num_decoder_layers": 2,
    "feedforward": 512,
    "mask_channels": 64,
}
# RoBERTa-base is frozen: one layer of its width stands for it, so that its tokenizer need not be fetched.
PUBLISHED: dict[str, Any] = {
    "backbone": {"name": "resnet50", "pretrained": False, "frozen": True},
    "text_encoder": {
        "name": "small",
        "frozen": True,
        "config": {"hidden_size": 768, "num_hidden_layers": 1, "num_attention_heads": 12, "intermediate_size": 3072},
    },
}  # fmt: skip
# Assumed, not measured: processes, bytes per second of the slowest link, seconds of latency of an all-reduce.
# A ring that follows the topology enters and leaves each node once, so it has the network card to itself.
LINKS = (
    ("8 in a node, NVLink-class 200 GB/s", 8, 200e9, 5e-5),
    *(
        (f"{n} in {n // 8} nodes of 8, {gbit} Gbit/s a node", n, gbit * 1e9 / 8, 2e-4)
        for gbit in (25, 100, 400)
        for n in (16, 32, 64)
    ),
)


def episode() -> tuple[Clip, Support, Targets]:
    """A batch of one: random pixels, a rectangle for an object."""
    frames, height, width = 4, 128, 192
    padding = torch.zeros(1, frames, height, width, dtype=torch.bool)
    masks = padding.clone()
    masks[..., 20:80, 30:120] = True
    rest = (padding, torch.tensor([[height, width]]), ["a dax"])
    query, shown = (Clip(torch.randn(1, frames, 3, height, width), *rest) for _ in range(2))
    support = Support(**vars(shown), masks=masks, owner=torch.tensor([0]))
    targets = Targets(masks, boxes_from_masks(masks), torch.ones(1, frames, dtype=torch.bool))
    return query, support, targets


class Seconds:
    """Times the kinds of work in one process; the results are medians over all turns."""

    def __init__(self, rank: int, steps: int) -> None:
        torch.manual_seed(0)
        self.rank, self.steps = rank, steps
        self.model = CMA("cma", **SIZES)
        self.bytes = trainable_bytes(self.model)
        self.parallel = DistributedDataParallel(self.model, find_unused_parameters=False)
        self.optimizer = torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad])
        self.criterion, self.episode = Criterion(), episode()
        self.gradients, self.number = torch.zeros(self.bytes // 4), torch.zeros(1)
        self.found: dict[str, list[float]] = {}

    def step(self, network: nn.Module, criterion: Callable[..., Any]) -> None:
        """One step of training."""
        query, support, targets = self.episode
        self.optimizer.zero_grad()
        criterion(network(query, support), targets).total.backward()
        self.optimizer.step()

    def time(self, name: str, work: Callable[[], object], times: int, *, alone: bool = False) -> None:
        """Wall clock of some calls; ``alone`` lets the other process wait, asleep, meanwhile."""
        distributed.barrier()
        if not alone or self.rank == 0:
            for _ in range(times):
                start = time.perf_counter()
                work()
                self.found.setdefault(name, []).append(time.perf_counter() - start)
        distributed.barrier()

    def turn(self) -> None:
        """Every kind once; a loss that asks other ranks belongs to the parallel step alone."""

        def by_itself() -> None:
            self.step(self.model, _LocalCriterion())

        self.time("alone", by_itself, self.steps, alone=True)
        self.time("shared", by_itself, self.steps)
        self.time("parallel", lambda: self.step(self.parallel, self.criterion), self.steps)
        self.time("gradients", lambda: distributed.all_reduce(self.gradients), 2 * self.steps)
        self.time("number", lambda: distributed.all_reduce(self.number), 50)


class _LocalCriterion(Criterion):
    """The same loss, normalised by this process' frames."""

    @staticmethod
    def _visible_frames(is_visible: torch.Tensor) -> torch.Tensor:
        return is_visible.sum().float().clamp(min=1)


def trainable_bytes(model: nn.Module) -> int:
    """Bytes of the gradients in float32."""
    return 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)


def measure(rank: int, meeting: str, turns: int, steps: int) -> None:
    """One of the processes; the first prints."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=PROCESSES)
    seconds = Seconds(rank, steps)
    seconds.time("warm-up", lambda: seconds.step(seconds.parallel, seconds.criterion), 2)
    for _ in range(turns):
        seconds.turn()
    shared: list[list[float]] = [[] for _ in range(PROCESSES)]
    distributed.all_gather_object(shared, seconds.found["shared"])
    if rank == 0:
        found = {name: median(values) for name, values in seconds.found.items()}
        found["slower"] = median(max(pair) for pair in product(*shared))
        print(measured(found, seconds.bytes))
    distributed.barrier()
    distributed.destroy_process_group()


def measured(found: dict[str, float], size: int) -> str:
    """What was found, and what the model says of two processes."""
    latency, share = found["number"], 2 * (PROCESSES - 1) / PROCESSES
    bandwidth = share * size / max(found["gradients"] - latency, 1e-9)
    rows = [
        [name, f"{1000 * found[name]:.1f} ms"]
        for name in ("alone", "shared", "slower", "gradients", "number")
    ]
    rows += [["slowdown by sharing", f"{found['shared'] / found['alone']:.2f}"]]
    rows += [["bytes of gradients", f"{size / 1e6:.1f} MB"], ["bandwidth", f"{bandwidth / 1e6:.0f} MB/s"]]
    steps = [("no overlap", found["slower"] + found["gradients"]), ("full overlap", found["slower"])]
    compared = [
        [name, f"{1000 * t:.1f} ms", f"{1000 * found['parallel']:.1f} ms", f"{found['parallel'] / t:.2f}"]
        for name, t in steps
    ]
    header = ["2 processes, DDP", "predicted", "measured", "measured / predicted"]
    return f"{table(['gloo, medians', 'measured'], rows)}\n\n{table(header, compared)}"


def predicted(gpu_step: float) -> str:
    """The model's efficiency of GPU nodes for the published network, from assumptions."""
    size = trainable_bytes(CMA("cma", **PUBLISHED))
    rows = []
    for name, n, bandwidth, latency in LINKS:
        exchange = latency + 2 * (n - 1) / n * size / bandwidth
        efficiency = [gpu_step / (gpu_step + exchange), gpu_step / max(gpu_step, exchange)]
        rows.append([name, f"{1000 * exchange:.1f} ms", *(f"{100 * e:.0f} %" for e in efficiency)])
    words = (
        f"ASSUMED, NOT MEASURED: {gpu_step} s a step of one GPU, links at their full rate, one ring through all GPUs, "
        f"0.05 ms latency in a node and 0.2 ms between. Counted: {size / 4e6:.1f} M trainable parameters, "
        f"{size / 1e6:.0f} MB of gradients (published network, frozen ResNet-50 and RoBERTa)."
    )
    return f"{words}\n\n{table(['GPUs', 'all-reduce', 'no overlap', 'full overlap'], rows)}"


def main() -> None:
    """Measures, then computes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3, help="steps of each kind in a turn")
    parser.add_argument("--gpu-step", type=float, default=0.25, help="assumed seconds of a step of one GPU")
    arguments = parser.parse_args()
    print("Wall clock; other work on this machine disturbs it, so the ratios are rough.\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="fsrvos-") as folder:
        meeting = (Path(folder) / "group").as_uri()
        multiprocessing.spawn(measure, (meeting, arguments.turns, arguments.steps), PROCESSES)
    print(f"\n{predicted(arguments.gpu_step)}")


if __name__ == "__main__":
    main()
