"""At which size a checkpoint wants its frames: told by what lies beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from fsrvos.errors import UserError
from fsrvos.weights import Weights

FILE = "predictor.json"


@dataclass(frozen=True)
class InputSettings:
    """What a network's input is.

    Attributes:
        short_side: Short side of a frame in pixels.
        max_long_side: Longest side in pixels; None for no limit.
        window: Frames at once.
    """

    short_side: int = 360
    max_long_side: int | None = 640
    window: int = 10

    def save(self, folder: Path) -> None:
        """Writes predictor.json into a folder."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2) + "\n")


def settings_of(weights: Weights) -> InputSettings:
    """Reads predictor.json beside saved weights, or config.yaml of the run that a checkpoint is of; published sizes else.

    Raises:
        UserError: predictor.json is none.
    """
    saved = weights.file.parent / FILE
    if saved.is_file():
        try:
            return InputSettings(**json.loads(saved.read_text()))
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{saved} must hold short_side, max_long_side and window, such as {json.dumps(asdict(InputSettings()))}"
            ) from error
    config = weights.file.parent.parent / "config.yaml"
    if not config.is_file():
        return InputSettings()
    data: Any = OmegaConf.to_container(OmegaConf.load(config)).get("data", {})  # type: ignore[union-attr]
    test, train = data.get("test_transform") or {}, data.get("train_transform") or {}
    known = InputSettings()
    side, longest = test.get("short_side", known.short_side), test.get("max_long_side", known.max_long_side)
    if side is None:  # native size, which is that of the training
        sides = train.get("short_sides")
        side, longest = (max(sides), train.get("max_long_side")) if sides else (known.short_side, longest)
    return InputSettings(int(side), longest, int(data.get("window", known.window)))
