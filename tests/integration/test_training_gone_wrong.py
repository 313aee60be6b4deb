"""What training does when numbers, files, memory or the disk fail."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
from pathlib import Path

import pytest
import torch
from commands import on_data, run, write_small_data
from kill import SAME, SETTINGS, differences

from fsrvos.checkpoints import LAST, PREVIOUS
from fsrvos.cli import replay as replay_command
from fsrvos.cli import train as train_command
from fsrvos.cli.shortage import out_of_disk, out_of_memory
from fsrvos.engine.module import SegmentationModule
from fsrvos.engine.step_dump import save_step


def load(path: Path):
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_small_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def train(data, tmp_path, monkeypatch, capfd):
    def start(folder: str, *more: str, root: Path = data):
        settings = [*on_data(root), *SETTINGS, f"hydra.run.dir=runs/{folder}", *more]
        return run(train_command.main, settings, tmp_path, monkeypatch, capfd)

    return start


def before(monkeypatch, act):
    """Does something before the loss of every step: ``act(module, batch)``."""
    original = SegmentationModule.losses

    def acting(self, batch):
        act(self, batch)
        return original(self, batch)

    monkeypatch.setattr(SegmentationModule, "losses", acting)


def overflow_at(monkeypatch, steps):
    """Frames that are finite numbers, but too large for what follows."""

    def poison(module, batch):
        if module.global_step in steps:
            batch.query.frames.fill_(3e38)

    before(monkeypatch, poison)


# ---------------------------------------------------------------- numbers


def test_a_step_that_is_not_finite_changes_nothing(train, tmp_path, monkeypatch):
    overflow_at(monkeypatch, {1})
    done = train("a", "trainer.max_steps=2")
    assert done.code == 0, done.err
    folder = tmp_path / "runs" / "a"
    after, kept = load(folder / LAST), load(folder / PREVIOUS)
    assert (kept["global_step"], after["global_step"]) == (1, 2)
    assert (
        list(differences(kept["state_dict"], after["state_dict"], "")) == []
    )  # batch norm's statistics among them
    (moments, before), (same, after_it) = (
        (o["state"], o["param_groups"]) for o in (kept["optimizer_states"][0], after["optimizer_states"][0])
    )
    assert list(differences(moments, same, "")) == []
    assert before[0]["lr"] != after_it[0]["lr"]  # the schedule goes on
    assert any("running_mean" in name for name in after["state_dict"])
    skipped, counted = (line for line in done.told if re.search("(is|were) skipped", line))
    assert "epoch 0, step 1 is skipped" in skipped
    assert re.search(r"episode \d+ \(\w+: video \w+, object 1, frames", skipped)
    assert "1 of 2 steps were skipped" in counted


def test_several_in_a_row_end_training_with_a_file_that_shows_it_again(train, tmp_path, monkeypatch, capfd):
    overflow_at(monkeypatch, {1, 3, 4})
    done = train("a", "trainer.max_steps=6", "callbacks.finite.patience=2")
    assert done.code == 2
    (line,) = done.complaints
    assert "2 steps in a row" in line
    assert "the last is epoch 1, step 4" in line
    file = Path(re.search(r"fsrvos-replay (\S+)", line)[1])
    assert file.name == "step_4.pt"

    monkeypatch.undo()
    (tmp_path / "sent").mkdir()
    file = file.rename(tmp_path / "sent" / "step.pt")  # without the run folder
    assert replay_command.main([str(file)]) == 1
    told = capfd.readouterr().out
    assert "first module whose output is not finite: model.backbone" in told
    assert re.search(r"^loss (nan|inf)", told)

    step = load(file)
    for batch in step["batches"]:
        batch["query"]["frames"].zero_()
    torch.save(step, file)
    assert replay_command.main([str(file)]) == 0
    assert "all finite" in capfd.readouterr().out

    for config, said in (
        ("a: 1", "does not say what loss"),
        ("criterion: {_target_: os.system}", "os.system"),
    ):
        torch.save(step | {"config": config}, file)  # as one who sends a step may write it
        assert replay_command.main([str(file)]) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert said in line


def test_a_gradient_that_is_not_finite_under_a_finite_loss_is_found_again(
    train, tmp_path, monkeypatch, capfd
):
    def root_of_nothing(self, batch):
        losses = original(self, batch)
        return type(losses)(losses.total + (0 * losses.total).sqrt(), losses.terms, losses.matched)

    original = SegmentationModule.losses
    monkeypatch.setattr(SegmentationModule, "losses", root_of_nothing)
    done = train("a", "trainer.max_steps=4", "callbacks.finite.patience=1")
    assert done.code == 2
    file = re.search(r"fsrvos-replay (\S+)", done.complaints[0])[1]
    assert replay_command.main([file]) == 1
    told = capfd.readouterr().out
    assert "SqrtBackward" in told or "MulBackward" in told
    assert "gradients not finite: model." in told


def test_what_is_no_step_is_one_line(tmp_path, capfd):
    torch.save({"state_dict": {}}, tmp_path / "a.pt")
    for file in ("a.pt", "b.pt"):
        assert replay_command.main([str(tmp_path / file)]) == 2
        assert len(capfd.readouterr().err.splitlines()) == 1


# ---------------------------------------------------------------- files


@pytest.fixture
def damaged(data, tmp_path) -> tuple[Path, Path]:
    """A data root one of whose frames is cut off: that of a training category, which validation does not read."""
    root = shutil.copytree(data, tmp_path / "damaged")
    frame = sorted((root / "train" / "JPEGImages" / "plant_0").iterdir())[2]
    frame.write_bytes(frame.read_bytes()[:100])
    return root, frame


def test_a_file_that_cannot_be_read_ends_training_unless_it_is_to_be_skipped(train, damaged):
    root, frame = damaged
    done = train("a", "trainer.max_steps=4", root=root)
    assert done.code == 2
    (line,) = done.complaints
    assert str(frame) in line


def test_skipped_files_are_counted_and_resuming_does_not_change_a_bit(train, damaged, tmp_path, monkeypatch):
    root, frame = damaged
    skip = ("data.on_error=skip", "trainer.max_steps=4", "data.support_frames=1")
    done = train("whole", *skip, "data.num_workers=1", root=root)
    assert done.code == 0, done.err
    (warned,) = (line for line in done.told if "another episode is read instead" in line)
    (told,) = done.complaints
    assert str(frame) in warned
    replaced = int(re.search(r"(\d+) training episodes were replaced, 1 files could not be read", told)[1])
    assert replaced >= 1

    before(monkeypatch, lambda module, _: module.global_step == 1 and os.kill(os.getpid(), signal.SIGTERM))
    assert train("a", *skip, root=root).code == 128 + signal.SIGTERM
    monkeypatch.undo()
    resumed = train("b", *skip, "ckpt_path=last", root=root)
    assert resumed.code == 0
    assert f"{replaced} training episodes were replaced" in resumed.complaints[-1]
    whole, found = (load(tmp_path / "runs" / folder / LAST) for folder in ("whole", "b"))
    for key in SAME:
        assert list(differences(whole[key], found[key], key)) == []


def test_where_nothing_can_be_read_skipping_ends(train, damaged):
    root, _ = damaged
    for frame in (root / "train" / "JPEGImages").glob("plant_*/*"):
        frame.write_bytes(b"")
    done = train("a", "data.on_error=skip", root=root)
    assert done.code == 2
    assert "9 other episodes" in done.complaints[-1]


# ---------------------------------------------------------------- memory and disk


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"), "GPU memory (tried to"),
        (MemoryError(), "out of memory; lower"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "data.num_workers"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible"), "shared memory"),
    ],
)  # fmt: skip
def test_what_runs_out_of_memory_says_what_to_lower(train, monkeypatch, error, said):
    def fail(*_):
        raise error

    before(monkeypatch, fail)
    done = train("a")
    assert done.code == 2
    (line,) = done.complaints
    assert said in line
    if "shared" not in said:
        assert "data.batch_size (now 2), data.query_frames (2)" in line


def test_the_allocator_of_this_pytorch_is_understood():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert out_of_memory(caught.value, "x") == "out of memory (tried to allocate 3725290.30 GiB); lower x"
    assert out_of_memory(RuntimeError("other"), "x") is None
    assert out_of_disk(OSError(13, "Permission denied"), str) is None


def test_a_full_disk_ends_training_with_the_last_good_checkpoint(train, tmp_path, monkeypatch):
    """A limit on the size of a file, set when the second checkpoint is to be written, is a full disk to it."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill(module, _):
        if module.global_step == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))

    before(monkeypatch, fill)
    try:
        done = train("a", "trainer.max_steps=4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert done.code == 2
    folder = tmp_path / "runs" / "a"
    (line,) = done.complaints
    assert "cannot be written (file too large)" in line
    assert f"goes on from {Path('runs') / 'a' / LAST}" in line.replace(str(tmp_path) + "/", "")
    assert load(folder / LAST)["global_step"] == 1
    assert [path.name for path in (folder / "checkpoints").iterdir()] == [LAST.name]

    monkeypatch.undo()
    assert train("b", "trainer.max_steps=4", "ckpt_path=last").code == 0
    assert load(tmp_path / "runs" / "b" / LAST)["global_step"] == 4


def test_a_step_that_does_not_fit_on_the_disk_is_told_and_leaves_nothing(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises((OSError, RuntimeError)) as caught:
            save_step(
                tmp_path / "step.pt",
                state={"weight": torch.zeros(100_000)},
                batches=[], description={}, seed=0, precision="32-true", config="",
            )  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert out_of_disk(caught.value, lambda: "then") == "cannot be written (file too large); then"
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- Ctrl-C


def interrupt(*_):
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_saves_and_a_second_one_does_not_wait(train, tmp_path, monkeypatch):
    before(monkeypatch, lambda module, _: module.global_step == 1 and interrupt())
    done = train("a", "trainer.max_steps=4")
    assert done.code == 130
    assert "stops after this step" in done.complaints[0]
    assert "stopped by SIGINT" in done.complaints[1]
    assert load(tmp_path / "runs" / "a" / LAST)["global_step"] == 2

    monkeypatch.undo()
    before(monkeypatch, lambda module, _: module.global_step == 1 and (interrupt(), interrupt()))
    done = train("b", "trainer.max_steps=4")
    assert done.code == 130
    assert load(tmp_path / "runs" / "b" / LAST)["global_step"] == 1
