"""Checkpoints: found by file or run folder, rebuilt without the code that trained them, refused in one line."""

import os
import pickle

import lightning as L
import pytest
import torch
from omegaconf import OmegaConf
from tiny import BACKBONE, SIZES, TEXT_ENCODER, make_clip, make_support, tiny_model

from fsrvos.checkpoints import checkpoint_file, load_checkpoint, newest_checkpoint
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
