"""Training in two processes, for real: who saves at a stop signal, and what a process that dies leaves to the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from commands import on_data, run, write_small_data
from kill import SETTINGS

from fsrvos.checkpoints import LAST, check_resumable
from fsrvos.cli import train as train_command

TWO = ["strategy=ddp", "trainer.devices=2", "data.batch_size=1", "trainer.max_steps=60"]
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
            [*command, *on_data(data), *SETTINGS, "trainer.max_epochs=-1", *TWO],
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


def test_fsdp_without_gpu_is_one_line(data, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = run(
        train_command.main,
        [*on_data(data), "strategy=fsdp", "trainer.devices=2"],
        tmp_path,
        monkeypatch,
        capfd,
    )
    assert done.code == 2
    assert done.complaints == [
        "fsrvos: strategy=fsdp needs GPUs: Lightning runs FSDP on no CPU; say strategy=ddp"
    ]
