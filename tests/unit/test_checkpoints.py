"""Checkpoints: found by file or run folder, rebuilt without the code that trained them, refused in one line."""

import os
import pickle

import lightning as L
import pytest
import torch
from omegaconf import OmegaConf
from tiny import BACKBONE, SIZES, TEXT_ENCODER, make_clip, make_support, tiny_model

from fsrvos.checkpoints import (
    checkpoint_file,
    load_checkpoint,
    newest_checkpoint,
    put_in_place,
    resumable_checkpoint,
)
from fsrvos.engine.criterion import Criterion
from fsrvos.engine.module import SegmentationModule
from fsrvos.engine.optimizers import Recipe
from fsrvos.errors import UserError
from fsrvos.weights import load_model


def save(model, path):
    """Writes a checkpoint as the trainer does."""
    module = SegmentationModule(model, Criterion(), Recipe())
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, max_steps=1
    )
    trainer.strategy.connect(module)
    trainer.save_checkpoint(path)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network and its checkpoint, configured as Hydra configures it."""
    options = OmegaConf.create({"backbone": BACKBONE, "text_encoder": TEXT_ENCODER})
    model = tiny_model("cma_plus", **options, rest=True)
    return model, save(model, tmp_path_factory.mktemp("run") / "checkpoints" / "last.ckpt")


def test_a_checkpoint_describes_itself(trained):
    model, path = trained
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["fsrvos"]["model"] == model.config
    assert checkpoint["fsrvos"]["model"]["hidden_dim"] == SIZES["hidden_dim"]
    loaded = load_model(path)
    assert not loaded.training
    query, support = make_clip(), make_support()
    expected, found = model.segment(query, support), loaded.segment(query, support)
    assert torch.equal(found.masks, expected.masks)
    assert torch.equal(found.boxes, expected.boxes)
    assert torch.equal(found.scores, expected.scores)


def test_loading_asks_for_no_pretrained_weights(tmp_path):
    """They are replaced anyway, and may be gone."""
    file = tmp_path / "resnet18.pth"
    torch.save(tiny_model("cma", backbone="resnet18").backbone.body.state_dict(), file)
    model = tiny_model("cma", backbone={"name": "resnet18", "weights": str(file)})
    file.unlink()
    loaded = load_model(save(model, tmp_path / "a.ckpt"))
    assert torch.equal(loaded.backbone.body.conv1.weight, model.backbone.body.conv1.weight)


def test_what_a_path_means(tmp_path, trained):
    _, file = trained
    assert checkpoint_file(file) == file
    run = file.parent.parent
    assert checkpoint_file(run) == file
    runs = [tmp_path / "runs" / name / "checkpoints" / "last.ckpt" for name in ("b", "a", "c")]
    for age, path in enumerate(runs):
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (1000 - age, 1000 - age))
    assert checkpoint_file(tmp_path / "runs") == runs[0]
    assert newest_checkpoint(tmp_path / "runs", exclude=tmp_path / "runs" / "b") == runs[1]


class Trap:
    """A pickle that makes a folder where it is loaded."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return (os.mkdir, (self.folder,))


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    torch.save({"fsrvos": Trap(tmp_path / "sprung")}, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="is no checkpoint, or holds more than"):
        load_checkpoint(tmp_path / "a.ckpt")
    assert not (tmp_path / "sprung").exists()


def write_bad(kind, path, good):
    content = good.read_bytes()
    if kind == "text":
        path.write_text("not a checkpoint")
    elif kind == "empty":
        path.touch()
    elif kind == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"state_dict": {}}))
    elif kind == "foreign":
        torch.save({"model": {"a": torch.zeros(1)}}, path)
    elif kind == "a tensor":
        torch.save(torch.zeros(3), path)
    else:
        checkpoint = torch.load(good, weights_only=True)
        if kind == "unknown argument":
            checkpoint["fsrvos"]["model"]["colour"] = "red"
        elif kind == "other sizes":
            checkpoint["fsrvos"]["model"]["hidden_dim"] = 64
        torch.save(checkpoint, path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "kind",
    ["text", "empty", "cut short", "pickle", "foreign", "a tensor", "unknown argument", "other sizes"],
)
def test_bad_files_are_told_in_one_line(tmp_path, trained, kind):
    path = tmp_path / "bad.ckpt"
    write_bad(kind, path, trained[1])
    with pytest.raises(UserError) as caught:
        load_model(path)
    message = str(caught.value)
    assert str(path) in message
    assert len(message.splitlines()) == 1
    assert len(message) < 500


@pytest.mark.parametrize("name", ["missing.ckpt", "folder"])
def test_missing_checkpoints(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=name):
        checkpoint_file(tmp_path / name)


@pytest.fixture
def runs(tmp_path, trained):
    """Two runs, the older with a last checkpoint, the newer with a previous one as well."""
    names = ("old/checkpoints/last", "new/checkpoints/previous", "new/checkpoints/last")
    files = [tmp_path / f"{name}.ckpt" for name in names]
    for age, file in zip((3, 2, 1), files, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(trained[1].read_bytes())
        os.utime(file, (1000 - age, 1000 - age))
    return files


def flip_in_a_tensor(file):
    """Alters one bit in the middle of the largest tensor, where PyTorch reads over it."""
    content = bytearray(file.read_bytes())
    checkpoint = torch.load(file, weights_only=True)
    largest = max(checkpoint["state_dict"].values(), key=torch.numel)
    position = content.find(largest.numpy().tobytes()) + largest.nbytes // 2
    content[position] ^= 1
    file.write_bytes(content)
    torch.load(file, weights_only=True)


def test_training_goes_on_from_the_newest_whole_checkpoint(runs, trained, tmp_path):
    old, previous, last = runs
    assert resumable_checkpoint(tmp_path) == (last, [])
    assert resumable_checkpoint(tmp_path, exclude=tmp_path / "new") == (old, [])
    flip_in_a_tensor(last)
    found, (line,) = resumable_checkpoint(tmp_path)
    assert found == previous
    assert str(last) in line
    assert "checksum" in line
    last.unlink()  # as between two renames
    assert resumable_checkpoint(tmp_path) == (previous, [])
    write_bad("foreign", previous, trained[1])
    found, (line,) = resumable_checkpoint(tmp_path)
    assert found == old
    assert str(previous) in line
    old.write_bytes(b"")
    with pytest.raises(UserError, match="can be used"):
        resumable_checkpoint(tmp_path)


def test_weights_without_the_state_of_training_are_passed_over(runs, tmp_path):
    _, previous, last = runs
    checkpoint = torch.load(last, weights_only=True)
    torch.save({key: checkpoint[key] for key in ("fsrvos", "state_dict")}, last)
    found, (line,) = resumable_checkpoint(tmp_path)
    assert found == previous
    assert "optimizer_states" in line


def test_a_torn_file_takes_no_place(runs, trained):
    _, previous, last = runs
    beside = last.with_name(".part")
    last.write_bytes(trained[1].read_bytes() + b"last")  # told apart from the previous one
    kept = [path.read_bytes() for path in (last, previous)]
    beside.write_bytes(trained[1].read_bytes()[:-1000])
    with pytest.raises(UserError, match="part"):
        put_in_place(beside, last)
    assert [path.read_bytes() for path in (last, previous)] == kept
    beside.write_bytes(trained[1].read_bytes())
    put_in_place(beside, last)
    assert previous.read_bytes() == kept[0]
    assert last.read_bytes() == trained[1].read_bytes()
