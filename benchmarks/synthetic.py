"""The variants of the network on Mini-Ref-Synthetic, trained and scored alike: same data, steps and seeds.

    python benchmarks/synthetic.py --group 1
    python benchmarks/synthetic.py --groups 1 2 3 4 --budget-minutes 60

Trains ``referformer`` (reads no support), ``base``, ``self``, ``cma``, ``cma_plus``, and ``cma`` with one of our
switches at a time; then ``cma_plus`` with further seeds. A run is ``fsrvos-train experiment=demo`` with other settings,
scored with all controls. The first ``cma_plus`` is scored again with other numbers of support frames and clips.

What is done lies below --out and is not done again: call it as often as you like, with a budget, or with Ctrl-C in
between. Every call writes synthetic.json, synthetic.md and the plots below --results from all that is there, and takes
what that synthetic.json already tells of the runs it is asked for: results outlive --out, which is not in git.

All variants share the small sizes of ``model=cma_plus``, the mask head's coordinates in 1/64 pixel (a fresh network
cannot read pixels), masks learned at full size, pseudo-words, and twins (of a pair one episode for each object).
``pad_support_masks`` has no row of its own: all frames have one size here, a multiple of 32, where it changes nothing.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from synthetic_report import portable, write_report

from fsrvos.cli.common import build, config_directory
from fsrvos.cli.mistakes import user_message
from fsrvos.cli.progress import prepare
from fsrvos.errors import UserError
from fsrvos.report import replace_file

SWITCHES = ("all_support_frames", "mask_background", "transform_all_levels", "true_first_anchors")
UNTAUGHT = ("model.rest=false", "criterion.affinity=null")
UNJUDGED = ("model.judge_by_match=false",)
UNSAID = ("model.judge_by_phrase=false", "criterion.phrase_weight=0")


def published(
    variant: str, *ours: str, less: Sequence[str] = (*UNTAUGHT, *UNJUDGED, *UNSAID)
) -> tuple[str, ...]:
    """Settings that turn the config of ``cma_plus`` into a published variant, plus some of ours."""
    switches = {f"model.{switch}=null" for switch in (*SWITCHES, "pad_support_masks")}
    off = sorted(switches | {"model.choose_per_frame=false"} | set(less))
    turned = {setting.split("=")[0] for setting in ours}
    return (f"model.variant={variant}", *(s for s in off if s.split("=")[0] not in turned), *ours)


VARIANTS: dict[str, tuple[str, ...]] = {
    **{name: published(name) for name in ("referformer", "base", "self", "cma")},
    "cma_plus": (),
    "cma, match taught": published("cma", less=(*UNJUDGED, *UNSAID)),
    "cma, match taught, judging": published("cma", less=UNSAID),
    "cma, phrase judging": published("cma", less=(*UNTAUGHT, *UNJUDGED)),
    **{f"cma, {switch}": published("cma", f"model.{switch}=true") for switch in SWITCHES},
    "cma, choose_per_frame": published("cma", "model.choose_per_frame=true"),
}
BEST = "cma_plus"
DIGESTED = ("data", "backbone", "text_encoder", "model", "criterion", "optim", "trainer")
SUPPORTS = ((1, 1), (2, 1), (3, 1), (5, 1), (1, 2), (1, 5))  # frames of a clip, clips


@dataclass(frozen=True)
class Run:
    """One network to train and score."""

    variant: str
    group: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.variant.replace(', ', '-').replace(' ', '_')}_g{self.group}_s{self.seed}"


@dataclass
class Bench:
    """Where runs go, and what they share."""

    out: Path
    steps: int
    jobs: int
    common: list[str]
    deadline: float
    failed: list[str] = field(default_factory=list)

    def record(self, name: str) -> Path:
        return self.out / "records" / f"{name}.json"

    def call(self, command: str, name: str, settings: Sequence[str]) -> tuple[Path, float] | None:
        """Runs a console script to its end; returns its newest run folder and its minutes."""
        log = self.out / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // self.jobs))
        began = time.perf_counter()
        with log.open("w") as file:
            code = subprocess.run(
                [Path(sys.executable).with_name(command), *settings, f"name={name}", f"paths.outputs={self.out}"],
                stdout=file, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": threads},
            ).returncode  # fmt: skip
        if code:
            self.failed.append(name)
            print(f"{name}: failed with exit code {code}, see {log}", flush=True)
            return None
        folders = sorted((self.out / name).glob("*/results.json"), key=lambda path: path.stat().st_mtime)
        return folders[-1].parent, (time.perf_counter() - began) / 60

    def settings(self, run: Run) -> list[str]:
        return [f"group={run.group}", f"seed={run.seed}", *self.common, *VARIANTS[run.variant]]

    def asked(self, run: Run) -> list[str]:
        """The settings of a run, and a digest of what they make today of everything that its scores depend on."""
        settings = self.settings(run)
        with initialize_config_dir(config_directory(), version_base="1.3"):
            config = compose("train", ["experiment=demo", *settings])
        part = OmegaConf.masked_copy(config, list(DIGESTED))
        digest = hashlib.sha256(OmegaConf.to_yaml(part, sort_keys=True).encode()).hexdigest()
        return [*settings, f"config={digest[:12]}"]

    def train(self, run: Run, asked: list[str]) -> None:
        """Trains and scores one network, unless that is done or time is up."""
        settings = self.settings(run)
        if self.is_done(run.name, asked) or self.is_late(run.name):
            return
        done = self.call("fsrvos-train", run.name, ["experiment=demo", *settings])
        if done is None:
            return
        folder, minutes = done
        results = json.loads((folder / "results.json").read_text())
        training = minutes - results["seconds"] / 60
        self.keep(
            run.name,
            asked,
            variant=run.variant, group=run.group, seed=run.seed, steps=self.steps, run=str(folder),
            minutes=minutes, training_minutes=training, results=results,
            curve=curve(folder / "logs" / "metrics.csv", self.steps, training),
        )  # fmt: skip
        controls = results["controls"]
        told = [f"J {results['standard']['J']:.1f}"]
        told += [f"{key.replace('_', ' ')} {of['standard']['J']:.1f}" for key, of in controls.items()]
        print(f"{run.name}: {', '.join(told)} ({minutes:.1f} minutes)", flush=True)

    def score_supports(self, run: Run) -> None:
        """Scores a trained network with other numbers of support frames and clips."""
        trained = self.record(run.name)
        if not trained.is_file():
            return
        record = json.loads(trained.read_text())
        checkpoint = record.get("run")
        for frames, clips in SUPPORTS:
            name = f"{run.name}_frames{frames}_clips{clips}"
            settings = support_settings(frames, clips, checkpoint)
            asked = [*settings, record["settings"][-1]]  # the config that was trained
            if self.is_done(name, asked) or self.is_late(name):
                continue
            if checkpoint is None:
                print(
                    f"{name}: left out, the run is known from synthetic.json and its checkpoint is not here"
                )
                continue
            done = self.call("fsrvos-eval", name, settings)
            if done is not None:
                results = json.loads((done[0] / "results.json").read_text())
                self.keep(
                    name,
                    asked,
                    support_of=run.name, frames=frames, clips=clips, minutes=done[1], results=results,
                )  # fmt: skip
                print(f"{name}: J {results['standard']['J']:.1f} ({done[1]:.1f} minutes)", flush=True)

    def is_done(self, name: str, asked: list[str]) -> bool:
        """Whether a run is there.

        Raises:
            UserError: It is, but made with other settings, or before a config was changed.
        """
        file = self.record(name)
        if not file.is_file():
            return False
        made_with = json.loads(file.read_text())["settings"]
        if portable(made_with) != portable(asked):
            other = sorted(set(made_with) ^ set(asked))
            raise UserError(
                f"{file} was made with other settings ({', '.join(other)}); give another --out, or delete it"
            )
        return True

    def recall(self, file: Path, runs: Sequence[Run], asked: Sequence[list[str]]) -> None:
        """Makes records of what a synthetic.json tells of these runs, of the same settings and configs alone."""
        wanted = {run.name: settings for run, settings in zip(runs, asked, strict=True)}
        for record in json.loads(file.read_text()) if file.is_file() else ():
            of = record.get("support_of")
            name = of or Run(record["variant"], record["group"], record["seed"]).name
            settings, whole = record["settings"], wanted.get(name)
            if whole is None or (settings[-1] != whole[-1] if of else settings != portable(whole)):
                continue
            path = self.record(f"{of}_frames{record['frames']}_clips{record['clips']}" if of else name)
            if not path.exists():
                self.write(path, record)

    def is_late(self, name: str) -> bool:
        """Whether the budget is spent; says so."""
        late = time.monotonic() > self.deadline
        if late:
            print(f"{name}: left for the next call, the budget is spent", flush=True)
        return late

    def keep(self, name: str, asked: list[str], **found: Any) -> None:
        """Writes a record."""
        self.write(self.record(name), {"settings": asked, "machine": machine(), "jobs": self.jobs, **found})

    def write(self, path: Path, record: dict[str, Any]) -> None:
        text = json.dumps(record, indent=1) + "\n"
        replace_file(path, lambda file: file.write(text.encode()))


def support_settings(frames: int, clips: int, checkpoint: str | None) -> list[str]:
    """Settings of fsrvos-eval for a test with so many support frames of so many clips."""
    support = [f"+data.support_frames={frames}", f"+data.support_clips={clips}"]
    return [*support, "evaluation.conditions=[right]", f"checkpoint={checkpoint}"]


def machine() -> str:
    """What it ran on."""
    info = Path("/proc/cpuinfo")
    models = (
        [line for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.is_file()
        else []
    )
    cpu = models[0].split(":", 1)[1].strip() if models else platform.processor() or platform.machine()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{os.cpu_count()} x {cpu}{gpu}, torch {torch.__version__}"


def curve(file: Path, steps: int, minutes: float) -> list[dict[str, float]]:
    """The validations of a run, at the share of its training minutes."""
    found = []
    for row in csv.DictReader(file.open()):
        if row.get("val/J"):
            step = int(row["step"]) + 1
            values = {key: 100 * float(row[f"val/{key}"]) for key in ("J", "J_wrong_support", "J_no_support")}
            found.append({"step": step, "minutes": minutes * step / steps, **values})
    return found


def plan(groups: Sequence[int], variants: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    """Every variant once, then the best with the other seeds, group by group."""
    return [
        Run(variant, group, seed)
        for group in groups
        for seed in seeds
        for variant in variants
        if seed == seeds[0] or variant == BEST
    ]


def benchmark(arguments: argparse.Namespace) -> int:
    """Runs what is missing and writes the report; returns the exit code."""
    if unknown := [v for v in arguments.variants if v not in VARIANTS]:
        raise UserError(f"unknown variant {unknown[0]!r}; there are: {'; '.join(VARIANTS)}")
    common = [
        f"data.root={arguments.root}", "data.videos_per_category=32", "data.support_frames=2", "data.num_workers=0",
        "data.val_episodes=24", f"trainer.max_steps={arguments.steps}",
        f"trainer.val_check_interval={max(1, arguments.steps // 3)}", "~callbacks.progress", *arguments.set,
    ]  # fmt: skip
    out = arguments.out.resolve()
    bench = Bench(
        out, arguments.steps, arguments.jobs, common, time.monotonic() + 60 * arguments.budget_minutes
    )
    runs = plan(arguments.groups, arguments.variants, arguments.seeds)
    if not arguments.report_only:
        asked = [bench.asked(run) for run in runs]
        bench.recall(arguments.results / "synthetic.json", runs, asked)
        for run, of_run in zip(
            runs, asked, strict=True
        ):  # before hours are spent beside one that does not belong
            bench.is_done(run.name, of_run)
        with initialize_config_dir(config_directory(), version_base="1.3"):
            prepare(build(compose("train", ["experiment=demo", *common]).data))
        print(
            f"{len(runs)} runs of {arguments.steps} steps, {arguments.jobs} at a time, logs in {out / 'logs'}"
        )
        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(bench.train, runs, asked))
            first = [r for r in runs if r.variant == BEST and r.seed == arguments.seeds[0]]
            list(pool.map(bench.score_supports, first))
    records = [json.loads(file.read_text()) for file in sorted((out / "records").glob("*.json"))]
    if not records:
        raise UserError(f"no runs below {out}: nothing to report")
    write_report(records, list(VARIANTS), arguments.results)
    if bench.failed:
        print(f"failed: {', '.join(bench.failed)}", file=sys.stderr)
    return 1 if bench.failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    groups = parser.add_mutually_exclusive_group()
    groups.add_argument("--group", dest="groups", type=int, nargs=1, choices=(1, 2, 3, 4), default=[1])
    groups.add_argument("--groups", type=int, nargs="+", choices=(1, 2, 3, 4), help="held-out groups")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), help="default: all")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], help=f"after the first for {BEST} alone"
    )
    parser.add_argument("--steps", type=int, default=300, help="training steps of a run, 12 episodes each")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, which share the cores")
    parser.add_argument(
        "--budget-minutes", type=float, default=float("inf"), help="start no run after so many minutes"
    )
    parser.add_argument(
        "--root", type=Path, default=Path("data/Mini-Ref-Synthetic-32"), help="data, made if missing"
    )
    parser.add_argument("--out", type=Path, default=Path("outputs/synthetic"), help="where runs are kept")
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="where the report goes")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings for all runs: trainer=gpu"
    )
    parser.add_argument("--report-only", action="store_true", help="train nothing")
    try:
        return benchmark(parser.parse_args(arguments))
    except KeyboardInterrupt:
        print("interrupted: finished runs are kept, the same command goes on", file=sys.stderr)
        return 130
    except Exception as error:
        if (message := user_message(error)) is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
