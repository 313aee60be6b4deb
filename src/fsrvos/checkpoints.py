"""Finds the checkpoints of runs, and reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fsrvos.errors import UserError
from fsrvos.tensor_files import read_file

LAST = Path("checkpoints") / "last.ckpt"
PREFIX = "model."  # of the network's tensors in a checkpoint of its LightningModule
DESCRIPTION = "fsrvos"  # key under which a checkpoint says which network it holds


def newest_checkpoint(runs: Path, exclude: Path | None = None) -> Path:
    """The last checkpoint of the newest run below a folder.

    Raises:
        UserError: There is none.
    """
    found = [path for path in runs.glob(f"*/{LAST}") if exclude is None or exclude not in path.parents]
    if not found:
        raise UserError(
            f"ckpt_path=last: no */{LAST} below {runs}; train there first, or name a checkpoint file"
        )
    return max(found, key=lambda path: path.stat().st_mtime)


def checkpoint_file(path: str | Path) -> Path:
    """The checkpoint that a path means: a file, a run folder, or a folder of runs (its newest).

    Raises:
        UserError: There is no checkpoint.
    """
    path = Path(path)
    if path.is_file():
        return path
    if (path / LAST).is_file():
        return path / LAST
    if path.is_dir():
        return newest_checkpoint(path)
    raise UserError(f"checkpoint {path} does not exist; give a .ckpt file or a run folder with {LAST}")


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint that fsrvos-train wrote, without running anything in it.

    Raises:
        UserError: Not such a file.
    """
    file = checkpoint_file(path)
    checkpoint, _ = read_file(file)
    if not isinstance(checkpoint, dict) or DESCRIPTION not in checkpoint:
        raise UserError(f"{file} is no checkpoint of fsrvos-train: it does not say which network it holds")
    return checkpoint
