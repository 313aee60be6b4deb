"""What training does when numbers, files, memory or the disk fail."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
import torch
from commands import on_data, run, write_small_data
from kill import SAME, SETTINGS, differences

from fsrvos.checkpoints import LAST, PREVIOUS
from fsrvos.cli import replay as replay_command
from fsrvos.cli import train as train_command
from fsrvos.engine.module import SegmentationModule


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
