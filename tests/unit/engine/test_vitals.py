"""Gradient norm before clipping, throughput by a clock that is known, memory in GiB."""

from types import SimpleNamespace

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger
from torch import nn
from torch.utils.data import DataLoader

from fsrvos.engine import vitals
from fsrvos.engine.vitals import Vitals

pytestmark = pytest.mark.filterwarnings("ignore:.*(does not have many workers|isinstance.treespec).*")


class Log(DummyLogger):
    def __init__(self):
        super().__init__()
        self.rows = []

    def log_metrics(self, metrics, step=None):
        self.rows.append(metrics)

    def column(self, key):
        return [row[key] for row in self.rows if key in row]


class Slow(L.LightningModule):
    """A batch takes 2 seconds and a validation 100, by the clock that the callback reads."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.unused = nn.Parameter(torch.zeros(1))
        self.now, self.norms = 1000.0, []

    def training_step(self, batch, batch_idx):
        self.now += 2
        return self.layer(batch.values).square().sum()

    def validation_step(self, batch, batch_idx):
        self.now += 100

    def on_before_optimizer_step(self, optimizer):
        squares = [np.square(p.grad.double().numpy()).sum() for p in self.layer.parameters()]
        self.norms.append(float(np.sqrt(sum(squares))))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def collate(values):
    return SimpleNamespace(values=torch.stack(values), specs=values)


@pytest.fixture
def train(monkeypatch):
    def trained(**options):
        module, log = Slow(), Log()
        monkeypatch.setattr(vitals.time, "perf_counter", lambda: module.now)
        data = DataLoader(
            torch.randn(18, 3, generator=torch.Generator().manual_seed(0)), batch_size=3, collate_fn=collate
        )
        trainer = L.Trainer(
            accelerator="cpu",
            logger=log,
            callbacks=[Vitals(window=3)],
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            num_sanity_val_steps=1,
            max_epochs=1,
            val_check_interval=2,
            log_every_n_steps=1,
            gradient_clip_val=1e-3,
            **options,
        )
        trainer.fit(module, data, data)
        return module, log

    return trained


def test_the_norm_is_that_before_clipping(train):
    module, log = train()
    assert len(module.norms) == 6
    assert min(module.norms) > 0.01
    assert log.column("train/grad_norm") == pytest.approx(module.norms, rel=1e-5)


def test_throughput_counts_batches_and_not_validation(train):
    _, log = train()
    assert log.column("throughput/steps_per_s") == pytest.approx([0.5] * 6)
    assert log.column("throughput/episodes_per_s") == pytest.approx([1.5] * 6)


def test_steps_are_those_of_the_optimizer(train):
    _, log = train(accumulate_grad_batches=2)
    # Logged after batches 2, 4 and 6: 1 step in 2 batches, then 2 steps in the 3 batches of the window.
    assert log.column("throughput/steps_per_s") == pytest.approx([1 / 4, 2 / 6, 2 / 6])
    assert log.column("throughput/episodes_per_s")[-1] == pytest.approx(1.5)


def test_memory_is_told_in_gib_on_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 3 * 2**30)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 5 * 2**29)
    told = {}
    module = SimpleNamespace(device=torch.device("cuda", 0), log_dict=lambda values, **_: told.update(values))
    callback, trainer = Vitals(), SimpleNamespace(global_step=0, world_size=2)
    callback.on_train_start(trainer, module)
    callback.on_train_batch_end(trainer, module, None, SimpleNamespace(specs=[1]), 0)
    assert (told["memory/allocated_gib"], told["memory/peak_gib"]) == (3.0, 2.5)


def test_no_memory_is_told_without_a_gpu(train):
    _, log = train()
    assert not any(key.startswith("memory/") for row in log.rows for key in row)


def test_a_window_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        Vitals(window=0)
