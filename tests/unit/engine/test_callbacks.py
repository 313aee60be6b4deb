"""The last checkpoint is that of the last step, whatever validation thought of it."""

from types import SimpleNamespace

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from fsrvos.engine import callbacks
from fsrvos.engine.callbacks import LastCheckpoint

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(does not have many workers|logging interval|isinstance.treespec).*"
)


class Worse(L.LightningModule):
    """Validates worse and worse; its one parameter counts the steps."""

    def __init__(self):
        super().__init__()
        self.steps = nn.Parameter(torch.zeros(1))

    def training_step(self, batch, batch_idx):
        return -self.steps.sum()

    def validation_step(self, batch, batch_idx):
        self.log("val/J", -self.steps.sum())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def train(folder, best=None, every_n_steps=None, **options):
    data = DataLoader(torch.zeros(20, 1), batch_size=1)
    kept = [LastCheckpoint(folder, every_n_steps), *([best] if best else [])]
    trainer = L.Trainer(
        accelerator="cpu",
        logger=False,
        callbacks=kept,
        enable_checkpointing=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"max_steps": 5, "val_check_interval": 2, **options},
    )
    trainer.fit(Worse(), data, data)
    return trainer


def steps_in(path):
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["state_dict"]["steps"].item() == checkpoint["global_step"]
    return checkpoint["global_step"]


@pytest.mark.parametrize("max_steps", [4, 5])
def test_last_is_the_last_step_and_best_is_the_best(tmp_path, max_steps):
    best = L.pytorch.callbacks.ModelCheckpoint(tmp_path, "best", monitor="val/J", mode="max")
    train(tmp_path, best, max_steps=max_steps)
    assert steps_in(tmp_path / "last.ckpt") == max_steps
    assert steps_in(tmp_path / "best.ckpt") == 2


def test_it_is_written_after_every_validation_inside_training_only(tmp_path, monkeypatch):
    saved = []
    save = L.Trainer.save_checkpoint
    monkeypatch.setattr(
        L.Trainer,
        "save_checkpoint",
        lambda self, *arguments, **options: (
            saved.append(self.global_step),
            save(self, *arguments, **options),
        ),
    )
    trainer = train(tmp_path, L.pytorch.callbacks.ModelCheckpoint(save_top_k=0))
    assert saved == [2, 4, 5]
    trainer.validate(trainer.lightning_module, DataLoader(torch.zeros(2, 1)), verbose=False)
    assert saved == [2, 4, 5]


def test_a_trial_run_leaves_no_file(tmp_path):
    train(tmp_path, fast_dev_run=True)
    assert not (tmp_path / "last.ckpt").exists()


def test_it_is_written_every_few_steps_and_the_one_before_is_kept(tmp_path, monkeypatch):
    """Steps 4 and 8 end in a validation, which saves; 3 steps after a checkpoint the next is due."""
    saved = []
    replaced = callbacks.put_in_place
    monkeypatch.setattr(
        callbacks,
        "put_in_place",
        lambda beside, path: (saved.append(steps_in(beside)), replaced(beside, path)),
    )
    train(tmp_path, every_n_steps=3, max_steps=12, val_check_interval=4)
    assert saved == [3, 4, 7, 8, 11, 12]
    assert steps_in(tmp_path / "last.ckpt") == 12
    assert steps_in(tmp_path / "previous.ckpt") == 11


def test_an_impossible_interval(tmp_path):
    with pytest.raises(ValueError, match="got 0"):
        LastCheckpoint(tmp_path, every_n_steps=0)


def test_random_numbers_of_a_step_depend_on_the_step_alone():
    """Not on what was drawn before; and they differ between steps, epochs, processes and seeds."""

    def drawn(seed, rank, epoch, batch, before):
        torch.rand(before)
        place = SimpleNamespace(global_rank=rank, current_epoch=epoch)
        callbacks.StepSeed(seed).on_train_batch_start(place, None, None, batch)
        return torch.rand(4)

    with torch.random.fork_rng():
        keys = [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
        first = torch.stack([drawn(*key, before=1) for key in keys])
        assert torch.equal(first, torch.stack([drawn(*key, before=7) for key in keys]))
        assert len(first.unique(dim=0)) == len(keys)
