"""Does adapting to a few clips help on other clips? On a synthetic change of domain, and on six real clips.

    python benchmarks/adapt.py --checkpoint outputs/demo
    python benchmarks/adapt.py --checkpoint outputs/demo --budget-minutes 20

Synthetic: clips of categories that the checkpoint's group holds out, freshly made, put through another palette, blur,
noise and zoom. Adapts on three clips of one category, tests on six others of it that the adaptation never saw, before
and after, changed and unchanged (what is forgotten). Real (``--real``): adapts on one clip, tests on the other of its
category, both ways. Every number is J in percent at native size, whether or not the command would have called the
network better; its verdict stands beside.

What is done lies in --out and is not done again: call it as often as you like, or with Ctrl-C in between.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import lightning as L
import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich.progress import track
from scipy.ndimage import gaussian_filter
from synthetic import machine

from fsrvos.cli.adapt import adapted
from fsrvos.cli.common import config_directory, speak_plainly
from fsrvos.cli.input_settings import InputSettings, settings_of
from fsrvos.cli.mistakes import user_message
from fsrvos.data.annotations import Annotations
from fsrvos.data.clips import AnnotatedClip, read_clip
from fsrvos.data.held_back import OwnClip, hold_back
from fsrvos.data.resizing import resize
from fsrvos.data.synthetic.categories import CATEGORIES
from fsrvos.data.synthetic.film import shoot
from fsrvos.data.transforms import TestTransform
from fsrvos.engine.held_back_scores import Scorer
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA
from fsrvos.report import replace_file, table
from fsrvos.weights import load_model, read_weights

NUMBERS = (1, 9, 17, 29, 37, 45)  # of categories that group 1 holds out
DATA_SEED = 1000  # no benchmark is made with it
FRAMES, SIZE = 16, (96, 160)
OWN, OTHERS = 3, 6
RECIPES: dict[str, tuple[str, ...]] = {
    "default": (),
    "backbone frozen": ("frozen=[text_encoder,backbone]",),
    "backbone at a tenth": ("+optim.backbone_lr=3e-5",),
    "nothing frozen": ("frozen=[]",),
}
REAL = "../shared/data/Mini-Ref-YouTube-VOS"


@dataclass
class Task:
    """Clips to adapt on and to test on; ``plain`` are the test's clips and one support in the known domain."""

    name: str
    kind: str
    own: list[AnnotatedClip]
    others: list[AnnotatedClip]
    plain: list[AnnotatedClip]


def changed(clip: AnnotatedClip, seed: int) -> AnnotatedClip:
    """The clip in another domain: inverted and with permuted channels, zoomed by 4/3, blurred, noisy."""
    rng = np.random.default_rng(seed)
    height, width = clip.masks.shape[-2:]
    h, w = 3 * height // 4, 3 * width // 4
    _, rows, columns = torch.where(clip.masks)
    top = int(min(max(rows.float().mean() - h / 2, 0), height - h))
    left = int(min(max(columns.float().mean() - w / 2, 0), width - w))
    window = (..., slice(top, top + h), slice(left, left + w))
    frames, masks = resize(clip.frames[window], clip.masks[window], (height, width))
    pixels = 255.0 - frames[:, [2, 0, 1]].numpy().astype(np.float32)
    pixels = gaussian_filter(pixels, (0, 0, 1.0, 1.0)) + rng.normal(0, 12, pixels.shape)
    return AnnotatedClip(torch.from_numpy(pixels.clip(0, 255).astype(np.uint8)), masks, clip.expression)


def filmed(number: int, count: int) -> list[AnnotatedClip]:
    """Clips of a category in which it is the only one, under its bare name."""
    clips: list[AnnotatedClip] = []
    take = 0
    while len(clips) < count:
        film = shoot(DATA_SEED, number, take, FRAMES, SIZE)
        take += 1
        noun = CATEGORIES[number - 1].noun
        said = next((p for p in film.phrases if p.text == f"the {noun}"), None)
        if said is not None:
            frames = torch.from_numpy(film.footage.frames).permute(0, 3, 1, 2)
            clips.append(
                AnnotatedClip(frames, torch.from_numpy(film.footage.masks == said.object_id), said.text)
            )
    return clips


def synthetic_tasks(numbers: Sequence[int]) -> Iterator[Task]:
    for number in numbers:
        plain = filmed(number, OWN + OTHERS)
        clips = [changed(clip, number * 100 + place) for place, clip in enumerate(plain)]
        yield Task(CATEGORIES[number - 1].noun, "synthetic", clips[:OWN], clips[OWN:], plain[OWN - 1 :])


def real_tasks(root: str) -> Iterator[Task]:
    annotations = Annotations(root)
    for category in ("dog", "person", "sedan"):
        clips = {}
        for video in annotations.category_videos[category]:
            (object_id, *_) = annotations.objects(video, category)
            content = annotations.videos[video]
            expression_id = content.expression_ids(object_id)[0]
            clips[video] = read_clip(
                annotations, annotations.clip(video, object_id, expression_id, content.frames)
            )
        for video, clip in clips.items():
            others = [other for name, other in clips.items() if name != video]
            yield Task(f"{category}: {video}", "real", [clip], others, [])


def tested(model: CMA, support: AnnotatedClip, clips: Sequence[AnnotatedClip], given: InputSettings) -> float:
    """Mean J of whole clips in percent, with three frames of one clip as support."""
    shown = hold_back("support", "it", support, 0.01)
    everything = [tuple(range(len(clip.frames))) for clip in clips]
    whole = [
        OwnClip(f"test{i}", "it", clip, (), all_, all_)
        for i, (clip, all_) in enumerate(zip(clips, everything, strict=True))
    ]
    scorer = Scorer([shown, *whole], TestTransform(given.short_side, given.max_long_side), given.window)
    return 100 * fmean(score for name, score in scorer(model, "report").items() if name != "support")


def configured(overrides: Sequence[str], folder: Path) -> DictConfig:
    """The config of fsrvos-adapt with overrides."""
    with initialize_config_dir(config_directory(), version_base="1.3"):
        return compose("adapt", [*overrides, f"trainer.default_root_dir={folder}"])


def measured(task: Task, original: CMA, given: InputSettings, config: DictConfig) -> dict:
    """Adapts a copy of the network on a task, and tests before and after."""
    L.seed_everything(config.seed, verbose=False)
    model = copy.deepcopy(original)
    clips = [hold_back(f"clip{i}", "it", clip, config.held_back) for i, clip in enumerate(task.own)]
    plain = (lambda: tested(model, task.plain[0], task.plain[1:], given)) if task.plain else (lambda: None)
    before, plain_before = tested(model, task.own[-1], task.others, given), plain()
    began = time.process_time()
    found = adapted(model, clips, config, given, None)
    minutes = (time.process_time() - began) / 60
    return {
        "task": task.name, "kind": task.kind, "before": before, "after": tested(model, task.own[-1], task.others, given),
        "plain_before": plain_before, "plain_after": plain(), "better": found.better,
        "held_back_before": 100 * fmean(found.before.values()), "held_back_after": 100 * fmean(found.after.values()),
        "best_step": found.curve.best_step, "steps": len(found.curve.losses), "core_minutes": minutes,
    }  # fmt: skip


def cell(values: Sequence[float]) -> str:
    return f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def summary(records: Sequence[dict]) -> str:
    """A table: a row for each kind of task and recipe, means and spread over tasks (seeds averaged first)."""
    rows = []
    for kind, recipe in dict.fromkeys((r["kind"], r["recipe"]) for r in records):
        of = [r for r in records if (r["kind"], r["recipe"]) == (kind, recipe)]
        tasks = list(dict.fromkeys(r["task"] for r in of))

        def by_task(key: str) -> list[float]:
            return [fmean(r[key] for r in of if r["task"] == task) for task in tasks]  # noqa: B023

        before, after = by_task("before"), by_task("after")
        gains = [b - a for a, b in zip(before, after, strict=True)]
        plain = ["", ""] if kind == "real" else [cell(by_task("plain_before")), cell(by_task("plain_after"))]
        verdicts = f"{sum(r['better'] for r in of)} of {len(of)}"
        rows.append(
            [f"{kind}, {recipe}", str(len(of)), cell(before), cell(after), cell(gains), *plain, verdicts]
        )
    header = ["", "runs", "J before", "J after", "gain", "unchanged, before", "after", "called better"]
    return table(header, rows)


def per_task(records: Sequence[dict]) -> str:
    """A row for each task of the default recipe."""
    of_default = [r for r in records if r["recipe"] == "default"]
    rows = [
        [
            r["task"], str(r["seed"]), f"{r['before']:.1f}", f"{r['after']:.1f}", f"{r['held_back_before']:.1f}",
            f"{r['held_back_after']:.1f}", "better" if r["better"] else "not better", str(r["best_step"]),
            f"{r['core_minutes']:.1f}",
        ]
        for r in of_default
    ]  # fmt: skip
    header = [
        "adapted on",
        "seed",
        "other clips, J before",
        "after",
        "held back, J before",
        "after",
        "verdict",
        "step",
        "minutes",
    ]
    return table(header, rows)


def benchmark(arguments: argparse.Namespace) -> int:
    speak_plainly()
    weights = read_weights(arguments.checkpoint)
    given, original = settings_of(weights), load_model(weights)
    tasks = [] if arguments.kind == "real" else list(synthetic_tasks(arguments.categories))
    if arguments.kind != "synthetic":
        tasks += real_tasks(arguments.real)
    deadline = time.monotonic() + 60 * arguments.budget_minutes
    plan = [(t, r, s) for r in arguments.recipes for s in arguments.seeds for t in tasks]
    records = []
    for task, recipe, seed in track(plan, "adapting"):
        file = arguments.out / f"{task.name}_{recipe}_{seed}.json".replace(" ", "_").replace(":", "")
        if not file.is_file():
            if time.monotonic() > deadline:
                continue
            config = configured([*RECIPES[recipe], f"seed={seed}", *arguments.set], arguments.out)
            record = {"recipe": recipe, "seed": seed, **measured(task, original, given, config)}
            text = json.dumps(record, indent=1) + "\n"
            replace_file(file, lambda f: f.write(text.encode()))  # noqa: B023
        records.append(json.loads(file.read_text()))
    if not records:
        raise UserError(f"nothing below {arguments.out}: give more --budget-minutes")
    whole = {
        "machine": machine(),
        "checkpoint": Path(arguments.checkpoint).name,
        "settings": arguments.set,
        "records": records,
    }
    text = json.dumps(whole, indent=1) + "\n"
    replace_file(arguments.results / "adapt.json", lambda f: f.write(text.encode()))
    print(summary(records), per_task(records), sep="\n\n")
    if len(records) < len(plan):
        print(f"{len(plan) - len(records)} left for the next call, the budget is spent")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", required=True, help="of group 1: run folder or file")
    parser.add_argument("--kind", choices=("synthetic", "real", "both"), default="both")
    parser.add_argument(
        "--categories", type=int, nargs="+", default=list(NUMBERS), help="numbers of categories"
    )
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=["default"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--real", default=REAL, help="data root of the real clips")
    parser.add_argument(
        "--budget-minutes", type=float, default=float("inf"), help="start nothing after so many minutes"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("outputs/adapt_benchmark"), help="where records are kept"
    )
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="where adapt.json goes")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of fsrvos-adapt for all"
    )
    try:
        return benchmark(parser.parse_args(arguments))
    except KeyboardInterrupt:
        print("interrupted: what is done is kept, the same command goes on", file=sys.stderr)
        return 130
    except Exception as error:
        if (message := user_message(error)) is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
