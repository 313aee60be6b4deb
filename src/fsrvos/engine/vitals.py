"""How a training does: gradient norm, throughput and GPU memory."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import lightning as L
import torch
from torch.optim import Optimizer

from fsrvos.engine.sharding import gathered

GIB = 2**30


class Vitals(L.Callback):
    """Logs, whenever the trainer logs, without waiting for the device in between:

    - ``train/grad_norm``: 2-norm of all gradients of a step before they are clipped.
    - ``throughput/episodes_per_s``, ``throughput/steps_per_s``: of all processes, over the last ``window`` batches;
      reading is counted, validation is not.
    - ``memory/allocated_gib``, ``memory/peak_gib`` of rank 0's GPU, where there is one.

    Args:
        window: Batches over which throughput is measured.

    Raises:
        ValueError: A window below 1.
    """

    def __init__(self, window: int = 20) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1 batch, got {window}")
        # (seconds of training, optimizer steps, episodes) at the ends of batches.
        self._marks: deque[tuple[float, int, int]] = deque(maxlen=window + 1)
        self._episodes = 0
        self._pause_began: float | None = None
        self._paused = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the clock."""
        self._marks.clear()
        self._pause_began = None
        self._mark(trainer)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stops the clock."""
        self._pause_began = time.perf_counter()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Lets the clock go on after a validation, with all that the other callbacks did at its end."""
        if self._pause_began is not None:
            self._paused += time.perf_counter() - self._pause_began
            self._pause_began = None

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer
    ) -> None:
        """Measures the gradients as the loss left them."""
        gradients = [
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        pl_module.log("train/grad_norm", gathered(torch.nn.utils.get_total_norm(gradients)), batch_size=1)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measures speed and memory."""
        self._episodes += len(batch.specs) * trainer.world_size
        self._mark(trainer)
        (began, first_step, first_episode), (now, step, episode) = self._marks[0], self._marks[-1]
        values = {
            "throughput/steps_per_s": (step - first_step) / (now - began),
            "throughput/episodes_per_s": (episode - first_episode) / (now - began),
        }
        device = pl_module.device
        if device.type == "cuda":
            values["memory/allocated_gib"] = torch.cuda.memory_allocated(device) / GIB
            values["memory/peak_gib"] = torch.cuda.max_memory_allocated(device) / GIB
        pl_module.log_dict(values, batch_size=1)

    def _mark(self, trainer: L.Trainer) -> None:
        self._marks.append((time.perf_counter() - self._paused, trainer.global_step, self._episodes))
