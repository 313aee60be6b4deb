"""What an evaluation found, in percent, and results.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fsrvos.engine.statistics import Statistics
from fsrvos.report import replace_file


@dataclass(frozen=True)
class Score:
    """J, F and their mean in percent; the standard deviations over seeds are None for a single seed."""

    J: float
    F: float
    JF: float
    J_std: float | None = None
    F_std: float | None = None
    JF_std: float | None = None


@dataclass(frozen=True)
class Scores:
    """Both protocols on one set of frames; ``episodes`` and ``frames`` count over all seeds."""

    standard: Score
    paper: Score
    episodes: int
    frames: int


@dataclass(frozen=True)
class Control:
    """A control beside the right score on those same episodes."""

    disturbed: Scores
    right_on_same: Scores


@dataclass(frozen=True)
class Results:
    """All that a report tells about one experiment."""

    experiment: str
    group: int | None
    seeds: list[int]
    right: Scores
    controls: dict[str, Control]
    per_category: dict[str, Scores]
    per_kind: dict[str, Scores]
    per_size: dict[str, Scores]
    per_seed: dict[int, Scores]
    seconds: float
    statistics: Statistics

    def to_dict(self) -> dict[str, Any]:
        """The content of results.json; ``report.markdown`` takes it too."""
        return {
            "experiment": self.experiment,
            "group": self.group,
            "seeds": self.seeds,
            "standard": asdict(self.right.standard),
            "paper": asdict(self.right.paper),
            "statistics": asdict(self.statistics),
            "controls": {
                name: {**asdict(control.disturbed), "right_on_same": asdict(control.right_on_same)}
                for name, control in self.controls.items()
            },
            "per_category": {name: _flat(scores) for name, scores in self.per_category.items()},
            "per_kind": {name: _flat(scores) for name, scores in self.per_kind.items()},
            "per_size": {name: _flat(scores) for name, scores in self.per_size.items()},
            "per_seed": {str(seed): _flat(scores) for seed, scores in self.per_seed.items()},
            "episodes": self.right.episodes,
            "frames": self.right.frames,
            "seconds": self.seconds,
        }


def save_results(results: Results, path: Path) -> None:
    """Writes results.json, whole or not at all."""
    text = json.dumps(results.to_dict(), indent=2) + "\n"
    replace_file(path, lambda file: file.write(text.encode()))


def _flat(scores: Scores) -> dict[str, Any]:
    """J, F, JF and counts at the top, the paper protocol below."""
    counts = {"episodes": scores.episodes, "frames": scores.frames}
    return {**asdict(scores.standard), **counts, "paper": asdict(scores.paper)}
