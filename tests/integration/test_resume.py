"""A training that was stopped anywhere goes on to the very weights of one that was not."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from commands import on_data, run, write_small_data
from kill import SAME, SETTINGS, differences, start

from fsrvos.checkpoints import LAST, PREVIOUS
from fsrvos.cli import train as train_command
from fsrvos.engine.module import SegmentationModule

STEPS = 5  # in epochs of three batches


def load(path):
    return torch.load(path, weights_only=True)


def is_same(one, other, keys=SAME):
    return [name for key in keys for name in differences(one[key], other[key], key)] == []


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    data = write_small_data(tmp_path_factory.mktemp("data"))
    return [*on_data(data), *SETTINGS, f"trainer.max_steps={STEPS}"]


@pytest.fixture
def train(settings, tmp_path, monkeypatch, capfd):
    return lambda folder, *more: run(
        train_command.main, [*settings, f"hydra.run.dir=runs/{folder}", *more], tmp_path, monkeypatch, capfd
    )


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory):
    """The end of a training that nothing disturbed, in a process of its own."""
    place = tmp_path_factory.mktemp("whole")
    command = [sys.executable, "-m", "fsrvos.cli.train", *settings, f"hydra.run.dir={place}"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    state = load(place / LAST)
    assert state["global_step"] == STEPS
    return state


def stop_at(method, step):
    """SIGTERM before a step's forward pass, or before a validation after a step."""
    original = getattr(SegmentationModule, method)

    def stopping(self, *arguments, **options):
        if self.trainer.global_step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *arguments, **options)

    patch = pytest.MonkeyPatch()
    patch.setattr(SegmentationModule, method, stopping)
    return patch


def test_after_sigterm_and_a_torn_file_it_ends_in_the_same_bits(train, whole, tmp_path):
    patch = stop_at("training_step", 1)
    stopped = train("a")
    patch.undo()
    last, previous = tmp_path / "runs" / "a" / LAST, tmp_path / "runs" / "a" / PREVIOUS
    assert stopped.code == 128 + signal.SIGTERM
    (line,) = stopped.complaints
    assert "ckpt_path=last" in line
    assert (load(last)["global_step"], load(previous)["global_step"]) == (2, 1)
    assert not is_same(load(last), whole)

    content = last.read_bytes()
    last.write_bytes(content[: len(content) // 2])
    resumed = train("b", "ckpt_path=last")
    assert resumed.code == 0, resumed.err
    (line,) = resumed.complaints
    assert str(last) in line
    assert f"going on from {previous}" in line
    assert is_same(load(tmp_path / "runs" / "b" / LAST), whole)


def test_after_sigterm_inside_a_validation(train, whole, tmp_path):
    patch = stop_at("validation_step", 3)
    stopped = train("a")
    patch.undo()
    assert stopped.code == 128 + signal.SIGTERM
    assert load(tmp_path / "runs" / "a" / LAST)["global_step"] == 3
    assert train("b", "ckpt_path=last").code == 0
    # Lightning counts the batches of the rest of a validation alone.
    keys = [key for key in SAME if key != "loops"]
    assert is_same(load(tmp_path / "runs" / "b" / LAST), whole, keys)


def test_after_sigkill(train, whole, settings, tmp_path):
    folder = tmp_path / "runs" / "a"
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "fsrvos.cli.train", *settings, f"hydra.run.dir={folder}"]
    process = start(command, tmp_path / "log")
    while not (folder / LAST).exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL, (tmp_path / "log").read_text()
    assert train("b", "ckpt_path=last").code == 0
    assert is_same(load(tmp_path / "runs" / "b" / LAST), whole)
