"""Finds checkpoints, and builds the network again from one."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from fsrvos.errors import UserError
from fsrvos.models.cma import CMA

LAST = Path("checkpoints") / "last.ckpt"
PREFIX = "model."


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
    try:
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{file} is no checkpoint, or holds more than tensors and plain values, which is refused; "
            "give a file that fsrvos-train wrote"
        ) from error
    except Exception as error:  # what the unpickler raises on garbage is any of a dozen kinds
        raise UserError(f"{file} could not be read as a checkpoint ({_reason(error)})") from error
    if not isinstance(checkpoint, dict) or "fsrvos" not in checkpoint:
        raise UserError(f"{file} is no checkpoint of fsrvos-train: it does not say which network it holds")
    return checkpoint


def load_model(path: str | Path) -> CMA:
    """The network of a checkpoint, on the CPU in evaluation mode.

    Args:
        path: File, run folder, or folder of runs.

    Raises:
        UserError: No such checkpoint, or not one of ours.
    """
    checkpoint = load_checkpoint(path)
    try:
        model = CMA(**_without_downloads(checkpoint["fsrvos"]["model"]))
        state = checkpoint["state_dict"]
        model.load_state_dict({k.removeprefix(PREFIX): v for k, v in state.items() if k.startswith(PREFIX)})
    except (KeyError, TypeError, RuntimeError) as error:
        raise UserError(
            f"{checkpoint_file(path)} holds a network that this version of fsrvos cannot build "
            f"({_reason(error)}); take the version that trained it"
        ) from error
    return model.eval()


def _reason(error: Exception) -> str:
    """The first two lines of an error in one, or its kind if it says nothing."""
    return " ".join(line.strip() for line in str(error).splitlines()[:2]) or type(error).__name__


def _without_downloads(config: dict[str, Any]) -> dict[str, Any]:
    """The same network, its backbone without the pretrained weights that the checkpoint replaces anyway."""
    backbone = config["backbone"]
    options = {"name": backbone} if isinstance(backbone, str) else dict(backbone)
    if "pretrained" in options:
        options |= {"pretrained": False, "weights": None}
    return {**config, "backbone": options}
