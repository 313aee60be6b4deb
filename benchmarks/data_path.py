"""What a training frame costs, file to batch, and whether a network has to wait for its data.

    OMP_NUM_THREADS=1 python benchmarks/data_path.py
    OMP_NUM_THREADS=1 python benchmarks/data_path.py --data ../shared/data/Mini-Ref-YouTube-VOS

Makes a small data set of textured 854x480 frames (JPEG of quality 90, palette PNG masks) in a temporary folder, unless
--data names one. First table: decode and augment of one training frame (episodes of 5 query and 5 support frames, the
published transform of configs/data/ytvos.yaml) by our path and by one of Pillow and numpy that makes the same draws;
they take turns, one thread, processor time, median over episodes. Second: where our time goes. Third: what loaders
deliver. Fourth: steps of a small network on loaded batches and on one batch again and again. The last two go by the
clock, so only their ratios mean anything on a busy machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import torch
from data_path_baseline import by_pillow, made
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import nn

from fsrvos.cli.common import config_directory, speak_plainly
from fsrvos.data import clips, datasets, transforms
from fsrvos.data.collate import collate
from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.data.transforms import TrainTransform
from fsrvos.report import table
from fsrvos.structures import Batch, EpisodeSpec


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, help="a data set in the benchmark's layout; made for the run without"
    )
    parser.add_argument(
        "--episodes", type=int, default=40, help="episodes of the first two tables (default 40)"
    )
    parser.add_argument(
        "--loaded", type=int, default=24, help="batches of the other two (default 24); 0: none"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="default 0 1 2")
    parser.add_argument(
        "--steps-workers", type=int, default=2, help="workers of the fourth table (default 2, as configured)"
    )
    arguments = parser.parse_args()
    speak_plainly()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", ".*fewer than two videos.*")
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.data or made(Path(folder))
        data = module(root, 0)
        print(compared(data, arguments.episodes), profiled(data, arguments.episodes), sep="\n\n")
        if arguments.loaded:
            print("\n" + delivered(root, arguments.workers, arguments.loaded), flush=True)
            print("\n" + waited(root, arguments.steps_workers, arguments.loaded))


def module(root: Path, num_workers: int) -> EpisodeDataModule:
    """The data of configs/data/ytvos.yaml."""
    with initialize_config_dir(config_directory(), version_base="1.3"):
        config = compose("train", ["experiment=ytvos_g1", f"data.num_workers={num_workers}"]).data
    config.root = str(root)
    return instantiate(config)


# ---------------------------------------------------------------- one frame


def specs_of(data: EpisodeDataModule, count: int) -> Iterator[EpisodeSpec]:
    length = len(data.train_episodes)
    for number in range(count):
        yield data.train_episodes.spec(*divmod(number, length))


def frames_of(spec: EpisodeSpec) -> int:
    return sum(len(clip.frames) for clip in (spec.query, *spec.support))


def compared(data: EpisodeDataModule, count: int) -> str:
    """Milliseconds a frame of both paths, in turns; the first episode warms up."""
    annotations, transform = data.annotations, data.train_transform
    paths: dict[str, Callable[[EpisodeSpec], object]] = {
        "ours": lambda spec: datasets.read_episode(annotations, spec, transform, data.rivals),
        "Pillow and numpy": lambda spec: by_pillow(annotations, spec, transform),
    }
    spent = defaultdict(list)
    for spec in specs_of(data, count + 1):
        for name, path in paths.items():
            began = time.process_time()
            path(spec)
            spent[name].append(1000 * (time.process_time() - began) / frames_of(spec))
    middle = {name: median(values[1:]) for name, values in spent.items()}
    rows = [
        [name, f"{middle[name]:.2f}", f"{max(spent[name][1:]):.2f}", f"{middle[name] / middle['ours']:.2f}"]
        for name in paths
    ]
    return table(["decode + augment", "ms a frame, median", "slowest episode", "times ours"], rows)


def profiled(data: EpisodeDataModule, count: int) -> str:
    """Milliseconds a frame by step, means over the episodes, batches of one included."""
    spent: dict[str, float] = defaultdict(float)

    @contextmanager
    def clocked(module: Any, name: str, step: str) -> Iterator[None]:
        original = getattr(module, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            began = time.process_time()
            try:
                return original(*arguments, **options)
            finally:
                spent[step] += time.process_time() - began

        with mock.patch.object(module, name, timed):
            yield

    frames = 0
    with (
        clocked(clips, "read_frame", "decode frame (JPEG)"),
        clocked(clips, "read_mask", "decode mask (PNG)"),
        clocked(TrainTransform, "_cropped", "draw the crop"),
        clocked(transforms, "resize", "resize frame and masks"),
        clocked(transforms, "normalised", "colours and normalise"),
    ):
        began = time.process_time()
        for spec in specs_of(data, count):
            episode = datasets.read_episode(data.annotations, spec, data.train_transform, data.rivals)
            collating = time.process_time()
            collate([episode])
            spent["collate (pad)"] += time.process_time() - collating
            frames += frames_of(spec)
        whole = time.process_time() - began
    spent["flip, stack, the rest"] = whole - sum(spent.values())
    rows = [
        [step, f"{1000 * seconds / frames:.2f}", f"{100 * seconds / whole:.0f}"]
        for step, seconds in spent.items()
    ]
    return table(["step", "ms a frame", "% of it"], [*rows, ["all", f"{1000 * whole / frames:.2f}", "100"]])


# ---------------------------------------------------------------- loaders


def batches(root: Path, workers: int, count: int) -> Iterator[Batch]:
    """So many batches, epoch after epoch, of the loader that training has."""
    data = module(root, workers)
    loader = data.train_dataloader()
    given = 0
    for epoch in range(count):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            yield batch
            given += 1
            if given == count:
                return


def timed(steps: Iterator[object]) -> float:
    """Seconds a step by the clock; the first two, in which workers start, do not count."""
    next(steps), next(steps)
    began, count = time.perf_counter(), 0
    for _ in steps:
        count += 1
    return (time.perf_counter() - began) / count


def delivered(root: Path, workers: list[int], count: int) -> str:
    """Episodes a second of the loader alone."""
    rows = [[str(n), f"{1 / timed(batches(root, n, count)):.1f}"] for n in workers]
    return table(["workers", "episodes/s"], rows)


def waited(root: Path, workers: int, count: int) -> str:
    """Steps a second of a small network on loaded batches, and on one batch repeated; in turns, twice."""
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    channels = (3, 24, 48, 48)
    layers = [
        layer
        for before, after in pairwise(channels)
        for layer in (nn.Conv2d(before, after, 5, 2, 2), nn.ReLU())
    ]
    network = nn.Sequential(*layers).to(device)
    optimizer = torch.optim.SGD(network.parameters(), 1e-6)

    def stepped(loaded: Iterator[Batch]) -> Iterator[float]:
        for batch in loaded:
            for clip in (batch.query, batch.support):
                # One size for all, so that a step is the same work whatever was drawn.
                shown = clip.frames.flatten(0, 1)[..., :288, :320].to(device, non_blocking=True)
                network(shown).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            if device == "cuda":
                torch.cuda.synchronize()
            yield 0.0

    one = next(batches(root, 0, 1))
    seconds = defaultdict(list)
    for _ in range(2):
        seconds[f"loaded, {workers} workers"].append(timed(stepped(batches(root, workers, count))))
        seconds["one batch repeated"].append(timed(stepped(iter([one] * count))))
    best = min(seconds["one batch repeated"])
    rows = [[name, f"{1 / min(values):.2f}", f"{best / min(values):.2f}"] for name, values in seconds.items()]
    return table([f"batches ({device})", "steps/s", "of the repeated"], rows)


if __name__ == "__main__":
    main()
