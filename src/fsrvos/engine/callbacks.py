"""Callbacks of training: its newest state on disk, and random numbers that need no state."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

from fsrvos.checkpoints import LAST, put_in_place
from fsrvos.data.draws import generator


class LastCheckpoint(Checkpoint):
    """Keeps the newest state of training as ``last.ckpt``, and the one before as ``previous.ckpt``.

    It is saved every few steps, after every validation, where training ends, and at SIGTERM. Lightning's own
    ``save_last`` writes only when the best checkpoint improves, so it lags behind the training that it is to resume,
    and behind the network that is scored at the end.

    Args:
        dirpath: Folder of the checkpoints.
        every_n_steps: Optimizer steps between two of them; None for none between validations.

    Raises:
        ValueError: ``every_n_steps`` below 1.
    """

    def __init__(self, dirpath: str | Path, every_n_steps: int | None = None) -> None:
        super().__init__()
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"every_n_steps must be at least 1 or null, got {every_n_steps}")
        self.path = Path(dirpath) / LAST.name
        self.every_n_steps = every_n_steps
        self._saved_step = self._step_before = 0
        self._has_saved = self._is_signalled = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Counts from the step at which this process began."""
        self._saved_step = trainer.global_step
        self._is_signalled = False
        if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
            # Lightning's handler calls a collective wherever the signal finds each process, between others of training.
            # It puts back at the end of the fit what was before it.
            signal.signal(signal.SIGTERM, self._note_signal)

    def _note_signal(self, *_: Any) -> None:
        self._is_signalled = True

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remembers the step, so as to know whether the batch ends one."""
        self._step_before = trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves every few steps, and when the process is to end.

        Never with half the gradients of a step, nor where a validation or the end of the epoch is next: going on from
        there, Lightning would leave the validation out, or lose count of the epochs. The next batch will do.
        """
        if (
            trainer.global_step == self._step_before
            or trainer.is_last_batch
            or _validates_now(trainer, batch_idx)
        ):
            return
        # One process alone may know of the signal, and saving takes all: they ask each other after every step.
        ends = trainer.world_size > 1 and trainer.strategy.reduce_boolean_decision(
            self._is_signalled, all=False
        )
        if ends or self._is_due(trainer):
            self._save(trainer)
        if ends:
            raise SIGTERMException

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Saves, inside training, that this validation is done."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._save(trainer)

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Saves when a validation is broken off by SIGTERM."""
        if isinstance(exception, SIGTERMException) and trainer.validating and trainer.world_size == 1:
            self._save_once(trainer)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Saves what came after the last validation; also where there was nothing left to do."""
        self._save_once(trainer)

    def _is_due(self, trainer: L.Trainer) -> bool:
        if trainer.received_sigterm and trainer.world_size == 1:
            return True
        return self.every_n_steps is not None and trainer.global_step - self._saved_step >= self.every_n_steps

    def _save_once(self, trainer: L.Trainer) -> None:
        if not self._has_saved or self._saved_step != trainer.global_step:
            self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        if getattr(trainer, "fast_dev_run", False):
            return
        beside = self.path.with_name(f".{self.path.name}.part")
        trainer.save_checkpoint(beside)
        if trainer.is_global_zero:
            put_in_place(beside, self.path)
        self._saved_step, self._has_saved = trainer.global_step, True


def _validates_now(trainer: L.Trainer, batch_idx: int) -> bool:
    """Whether a validation may follow this batch."""
    interval = trainer.val_check_batch
    batches = trainer.fit_loop.total_batch_idx if trainer.check_val_every_n_epoch is None else batch_idx
    return interval is not None and interval > 0 and (batches + 1) % interval == 0


class StepSeed(L.Callback):
    """Seeds PyTorch anew for every training batch, from what says which batch it is.

    Dropout then is the same whether or not training was stopped in between, and however often loaders, workers and
    validations drew from the same generator before.

    Args:
        seed: Seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seeds; each process differently."""
        rng = generator("step", self.seed, trainer.global_rank, trainer.current_epoch, batch_idx)
        torch.manual_seed(int(rng.integers(2**63)))
