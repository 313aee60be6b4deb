"""Callbacks of training."""

from __future__ import annotations

from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from fsrvos.checkpoints import LAST


class LastCheckpoint(Checkpoint):
    """Keeps the newest state of training as ``last.ckpt``: after every validation, and where training ends.

    Lightning's own ``save_last`` writes only when the best checkpoint improves, so it lags behind the training
    that it is to resume, and behind the network that is scored at the end.

    Args:
        dirpath: Folder of the checkpoints.
    """

    def __init__(self, dirpath: str | Path) -> None:
        super().__init__()
        self.path = Path(dirpath) / LAST.name
        self._saved_step: int | None = None

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Saves, inside training."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._save(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Saves what came after the last validation."""
        self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        is_trial = bool(getattr(trainer, "fast_dev_run", False))
        if is_trial or self._saved_step == trainer.global_step:
            return
        beside = self.path.with_name(f".{self.path.name}.part")
        trainer.save_checkpoint(beside)
        if trainer.is_global_zero:
            beside.replace(self.path)
        self._saved_step = trainer.global_step
