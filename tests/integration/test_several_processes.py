"""Training in two processes, for real: who saves at a stop signal, and what a process that dies leaves to the other."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from commands import BIN, on_data, run, write_small_data
from kill import SETTINGS

from fsrvos.checkpoints import LAST, check_resumable
from fsrvos.cli import train as train_command

TWO = ["trainer.devices=2", "data.batch_size=1"]
# A command like fsrvos-train, in which the second process fails at its second step.
FAILING = """
import torch
from fsrvos.cli import train
from fsrvos.engine.module import SegmentationModule
from fsrvos.errors import UserError

original = SegmentationModule.losses

def losses(self, batch):
    if self.global_rank == 1 and self.global_step == 1:
        raise ERROR
    return original(self, batch)

SegmentationModule.losses = losses
train.main()
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_small_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def begin(data, tmp_path):
    """Starts a command, in a group of its own that does not outlive the test."""
    started = []

    def begin(*command: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [*command, *on_data(data), *SETTINGS, *TWO, "strategy=ddp", "trainer.max_epochs=-1", "trainer.max_steps=60"],
            cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def the_checkpoint(process: subprocess.Popen, place: Path) -> Path:
    """Waits for the first checkpoint of the one run below a folder."""
    while not (found := list(place.glob(f"outputs/*/*/{LAST}"))) and process.poll() is None:
        time.sleep(0.05)
    assert found, process.stderr.read()
    return found[0]


def told(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("fsrvos: ") and "warning" not in line]


@pytest.mark.parametrize("launcher", ["its own", "torchrun"])
def test_at_sigterm_all_save_once(begin, tmp_path, launcher):
    if launcher == "torchrun":
        ahead = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
        process = begin(*ahead, "-m", "fsrvos.cli.train")
    else:
        process = begin(sys.executable, "-m", "fsrvos.cli.train")
    last = the_checkpoint(process, tmp_path)
    process.terminate()
    _, err = process.communicate(timeout=120)
    lines = told(err)
    assert len(lines) == 1, err
    assert "stopped by SIGTERM" in lines[0]
    assert "ckpt_path=last" in lines[0]
    assert process.returncode == (143 if launcher == "its own" else 1)  # torchrun has an exit code of its own
    assert len(list(tmp_path.glob("outputs/*/*"))) == 1  # one run folder for both
    check_resumable(last)
    names = {path.name for path in last.parent.iterdir()}
    assert names <= {"last.ckpt", "previous.ckpt", "best.ckpt"}
    assert 1 <= torch.load(last, weights_only=True)["global_step"] < 60


@pytest.mark.parametrize("kind", ["mistake", "crash"])
def test_a_process_that_dies_ends_the_job_with_its_error(begin, tmp_path, kind):
    program = tmp_path / "program.py"
    error = {"mistake": 'UserError("frame 7 is corrupt")', "crash": 'ZeroDivisionError("in the second")'}[
        kind
    ]
    program.write_text(FAILING.replace("ERROR", error))
    process = begin(sys.executable, str(program))
    _, err = process.communicate(timeout=120)
    if kind == "mistake":
        assert process.returncode == 2, err
        assert told(err) == ["fsrvos: frame 7 is corrupt"]
        assert "Traceback" not in err
    else:
        assert process.returncode not in (0, 2), err
        assert err.count("Traceback") == 1, err
        assert "ZeroDivisionError: in the second" in err


def test_a_spread_network_trains_as_a_whole_one(data, tmp_path):
    """FSDP, stopped and gone on with, has the losses of DDP; its checkpoints are those of any network."""
    network = [
        "model=cma",
        "model.hidden_dim=64",
        "criterion=published",
        "model.dropout=0",
        "++optim.total_steps=2",
    ]

    def train(name: str, steps: int, *more: str) -> Path:
        settings = [*on_data(data), *SETTINGS, *TWO, *network, f"name={name}", f"trainer.max_steps={steps}"]
        done = subprocess.run(
            [BIN / "fsrvos-train", *settings, *more],
            cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return max((tmp_path / "outputs" / name).iterdir())

    def logged(folder: Path, name: str) -> list[float]:
        with (folder / "logs" / "metrics.csv").open() as file:
            return [float(row[name]) for row in csv.DictReader(file) if row[name]]

    whole = train("ddp", 2, "strategy=ddp")
    first = train("fsdp", 1, "strategy=fsdp")
    second = train("fsdp", 2, "strategy=fsdp", "ckpt_path=last", "evaluate=true")
    for name in ("train/loss", "train/grad_norm"):
        assert logged(first, name) == pytest.approx(logged(whole, name)[:1], rel=1e-4)
    assert logged(second, "train/loss") == pytest.approx(logged(whole, "train/loss")[1:], rel=1e-4)
    assert (second / "results.json").is_file()
    # The loss of the second step hangs on the weights alone: the optimizer's state is there too.
    states = [torch.load(f / "checkpoints" / "last.ckpt", weights_only=True) for f in (whole, second)]
    assert states[0]["state_dict"].keys() == states[1]["state_dict"].keys()
    moments = [state["optimizer_states"][0]["state"] for state in states]
    assert len(moments[0]) == len(moments[1]) > 100
    assert all(float(moment["step"]) == 2 for moment in moments[1].values())


@pytest.mark.parametrize(
    ("more", "words"),
    [([], "network with pad_support_masks"), (["model=cma", "compile=true"], "compiled network")],
)
def test_a_network_that_cannot_be_spread_is_one_line(data, tmp_path, monkeypatch, capfd, more, words):
    arguments = [*on_data(data), "strategy=fsdp", "trainer.devices=2", "criterion=published", *more]
    done = run(train_command.main, arguments, tmp_path, monkeypatch, capfd)
    assert done.code == 2
    assert len(done.complaints) == 1
    assert done.complaints[0].startswith(f"fsrvos: strategy=fsdp takes no {words}")
    assert done.complaints[0].endswith("strategy=ddp")
