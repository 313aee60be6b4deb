"""Writes checkpoints whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its place, syncs it to the disk, and renames it.

    Lightning's own collects it in memory first, writes it to the system's folder for temporary files, which may be
    another disk, and leaves it there where the disk is full.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Saves a checkpoint; where that fails, what was under the name stays as it is.

        Args:
            checkpoint: What to save.
            path: A local file.
            storage_options: Not used.

        Raises:
            OSError: The file cannot be written; also as the context of PyTorch's RuntimeError.
        """
        file = Path(path)
        beside = file.with_name(f".{file.name}.{os.getpid()}")
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as content:
                torch.save(checkpoint, content)
                content.flush()
                os.fsync(content.fileno())
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
