"""What happens with files one does not trust? Damages small data roots at random, and counts how reading them ends.

    python benchmarks/fuzz.py --trees 500

Hypothesis draws one to three damages for each tree. Then annotations are loaded, episodes listed and two of them read,
and the tree is checked as `fsrvos-data validate` does. Each step must end in success, in telling what is left out or
found (told), or in one `UserError` of one line (refused); anything else has escaped, is printed, and makes the exit
code 1. A kind of damage counts by the worst of the three.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fuzz_damages import DAMAGES, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fsrvos.data.annotations import Annotations
from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.data.datasets import TestDataset, TrainDataset
from fsrvos.data.transforms import TestTransform, TrainTransform
from fsrvos.data.validation import validate
from fsrvos.errors import UserError
from fsrvos.report import table

OUTCOMES = ("success", "told", "refused", "escaped")
STEPS = ("annotations", "episodes", "validate")
FILMS = ("hat_1", "hat_2", "plant_1", "plant_2", "twins")

Damages = list[tuple[str, int]]
damages: st.SearchStrategy[Damages] = st.lists(
    st.tuples(st.sampled_from(sorted(DAMAGES)), st.integers(0, 2**32 - 1)), min_size=1, max_size=3
)
"""What is done to one tree: kinds of damage, each with the seed that says where."""


def write_small_root(root: Path) -> Path:
    """Writes a complete data set of five videos of three frames, with which group 1 can be trained and tested."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests/unit/data"))
    from zoo import write, zoo

    films = zoo()
    return write(root, {name: replace(films[name], num_frames=3) for name in FILMS})


def outcomes(whole: Path, damaged: Path, drawn: Damages) -> dict[str, tuple[str, str]]:
    """Damages a copy of a data set and tries the three steps on it: for each the outcome and its line.

    Args:
        whole: The data set.
        damaged: Where the copy goes; what is there is removed.
        drawn: One of `damages`.
    """
    shutil.rmtree(damaged, ignore_errors=True)
    shutil.copytree(whole, damaged)
    for kind, seed in drawn:
        damage(damaged, kind, seed)
    steps = (_annotations, _episodes, _validate)
    return {name: _outcome(step, damaged) for name, step in zip(STEPS, steps, strict=True)}


def _outcome(step: Callable[[Path], int], root: Path) -> tuple[str, str]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            findings = step(root)
        except UserError as error:
            line = str(error)
            return ("refused" if is_line(line) else "escaped"), line
        except Exception as error:  # what this is here to find
            return "escaped", f"{type(error).__name__}: {error}"
    told_of = [str(one.message) for one in told if "fewer than two videos" not in str(one.message)]
    return ("told", f"{findings} findings {told_of}") if findings or told_of else ("success", "")


def is_line(text: str) -> bool:
    """Whether a terminal shows a text as one line: no line end of any kind, no half of a character."""
    return text.isprintable()


def _annotations(root: Path) -> int:
    Annotations(root)
    return 0


def _episodes(root: Path) -> int:
    small = TestTransform(short_side=24, max_long_side=48)
    data = EpisodeDataModule(
        root, query_frames=2, support_frames=2, episodes_per_category=1, window=3, test_transform=small,
        train_transform=TrainTransform((24,), max_long_side=48, crop=False),
    )  # fmt: skip
    data.setup("fit")
    tested = data.test_episodes(0)
    specs = [tested.spec(index) for index in range(len(tested))]
    TestDataset(data.annotations, specs, small)[0]
    TrainDataset(data.train_episodes, data.train_transform, rivals=1)[0, 0]
    return 0


def _validate(root: Path) -> int:
    findings = [one for result in validate(root, workers=1) for one in result.findings]
    for one in findings:
        if not is_line(f"{one.file}{one.problem}{one.cure}"):
            raise AssertionError(f"not one line: {one}")
    return len([one for one in findings if one.kind != "category-one-video"])


def run(trees: int, seen: Callable[[Damages, dict[str, tuple[str, str]]], None]) -> None:
    """Damages so many trees, the same ones every time, and hands over how each of them ended."""
    with tempfile.TemporaryDirectory() as folder:
        whole, damaged = write_small_root(Path(folder) / "whole"), Path(folder) / "damaged"

        @settings(
            max_examples=trees, deadline=None, database=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(damages)
        def once(drawn: Damages) -> None:
            seen(drawn, outcomes(whole, damaged, drawn))

        once()


def main() -> int:
    """Damages, counts and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trees", type=int, default=500)
    arguments = parser.parse_args()
    by_step: Counter[tuple[str, str]] = Counter()
    by_kind: Counter[tuple[str, str]] = Counter()
    trees = 0

    def seen(drawn: Damages, ended: dict[str, tuple[str, str]]) -> None:
        nonlocal trees
        trees += 1
        worst = max((OUTCOMES.index(outcome) for outcome, _ in ended.values()), default=0)
        for kind in {kind for kind, _ in drawn}:
            by_kind[kind, OUTCOMES[worst]] += 1
        for step, (outcome, line) in ended.items():
            by_step[step, outcome] += 1
            if outcome == "escaped":
                print(f"ESCAPED {step} {drawn}: {line!r:.400}")

    run(arguments.trees, seen)
    print(f"{trees} trees\n")
    for title, names, counts in (("step", STEPS, by_step), ("damage", sorted(DAMAGES), by_kind)):
        rows = [[name, *(str(counts[name, outcome]) for outcome in OUTCOMES)] for name in names]
        print(table([title, *OUTCOMES], rows), end="\n\n")
    return int(any(counted for (_, outcome), counted in by_step.items() if outcome == "escaped"))


if __name__ == "__main__":
    sys.exit(main())
