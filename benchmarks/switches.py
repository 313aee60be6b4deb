"""What precision=bf16-mixed, compile=true and smaller windows save, and what they cost in J and F.

    OMP_NUM_THREADS=1 python benchmarks/switches.py --checkpoint outputs/demo
    OMP_NUM_THREADS=1 python benchmarks/switches.py [--large]

With a checkpoint: its own test, right support, first seed, each way on the same episodes; the clock is around the network
alone; "same" is J with the default's masks for truth. Without: 10 query and 5 support frames of the published sizes at
192x320, or 360x640 with --large, untrained, as in speed.py; the support is encoded once for all windows. Ways take turns;
seconds are the processor's, medians; the first pass of a compiled network, which compiles, is told apart. Peak memory
is that of a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from omegaconf import OmegaConf
from speed import Task
from torch import Tensor

from fsrvos.checkpoints import checkpoint_file
from fsrvos.cli.common import build, fit_window
from fsrvos.engine import evaluation
from fsrvos.engine.metrics import region_similarity
from fsrvos.engine.scores import aggregate
from fsrvos.models.cma import CMA
from fsrvos.models.compiling import compile_blocks
from fsrvos.models.foreground import EncodedSupport
from fsrvos.ops.precision import computing
from fsrvos.report import table
from fsrvos.weights import load_model

SMALL, LARGE = (192, 320), (360, 640)


@dataclass(frozen=True)
class Way:
    """One setting of the switches; ``window`` None is that of the run, or all frames."""

    precision: str = "32-true"
    compiled: bool = False
    window: int | None = None


WAYS = {
    "default": Way(),
    "precision=bf16-mixed": Way("bf16-mixed"),
    "compile=true": Way(compiled=True),
    "both": Way("bf16-mixed", compiled=True),
    "window 5": Way(window=5),
    "window 2": Way(window=2),
}


@contextmanager
def switched(model: CMA, compiled: bool) -> Iterator[None]:
    """The network with compiled blocks, or with the same blocks as they are."""
    assert any(getattr(m, "_compiled_call_impl", None) is not None for m in model.modules()), (
        "nothing to compile"
    )
    with torch.compiler.set_stance("default" if compiled else "force_eager"):
        yield


class Scored:
    """The test of a checkpoint under one way after another."""

    def __init__(self, checkpoint: str) -> None:
        self.model = load_model(checkpoint)
        compile_blocks(self.model)
        config = OmegaConf.load(checkpoint_file(checkpoint).parent.parent / "config.yaml")
        self.data = build(config.data)
        self.data.test_seeds = self.data.test_seeds[:1]
        fit_window(self.data, self.model)
        self.data.setup("test")
        self.window = self.data.window

    def __call__(self, way: Way) -> tuple[float, float, float, list[Tensor]]:
        """Seconds in the network, J and F in percent, and all masks."""
        seconds, segment_video = 0.0, evaluation.segment_video

        def clocked(*arguments: Any) -> evaluation.SegmentedVideo:
            nonlocal seconds
            started = time.process_time()
            found = segment_video(*arguments)
            seconds += time.process_time() - started
            return found

        self.data.window = way.window or self.window
        with patch.object(evaluation, "segment_video", clocked), switched(self.model, way.compiled):
            trials = list(evaluation.evaluate(self.model, self.data, ["right"], precision=way.precision))
        records = [record for trial in trials for record in trial.records]
        standard = aggregate(records, experiment="", group=None, seconds=0).right.standard
        return seconds, standard.J, standard.F, [trial.masks for trial in trials]


class Timed:
    """Ten frames of the published network under one way after another."""

    def __init__(self, size: tuple[int, int], *, compiled: bool = True) -> None:
        self.task = Task(size, train=False)
        self.model, self.query = self.task.model, self.task.query
        if compiled:
            compile_blocks(self.model)

    def __call__(self, way: Way) -> tuple[float, Tensor]:
        """Seconds, and the mask logits of all queries."""
        frames = self.query.frames.shape[1]
        window = way.window or frames
        started, masks = time.process_time(), []
        with torch.no_grad(), computing(way.precision, "cpu"):
            support: EncodedSupport = self.model.encode_support(self.task.support)
            for start in range(0, frames, window):
                cut = slice(start, start + window)
                part = replace(
                    self.query, frames=self.query.frames[:, cut], padding_mask=self.query.padding_mask[:, cut]
                )
                masks.append(self.model(part, support, every_layer=False).masks)
        return time.process_time() - started, torch.cat(masks, 1)


def scores(checkpoint: str, ways: dict[str, Way], rounds: int) -> str:
    """The table of J and F."""
    scored = Scored(checkpoint)
    found: dict[str, list[tuple[float, float, float, list[Tensor]]]] = {name: [] for name in ways}
    first = first_passes(ways, lambda way: scored(way)[0])
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(scored(way))
    _, base_j, base_f, masks = found["default"][0]
    rows = []
    for name, results in found.items():
        _, j, f, its = results[0]
        seconds = median(result[0] for result in results)
        ratio = median(result[0] for result in found["default"]) / seconds
        same = torch.cat([region_similarity(a, b) for a, b in zip(its, masks, strict=True)]).mean()
        rows.append(
            [name, f"{j:.1f}", f"{j - base_j:+.1f}", f"{f:.1f}", f"{f - base_f:+.1f}", f"{100 * same:.1f}",
             f"{seconds:.1f}", f"{ratio:.2f}", first.get(name, "")]
        )  # fmt: skip
    header = [
        "switch",
        "J",
        "change",
        "F",
        "change",
        "same",
        "seconds",
        "times as fast",
        "first",
    ]
    return f"{checkpoint}, {len(masks)} episodes, window {scored.window}\n\n{table(header, rows)}"


def first_passes(ways: dict[str, Way], spent: Callable[[Way], float]) -> dict[str, str]:
    """Seconds of the first pass of each compiled way."""
    return {name: f"{spent(way):.0f}" for name, way in ways.items() if way.compiled}


def speeds(ways: dict[str, Way], large: bool, rounds: int) -> str:
    """The table of speed and memory at the published sizes."""
    size = LARGE if large else SMALL
    peaks = {name: memory(name, large) for name in ways}
    timed = Timed(size)

    def run(way: Way) -> tuple[float, Tensor]:
        with switched(timed.model, way.compiled):
            return timed(way)

    first = first_passes(ways, lambda way: run(way)[0])
    run(WAYS["default"])
    found: dict[str, list[tuple[float, Tensor]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(run(way))
    base, expected = median(s for s, _ in found["default"]), found["default"][0][1]
    rows = []
    for name, results in found.items():
        seconds = median(s for s, _ in results)
        apart = (results[0][1] - expected).abs().max() / expected.abs().max()
        of_another = "" if WAYS[name].window else f"{apart:.1e}"
        rows.append(
            [name, f"{seconds:.2f}", f"{base / seconds:.2f}", first.get(name, ""), of_another,
             f"{peaks[name]:.0f}", f"{peaks['default'] / peaks[name]:.2f}"]
        )  # fmt: skip
    header = ["switch", "seconds", "times as fast", "first", "largest difference", "added MB", "times less"]
    title = f"10 query and 5 support frames, {size[0]}x{size[1]}, {torch.get_num_threads()} threads"
    return f"{title}\n\n{table(header, rows)}"


def memory(name: str, large: bool) -> float:
    """MB that one way adds at its peak, in a process of its own."""
    command = [sys.executable, __file__, "--memory", name, *(["--large"] if large else [])]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def tell_memory(name: str, size: tuple[int, int]) -> None:
    """Prints it, for ``memory``; a compiled way after what compiling takes."""
    timed = Timed(size, compiled=WAYS[name].compiled)
    if WAYS[name].compiled:
        timed(replace(WAYS[name], window=1))  # of one frame, which is a graph of its own
        small = Timed((64, 96))
        small.model = timed.model
        small(WAYS[name])
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    timed(WAYS[name])
    peak = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    print(int(peak.split()[1]) / 1024 - pages * resource.getpagesize() / 2**20)


def main() -> None:
    """Measures and prints one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", help="run folder, folder of runs, or .ckpt file")
    parser.add_argument("--large", action="store_true", help="360x640 instead of 192x320")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--ways", nargs="+", choices=list(WAYS), default=list(WAYS), help="these beside the default"
    )
    parser.add_argument("--memory", choices=list(WAYS), help="what one way adds, alone")
    arguments = parser.parse_args()
    ways = {name: way for name, way in WAYS.items() if name in ("default", *arguments.ways)}
    if arguments.memory:
        tell_memory(arguments.memory, LARGE if arguments.large else SMALL)
    elif arguments.checkpoint:
        print(scores(arguments.checkpoint, ways, arguments.rounds))
    else:
        print(speeds(ways, arguments.large, arguments.rounds))


if __name__ == "__main__":
    main()
