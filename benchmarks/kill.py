"""Kills a training again and again and lets it go on: are the final weights those of a training left alone?

    OMP_NUM_THREADS=1 python benchmarks/kill.py --kills 20

Trains a small network (dropout on) on six made videos, three batches an epoch, a checkpoint after every step or
validation. One training runs alone. The other is killed with SIGKILL at moments drawn with --seed, and goes on with
ckpt_path=last. A quarter of the moments lie in the start of the command, a quarter are when a checkpoint is seen being
written, the others lie up to a quarter of the training's time after its first checkpoint. Where it ends before it was
killed --kills times, another begins. What is compared bit by bit: weights, optimizer, schedule, position of the loops.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from synthetic import machine
from torch import Tensor

sys.path[:0] = [str(Path(__file__).parent.parent / "tests" / part) for part in ("integration", "unit/data")]

from commands import on_data, write_small_data  # noqa: E402

from fsrvos.checkpoints import LAST, PREVIOUS, resumable_checkpoint  # noqa: E402
from fsrvos.errors import UserError  # noqa: E402

STEPS = 12
SETTINGS = [
    "model.dropout=0.1",
    "data.episodes_per_category=6",  # three batches an epoch
    f"trainer.max_steps={STEPS}",
    "trainer.max_epochs=99",
    "optim.warmup_steps=2",
    "callbacks.last.every_n_steps=1",
    "callbacks.progress._target_=lightning.Callback",
    "callbacks.pictures.episodes=0",
    "evaluate=false",
    "logger=csv",
]
SAME = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "global_step", "epoch")


def command(data: Path, runs: Path, run: str, *more: str) -> list[str]:
    """What is started: one training in a run folder of its own."""
    return [
        sys.executable, "-m", "fsrvos.cli.train", *on_data(data), *SETTINGS, f"hydra.run.dir={runs / run}", *more,
    ]  # fmt: skip


def start(arguments: list[str], log: Path) -> subprocess.Popen:
    """Starts a training with one thread; what it says goes to a file."""
    with log.open("ab") as told:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        return subprocess.Popen(arguments, stdout=told, stderr=told, env=environment)


def last_state(runs: Path) -> dict[str, Any]:
    """The newest whole checkpoint of a folder of runs."""
    file, _ = resumable_checkpoint(runs)
    return torch.load(file, map_location="cpu", weights_only=True)


def steps_done(runs: Path) -> int:
    """Steps from which a training below a folder could go on."""
    try:
        return int(last_state(runs)["global_step"])
    except UserError:  # none yet
        return 0


def differences(one: Any, other: Any, name: str = "") -> Iterator[str]:
    """Names of what is not the same to the last bit."""
    if isinstance(one, Tensor):
        if not (
            isinstance(other, Tensor)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and torch.equal(
                one.contiguous().reshape(-1).view(torch.uint8),
                other.contiguous().reshape(-1).view(torch.uint8),
            )
        ):
            yield name
    elif isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key, value in one.items():
            yield from differences(value, other[key], f"{name}.{key}")
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        for position, value in enumerate(one):
            yield from differences(value, other[position], f"{name}.{position}")
    elif one != other:
        yield name


def kill(
    process: subprocess.Popen, checkpoints: Path, rng: random.Random, startup: float, whole: float
) -> str:
    """Kills a training at a random moment, unless it ends before.

    Returns:
        What it was doing.
    """
    began, kind, share = time.perf_counter(), rng.random(), rng.random()
    while process.poll() is None:
        now = time.perf_counter()
        if kind < 0.25 and now - began >= share * startup:
            doing = "in its first seconds"
            break
        if kind < 0.5 and is_written(checkpoints):
            doing = "while a checkpoint was written"
            break
        if not (checkpoints / LAST.name).exists():
            first = now
        elif kind >= 0.5 and now - first >= share * (whole - startup) / 4:
            doing = "while it trained"
            break
        time.sleep(0.001)
    else:
        return ""
    process.kill()
    return doing


def is_written(checkpoints: Path) -> bool:
    """Whether a checkpoint lies beside its place, or its place is empty between two renames."""
    beside = any(checkpoints.glob(".last.ckpt*"))
    return beside or ((checkpoints / PREVIOUS.name).exists() and not (checkpoints / LAST.name).exists())


def killed_training(
    data: Path, runs: Path, kills: int, rng: random.Random, startup: float, whole: float
) -> tuple[int, int]:
    """One training that is killed up to so often, then ends.

    Returns:
        Kills, and starts that went on from a checkpoint.

    Raises:
        SystemExit: A training failed by itself.
    """
    done = resumes = 0
    for number in range(10 * kills + 10):
        before = steps_done(runs)
        more = ["ckpt_path=last"] if before else []
        resumes += bool(before)
        process = start(command(data, runs, f"run{number}", *more), runs / f"{number}.log")
        doing = ""
        if done < kills and before < STEPS:  # with all steps saved it has only to end
            doing = kill(process, runs / f"run{number}" / LAST.parent, rng, startup, whole)
        if process.wait() == -signal.SIGKILL:
            done += 1
            print(f"  killed {doing}, started at step {before}, goes on at {steps_done(runs)}", flush=True)
        elif process.returncode:
            sys.exit(f"the training failed by itself, see {runs / f'{number}.log'}")
        else:
            return done, resumes
    sys.exit(f"the training did not end, see {runs}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--keep", action="store_true", help="leave the folder with the runs, and say where it is"
    )
    arguments = parser.parse_args()
    if arguments.kills < 1:
        parser.error("--kills must be at least 1")
    place = Path(tempfile.mkdtemp(prefix="fsrvos-kill-"))
    try:
        same = compare(place, arguments.kills, random.Random(arguments.seed))
    except BaseException:
        arguments.keep = True
        raise
    finally:
        if arguments.keep:
            print(f"runs: {place}")
        else:
            shutil.rmtree(place)
    sys.exit(0 if same else 1)


def compare(place: Path, kills: int, rng: random.Random) -> bool:
    """Runs one training alone and others that are killed; prints what came of it; True if all end the same."""
    data = write_small_data(place / "data")
    alone = place / "alone"
    alone.mkdir()
    began = time.perf_counter()
    process = start(command(data, alone, "run"), alone / "log")
    startup = None
    while process.poll() is None:
        if startup is None and (alone / "run" / LAST).exists():
            startup = time.perf_counter() - began
        time.sleep(0.02)
    whole = time.perf_counter() - began
    if process.returncode or startup is None:
        sys.exit(f"the training failed by itself, see {alone / 'log'}")
    wanted = last_state(alone)
    print(
        f"{machine()}; alone: {STEPS} steps, first checkpoint after {startup:.1f} s, end after {whole:.1f} s"
    )
    done = resumes = trainings = equal = 0
    while done < kills:
        runs = place / f"killed{trainings}"
        runs.mkdir()
        killed, resumed = killed_training(data, runs, kills - done, rng, startup, whole)
        done, resumes, trainings = done + killed, resumes + resumed, trainings + 1
        found = last_state(runs)
        wrong = [name for key in SAME for name in differences(wanted[key], found[key], key)]
        equal += not wrong
        told = "the same bits" if not wrong else f"{len(wrong)} values differ, {wrong[0]} first"
        print(
            f"training {trainings}: {killed} kills, {resumed} resumes, step {found['global_step']}: {told}",
            flush=True,
        )
    print(
        f"{done} kills, {resumes} resumes, {trainings} trainings: {equal} of {trainings} end in the same bits"
    )
    return equal == trainings


if __name__ == "__main__":
    main()
