"""Kills a training again and again and lets it go on: are the final weights those of a training left alone?

    OMP_NUM_THREADS=1 python benchmarks/kill.py --kills 20

Trains a small network (dropout on) on six made videos, three batches an epoch, a checkpoint after every step and every
validation. One training runs alone. The other is killed with SIGKILL at random moments, drawn with --seed over the
whole time of the command and twice as often over its steps, and goes on with ckpt_path=last until it has been killed
--kills times; then it may end. Where it ends before it could be killed that often, another begins. What is compared
bit by bit: weights, optimizer, schedule, and the position of the loops.
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


def moment(rng: random.Random, startup: float, whole: float) -> float:
    """Seconds after the start at which to kill: two of three times while it takes steps."""
    return rng.uniform(startup, whole) if rng.random() < 2 / 3 else rng.uniform(0, whole)


def killed_training(
    data: Path, runs: Path, kills: int, rng: random.Random, startup: float, whole: float
) -> tuple[int, int, list[str]]:
    """One training that is killed up to so often, then ends.

    Returns:
        Kills, starts that went on from a checkpoint, and a line for each kill.

    Raises:
        SystemExit: A training failed by itself.
    """
    done, resumes, lines = 0, 0, []
    for number in range(10 * kills + 10):
        before = steps_done(runs)
        more = ["ckpt_path=last"] if before else []
        resumes += bool(before)
        process = start(command(data, runs, f"run{number}", *more), runs / f"{number}.log")
        if done < kills:
            try:
                process.wait(moment(rng, startup, whole))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:
            done += 1
            folder = runs / f"run{number}" / LAST.parent
            part = " while it wrote a checkpoint" if list(folder.glob(".*part*")) else ""
            between = " between two renames" if (runs / f"run{number}" / PREVIOUS).exists() and not (
                runs / f"run{number}" / LAST
            ).exists() else ""  # fmt: skip
            lines.append(f"killed at step {before} -> {steps_done(runs)}{part}{between}")
            print(f"  kill {done}: {lines[-1]}", flush=True)
        elif process.returncode:
            sys.exit(f"the training failed by itself, see {runs / f'{number}.log'}")
        else:
            return done, resumes, lines
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
        killed, resumed, _ = killed_training(data, runs, kills - done, rng, startup, whole)
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
