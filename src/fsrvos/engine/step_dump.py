"""One training step as a file: the network, the batches and the seed, enough to run it again without the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fsrvos.checkpoints import DESCRIPTION
from fsrvos.errors import UserError
from fsrvos.report import replace_file
from fsrvos.structures import Batch, Clip, ClipSpec, EpisodeSpec, Rivals, Support, Targets, Tokens
from fsrvos.tensor_files import read_file

_KINDS = {
    kind.__name__: kind for kind in (Batch, Clip, ClipSpec, EpisodeSpec, Rivals, Support, Targets, Tokens)
}
_KIND = "kind"  # key of a dict that stands for a dataclass


def save_step(
    file: Path,
    *,
    state: dict[str, Tensor],
    batches: Sequence[Batch],
    description: dict[str, Any],
    seed: int,
    precision: str,
    config: str,
) -> Path:
    """Writes a step, beside the file first, then renamed.

    Args:
        file: Where to.
        state: State dict of the LightningModule before the step; the file also serves as a checkpoint of weights.
        batches: What the step read.
        description: What a checkpoint says of its network.
        seed: What PyTorch was seeded with before the first batch.
        precision: The trainer's.
        config: Text of the run's config.yaml, which says what loss it was.

    Returns:
        The file.

    Raises:
        OSError: The file cannot be written; also as the context of PyTorch's RuntimeError.
    """
    content = {
        DESCRIPTION: description,
        "state_dict": {name: tensor.cpu() for name, tensor in state.items()},
        "batches": [_plain(batch.to("cpu")) for batch in batches],
        "seed": seed,
        "precision": precision,
        "config": config,
    }
    # Through an open file, so that a full disk is an OSError; given a path, PyTorch hides it.
    replace_file(file, lambda written: torch.save(content, written))
    return file


def read_step(file: Path) -> dict[str, Any]:
    """Reads a step; the batches are `Batch` again.

    Raises:
        UserError: The file cannot be read, or holds no step.
    """
    content, _ = read_file(file)
    try:
        batches = [_made(batch) for batch in content["batches"]]
        held = {key: content[key] for key in (DESCRIPTION, "state_dict", "seed", "precision")}
        held["config"] = str(content["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{file} holds no training step; give a file of nonfinite/ in a run folder"
        ) from error
    return {**held, "batches": batches}


def _plain(value: Any) -> Any:
    """Dataclasses as dicts, since nothing else than plain values and tensors is loaded with ``weights_only=True``."""
    if is_dataclass(value) and not isinstance(value, type):
        kept = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {_KIND: type(value).__name__, **kept}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    return value


def _made(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _made(item) for name, item in value.items() if name != _KIND}
        return _KINDS[value[_KIND]](**kept)
    if isinstance(value, list | tuple):
        return type(value)(_made(item) for item in value)
    return value
