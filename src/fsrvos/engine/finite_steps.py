"""A loss or gradient that is not finite must not reach the weights, and must leave what it takes to look into it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, distributed
from torch.optim import Optimizer

from fsrvos.checkpoints import DESCRIPTION
from fsrvos.engine.processes import gather, place
from fsrvos.engine.sharding import is_sharded, own_part
from fsrvos.engine.step_dump import save_step
from fsrvos.errors import UserError
from fsrvos.run_folders import CONFIG
from fsrvos.structures import Batch, EpisodeSpec

TOLD = 3  # episodes of a step that a line names


class FiniteSteps(L.Callback):
    """Skips every optimizer step whose loss or gradient is not finite, and ends training after several in a row.

    A skipped step changes nothing: no weight, no moment of the optimizer, no running statistic of batch norm. The
    schedule of the learning rate and the count of steps go on. With several processes all skip when one must.

    Under ``precision=16-mixed`` gradients that overflow are how the scaler finds its scale; it skips them by itself, and
    only the loss is looked at here.

    Args:
        dirpath: Folder for what ``fsrvos-replay`` runs again: the step before training ends, and the first one skipped.
            It lies in the run folder, whose config goes with them.
        patience: Skipped steps in a row after which training ends.

    Raises:
        ValueError: ``patience`` below 1.
    """

    def __init__(self, dirpath: str | Path, patience: int = 5) -> None:
        super().__init__()
        if patience < 1:
            raise ValueError(f"patience must be at least 1, got {patience}")
        self.folder = Path(dirpath)
        self.patience = patience
        self.skipped = self.in_a_row = 0
        self._buffers: dict[str, Tensor] = {}
        self._batches: list[Batch] = []  # of the step at hand
        self._loss: Tensor | None = None  # of the step so far: not finite once a part of it is
        self._seed = 0

    def state_dict(self) -> dict[str, int]:
        """Returns the counts, so that a training that is resumed stops where one left alone does."""
        return {"skipped": self.skipped, "in_a_row": self.in_a_row}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Goes on counting."""
        self.skipped, self.in_a_row = state_dict["skipped"], state_dict["in_a_row"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Forgets the step at which an earlier training was broken off."""
        self._forget()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Keeps what a forward pass may change."""
        if not self._batches:
            self._buffers = _running(pl_module)
            self._seed = torch.initial_seed()  # set anew for every batch by StepSeed
        self._batches.append(batch)

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        """Keeps the loss; it is looked at once a step, where the device is waited for anyway."""
        loss = loss.detach()
        self._loss = loss if self._loss is None else self._loss + loss

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer
    ) -> None:
        """Takes the gradients away where they are not finite, so that the optimizer has nothing to do."""
        culprit = not self._is_finite(trainer, optimizer)
        if _any_process(culprit, pl_module.device):
            self._skip(trainer, pl_module, optimizer, culprit)
        else:
            self.in_a_row = 0
        self._forget()

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Tells how many steps were skipped."""
        if self.skipped and trainer.is_global_zero:
            warnings.warn(
                f"{self.skipped} of {trainer.global_step} steps were skipped: their loss or gradient was not finite",
                stacklevel=1,
            )

    def _is_finite(self, trainer: L.Trainer, optimizer: Optimizer) -> bool:
        found = [] if self._loss is None else [self._loss.float()]
        plugin = trainer.precision_plugin
        if not (isinstance(plugin, MixedPrecision) and plugin.scaler is not None):
            gradients = [
                own_part(p.grad)
                for group in optimizer.param_groups
                for p in group["params"]
                if p.grad is not None
            ]
            # Where a network is spread, a process may have no part of a small parameter; all are asked afterwards.
            gradients = [gradient for gradient in gradients if gradient.numel()]
            found.append(torch.nn.utils.get_total_norm(gradients, norm_type=torch.inf).float())
        return bool(torch.stack([value.to(found[0].device) for value in found]).isfinite().all())

    def _skip(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer, culprit: bool
    ) -> None:
        self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
        optimizer.zero_grad(set_to_none=True)
        for name, buffer in pl_module.named_buffers():
            if name in self._buffers:
                buffer.copy_(self._buffers[name])
        pl_module.log("train/skipped_steps", float(self.skipped), batch_size=1)
        ends = self.in_a_row >= self.patience
        told, dump = [], None
        if culprit:
            # A spread network is nowhere whole, and one process alone cannot gather it.
            if (self.skipped == 1 or ends) and not is_sharded(pl_module):
                dump = self._dump(trainer, pl_module)
            told = [_episodes(batch.specs) for batch in self._batches]
        step = f"epoch {trainer.current_epoch}, step {trainer.global_step}"
        if not ends:
            if culprit:
                kept = f"; fsrvos-replay {dump} runs it again" if dump else ""
                warnings.warn(
                    f"{step} is skipped, its loss or gradient is not finite: {'; '.join(told)}{kept}",
                    stacklevel=1,
                )
            return
        told, dumps = gather(told), gather([dump] if dump else [])
        again = f"; fsrvos-replay {dumps[0]} runs it again" if dumps else ""
        exact = "" if str(trainer.precision).startswith("32") else ", or precision=32-true,"
        raise UserError(
            f"training ends: {self.in_a_row} steps in a row had a loss or gradient that is not finite, the last is "
            f"{step}: {'; '.join(told)}{again}; mostly a lower optim.lr or trainer.gradient_clip_val{exact} helps"
        )

    def _dump(self, trainer: L.Trainer, pl_module: L.LightningModule) -> Path:
        config: dict[str, Any] = {}
        pl_module.on_save_checkpoint(config)
        config_file = self.folder.parent / CONFIG
        rank, count = place()
        ending = f"_rank{rank}" if count > 1 else ""
        return save_step(
            self.folder / f"step_{trainer.global_step}{ending}.pt",
            state=pl_module.state_dict(),
            batches=self._batches,
            description=config[DESCRIPTION],
            seed=self._seed,
            precision=str(trainer.precision),
            config=config_file.read_text() if config_file.exists() else "",
        )

    def _forget(self) -> None:
        self._batches, self._buffers, self._loss = [], {}, None


def _running(module: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of what a forward pass changes: the buffers of modules that are in training mode."""
    return {
        f"{prefix}.{name}" if prefix else name: buffer.clone()
        for prefix, part in module.named_modules()
        if part.training
        for name, buffer in part.named_buffers(recurse=False)
    }


def _any_process(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in any process; a collective call."""
    if place()[1] == 1:
        return flag
    found = torch.tensor(float(flag), device=device)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return bool(found)


def _episodes(specs: list[EpisodeSpec]) -> str:
    """The first of them; the dump has all."""
    more = f" and {len(specs) - TOLD} more" if len(specs) > TOLD else ""
    told = ", ".join(
        f"episode {spec.index} ({spec.category}: video {spec.query.video}, object {spec.query.object_id}, "
        f"frames {spec.query.frames[0]} to {spec.query.frames[-1]}, {spec.query.expression!r}, support "
        f"{'+'.join(clip.video for clip in spec.support) or 'none'}, seed {spec.seed})"
        for spec in specs[:TOLD]
    )
    return told + more
