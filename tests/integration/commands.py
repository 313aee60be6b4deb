"""Runs the commands as a user does, in this process, which saves the seconds of every import."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from zoo import Film, one, write

BIN = Path(sys.executable).parent

# The smallest data that train: two categories that group 1 holds out, one that it does not, two videos each.
CATEGORIES = ("hat", "raccoon", "plant")
FRAMES = 3


@dataclass
class Outcome:
    """What a command left: exit code, and what it said."""

    code: int
    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        """Lines on stderr that the command itself wrote, warnings apart."""
        return [line for line in self.told if not line.startswith("fsrvos: warning: ")]

    @property
    def told(self) -> list[str]:
        """All lines on stderr that the command itself wrote."""
        return [line for line in self.err.splitlines() if line.startswith("fsrvos")]


def run(
    main: Callable[[], None],
    arguments: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> Outcome:
    """Runs the entry point of a command in a working directory."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["fsrvos", *arguments])
    capfd.readouterr()
    code: object = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code or 0
    out, err = capfd.readouterr()
    assert isinstance(code, int), f"exit code {code!r}"
    return Outcome(code, out, err)


def write_small_data(root: Path) -> Path:
    """A complete data root of six videos."""
    films = {
        f"{category}_{number}": Film(FRAMES, {"1": one(category, f"a {category}", "the one on the left")})
        for category in CATEGORIES
        for number in range(2)
    }
    return write(root, films)


def on_data(root: Path) -> list[str]:
    """Overrides that train one step of a small network on a data root in the benchmark's layout."""
    return [
        "data=ytvos",
        f"data.root={root}",
        "data.num_workers=0",
        "data.batch_size=2",
        "data.query_frames=2",
        "data.support_frames=3",
        "data.episodes_per_category=2",
        "data.val_episodes=2",
        "data.test_seeds=[0]",
        "++data.train_transform.short_sides=[32]",
        "++data.train_transform.crop=false",
        "data.test_transform.short_side=32",
        "model.hidden_dim=64",
        "trainer.max_steps=1",
        "trainer.log_every_n_steps=1",
        "evaluation.sheet_rows=1",
    ]
