"""Keeps a few scored episodes for the pictures of a report: evenly spread over what was tested."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fsrvos.contact_sheet import PREDICTION, TRUTH, SheetRow
from fsrvos.data.clips import read_clip
from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.engine.evaluation import Trial
from fsrvos.pictures import overlay


class Gallery:
    """Collects right trials of the first seed, an even spread, never the best ones.

    Args:
        data: Where the frames are read.
        rows: How many episodes to keep.
    """

    def __init__(self, data: EpisodeDataModule, rows: int) -> None:
        self.data, self.rows = data, rows
        seed = data.test_seeds[0]
        self._wanted = {spec.index for spec in data.test_episodes(seed).subset(rows)}
        self._seed = seed
        self.trials: list[Trial] = []

    def offer(self, trial: Trial) -> None:
        """Keeps a trial if it is one of those that are shown."""
        if trial.condition == "right" and trial.spec.seed == self._seed and trial.spec.index in self._wanted:
            self.trials.append(trial)

    def sheet_rows(self) -> list[SheetRow]:
        """Rows of the contact sheet."""
        return [self._row(trial) for trial in self.trials]

    def overlays(self) -> Iterator[tuple[str, Image.Image]]:
        """One picture an episode, named by it: its frames, truth above prediction."""
        for trial, row in zip(self.trials, self.sheet_rows(), strict=True):
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
            query = trial.spec.query
            name = f"{query.video}_{query.expression_id}.png"
            yield name, Image.fromarray(np.concatenate(strips, axis=0))

    def _row(self, trial: Trial) -> SheetRow:
        spec, annotations = trial.spec, self.data.annotations
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


def _frames(frames: Tensor) -> list[np.ndarray]:
    """(T, 3, H, W) uint8 to T arrays (H, W, 3)."""
    assert frames.dtype == torch.uint8
    return list(frames.permute(0, 2, 3, 1).numpy())
