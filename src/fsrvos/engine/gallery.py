"""Keeps a few scored episodes for the pictures of a report: evenly spread over what was tested."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fsrvos.contact_sheet import PREDICTION, TRUTH, SheetRow
from fsrvos.data.clips import read_clip
from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.engine.evaluation import Trial
from fsrvos.engine.processes import gather
from fsrvos.pictures import overlay


@dataclass(frozen=True)
class Shown:
    """One episode that is shown.

    Attributes:
        index: Its place in the test.
        name: Name of its picture, without suffix.
        row: Its row on the contact sheet.
    """

    index: int
    name: str
    row: SheetRow


class Gallery:
    """Collects right trials of the first seed, an even spread, never the best ones.

    Args:
        data: Where the frames are read.
        rows: How many episodes to keep.
        with_support: Whether the support is shown; of predictions made elsewhere it is not known.
    """

    def __init__(self, data: EpisodeDataModule, rows: int, with_support: bool = True) -> None:
        self.data, self.rows, self.with_support = data, rows, with_support
        seed = data.test_seeds[0]
        self._wanted = {spec.index for spec in data.test_episodes(seed).subset(rows)}
        self._seed = seed
        self._shown: list[Shown] = []

    def offer(self, trial: Trial) -> None:
        """Keeps a trial if it is one of those that are shown."""
        if trial.condition == "right" and trial.spec.seed == self._seed and trial.spec.index in self._wanted:
            query = trial.spec.query
            self._shown.append(
                Shown(trial.spec.index, f"{query.video}_{query.expression_id}", self._row(trial))
            )

    def gathered(self) -> list[Shown]:
        """What all processes kept, in the order of the test. Every process must call it."""
        return sorted(gather(self._shown), key=lambda shown: shown.index)

    def _row(self, trial: Trial) -> SheetRow:
        spec, annotations = trial.spec, self.data.annotations
        if not self.with_support:
            spec = replace(spec, support=())
        query = read_clip(annotations, spec.query)
        support = [read_clip(annotations, clip) for clip in spec.support]
        return SheetRow(
            phrase=spec.query.expression,
            category=spec.category,
            query_frames=_frames(query.frames),
            truth=list(trial.truth.numpy()),
            prediction=list(trial.masks.numpy()),
            support_frames=[frame for clip in support for frame in _frames(clip.frames)],
            support_masks=[mask for clip in support for mask in clip.masks.numpy()],
            kind=trial.records[0].kind,
            J=trial.similarity,
        )


def strip(row: SheetRow) -> Image.Image:
    """All frames of an episode side by side, truth above prediction."""
    strips = [
        np.concatenate(
            [
                overlay(frame, mask, colours=[colour])
                for frame, mask in zip(row.query_frames, masks, strict=True)
            ],
            axis=1,
        )
        for masks, colour in ((row.truth, TRUTH), (row.prediction, PREDICTION))
    ]
    return Image.fromarray(np.concatenate(strips, axis=0))


def _frames(frames: Tensor) -> list[np.ndarray]:
    """(T, 3, H, W) uint8 to T arrays (H, W, 3)."""
    assert frames.dtype == torch.uint8
    return list(frames.permute(0, 2, 3, 1).numpy())
