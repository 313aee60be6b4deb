"""Scores over the time of a video, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from fsrvos.annotated_video import COLOURS
from fsrvos.report import replace_file


def save_score_curve(
    path: Path, times: Sequence[float], scores: npt.ArrayLike, phrases: Sequence[str]
) -> None:
    """Writes a PNG.

    Args:
        path: The file, written whole or not at all.
        times: T times in seconds.
        scores: (P, T) in [0, 1].
        phrases: P phrases.
    """
    figure = Figure(figsize=(9, 2.2 + 0.22 * len(phrases)), layout="constrained")
    axes = figure.subplots()
    for number, (phrase, row) in enumerate(zip(phrases, np.asarray(scores), strict=True)):
        colour = np.array(COLOURS[number % len(COLOURS)]) / 255
        # To matplotlib a dollar begins a formula, and an underscore hides a label.
        label = " ".join(phrase.split()).replace("$", r"\$")
        axes.plot(times, row, color=colour, label=f" {label}", marker="." if len(times) < 60 else None)
    axes.set(xlabel="seconds", ylabel="score", ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper left", frameon=False, ncols=1)
    replace_file(path, lambda file: figure.savefig(file, format="png", dpi=110))
