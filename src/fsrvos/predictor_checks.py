"""What users say to a predictor, checked in words of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from fsrvos.data import captions
from fsrvos.errors import UserError
from fsrvos.ops.precision import PRECISIONS

WEIGHTS = (".ckpt", ".pth", ".pt", ".bin", ".safetensors")


def check_phrases(phrases: Sequence[str]) -> None:
    """Finds phrases that say nothing.

    Raises:
        UserError: No phrase, or an empty one.
    """
    if not phrases or any(not isinstance(phrase, str) or not captions.plain(phrase) for phrase in phrases):
        raise UserError(
            'the phrase is empty; say what to segment, such as "the brown dog on the left", or a list of such'
        )


def checked_device(device: str | torch.device) -> torch.device:
    """The device of a name.

    Raises:
        UserError: There is no such device here.
    """
    try:
        checked = torch.device(device)
        torch.zeros(1, device=checked).item()
    except (
        RuntimeError,
        TypeError,
        AssertionError,
    ) as error:  # AssertionError: a torch that was built without it
        raise UserError(
            f"device={device}: there is no such device here; say device=cpu, or device=cuda where there is one"
        ) from error
    return checked


def checked_precision(precision: str, device: torch.device | str) -> str:
    """A name of how the network computes.

    Raises:
        UserError: An unknown one, or one that the device has not.
    """
    if precision not in PRECISIONS:
        raise UserError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    if precision == "16-mixed" and torch.device(device).type == "cpu":
        raise UserError("precision=16-mixed needs a GPU; on a CPU say precision=bf16-mixed")
    return precision


def checked_cost(jump_cost: float) -> float:
    """A cost of jumps.

    Raises:
        UserError: No number, or a negative one.
    """
    if not isinstance(jump_cost, int | float) or not 0 <= jump_cost < float("inf"):
        raise UserError(f"jump_cost must be a number of at least 0, got {jump_cost!r}")
    return jump_cost


def is_path(source: str | Path) -> bool:
    """Whether a name means a place on this disk, there or not, and no repository of the hub."""
    path = Path(source)
    return path.suffix in WEIGHTS or path.is_absolute() or (len(path.parts) > 1 and path.parent.is_dir())
