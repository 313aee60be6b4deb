"""At which size, and how many frames at once, a network sees a video: what it was trained for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from fsrvos.checkpoints import LAST
from fsrvos.config_files import read_config
from fsrvos.data.json_files import read_json
from fsrvos.errors import UserError
from fsrvos.report import replace_file

FILE = "predictor.json"
WIDEST = 16 / 9


@dataclass(frozen=True)
class Settings:
    """How a network sees a video.

    Attributes:
        short_side: Short side of the frames that it gets, in pixels.
        max_long_side: Longest side, in pixels; None: 16/9 of the short side.
        window: Frames at once.

    Raises:
        UserError: A count below 1.
    """

    short_side: int = 360
    max_long_side: int | None = 640
    window: int = 10

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            if not whole and (value is not None or name != "max_long_side"):
                raise UserError(f"{name} must be a whole number of at least 1, got {value!r}")

    @property
    def longest(self) -> int:
        """Longest side of the frames, in pixels."""
        return self.max_long_side or round(self.short_side * WIDEST)

    def changed(self, **options: int | None) -> Settings:
        """The same with some of them replaced; None leaves one as it is.

        A new short side comes with a longest side of its own, unless one is given.
        """
        given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
        if "short_side" in given:
            given.setdefault("max_long_side", None)
        return replace(self, **given)

    def save(self, folder: Path) -> None:
        """Writes predictor.json beside saved weights."""
        text = json.dumps(asdict(self), indent=2) + "\n"
        replace_file(folder / FILE, lambda file: file.write(text.encode()))


def settings_of(weights: Path) -> Settings:
    """The settings that belong to a file of weights.

    They stand in predictor.json beside it, or in config.yaml of the run that made a checkpoint; weights from elsewhere
    have the published ones.

    Raises:
        UserError: A predictor.json or config.yaml that cannot be read.
    """
    saved = weights.parent / FILE
    if saved.is_file():
        found = read_json(saved)
        try:
            return Settings(**found)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"{saved}: must hold short_side, max_long_side and window as whole numbers ({error})"
            ) from error
    config = weights.parent.parent / "config.yaml"
    if weights.parent.name != LAST.parent.name or not config.is_file():
        return Settings()
    return _of_run(OmegaConf.to_container(read_config(config)))


def _of_run(config: Any) -> Settings:
    """What a run tested with; where that was the size on disk, the largest that it trained with."""
    data = config.get("data") if isinstance(config, dict) else None
    if not isinstance(data, dict):
        return Settings()
    test, train = data.get("test_transform") or {}, data.get("train_transform") or {}
    window = data.get("window", Settings.window)
    if test.get("short_side"):
        return Settings(test["short_side"], test.get("max_long_side", Settings.max_long_side), window)
    if train.get("short_sides"):
        return Settings(max(train["short_sides"]), train.get("max_long_side"), window)
    return Settings(window=window)
