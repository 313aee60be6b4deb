"""Reads files of tensors, PyTorch's and safetensors', without running anything that is in them."""

from __future__ import annotations

import argparse
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fsrvos.errors import UserError

SAFETENSORS = ".safetensors"
# Published checkpoints keep their command line beside the tensors: a plain bag of attributes.
_ALLOWED: list[Any] = [argparse.Namespace]


def read_file(file: str | Path) -> tuple[Any, dict[str, str]]:
    """Reads a file of tensors on the CPU.

    Args:
        file: ``.safetensors``, or what ``torch.save`` wrote.

    Returns:
        What it holds (a dict of tensors for safetensors), and its metadata (empty for PyTorch's).

    Raises:
        UserError: There is no such file, it is damaged or no file of tensors, or reading it would run code.
    """
    file = Path(file)
    if not file.is_file():
        raise UserError(f"{file} does not exist; give a file of weights (.pth, .pt, .ckpt, .safetensors)")
    return _read_safetensors(file) if file.suffix == SAFETENSORS else (_read_pickle(file), {})


def write_safetensors(
    tensors: dict[str, Tensor], file: str | Path, metadata: dict[str, str] | None = None
) -> None:
    """Writes tensors beside the file, then renames: a reader sees the old file or the whole new one.

    Raises:
        UserError: The folder cannot be written.
    """
    file = Path(file)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.touch()
        mode = beside.stat().st_mode  # safetensors would leave a file that its owner alone can read
        save_file(_unshared(tensors), beside, {"format": "pt", **(metadata or {})})
        beside.chmod(mode)
        beside.replace(file)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file} cannot be written ({reason(error)}); choose another place") from error
    finally:
        if beside.exists():
            beside.unlink()


def _unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same values, each tensor with memory of its own, as the format wants it."""
    seen: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        separate[name] = tensor.detach().clone() if place in seen else tensor.detach().contiguous()
        seen.add(place)
    return separate


def _read_safetensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(file, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file} could not be read as safetensors ({reason(error)})") from error


def _read_pickle(file: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_ALLOWED):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{file} is no checkpoint, or holds more than tensors and plain values{_what_more(file)}: it is "
            "refused, because loading it could run code; save its tensors alone with torch.save(state_dict, FILE)"
        ) from error
    except Exception as error:  # what the unpickler raises on garbage is any of a dozen kinds
        raise UserError(f"{file} could not be read as a checkpoint ({reason(error)})") from error


def _what_more(file: Path) -> str:
    """Names of what the pickle asks for beyond tensors, in brackets; nothing where it is no zip to look into."""
    try:
        with torch.serialization.safe_globals(_ALLOWED):
            names = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except Exception:
        return ""
    return f" ({', '.join(sorted(names)[:4])})" if names else ""


def reason(error: Exception) -> str:
    """The first two lines of an error in one, or its kind if it says nothing."""
    return " ".join(line.strip() for line in str(error).splitlines()[:2]) or type(error).__name__
