"""Writes checkpoints whole or not at all."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from fsrvos.report import replace_file


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

        def write(file: BinaryIO) -> None:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())

        replace_file(path, write)
