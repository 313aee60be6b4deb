"""Draws the same few held-out episodes at every validation, for whichever logger shows pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import lightning as L
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fsrvos.contact_sheet import PREDICTION, TRUTH, SheetRow, contact_sheet
from fsrvos.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from fsrvos.engine.metrics import region_similarity
from fsrvos.pictures import animation, overlay
from fsrvos.structures import Batch, Clip

GAP = 4  # white pixels between truth and prediction


@dataclass(frozen=True)
class ShownEpisode:
    """One episode as it is drawn.

    Attributes:
        name: Its place among those drawn, video and expression, such as ``"02_0011_1"``: the same at every validation.
        row: Phrase, support, query, truth and prediction, at the size of the pictures.
    """

    name: str
    row: SheetRow

    def card(self) -> Image.Image:
        """Everything on one still: phrase and scores, support, truth above prediction."""
        return contact_sheet([self.row])

    def video(self) -> bytes:
        """A GIF of the query: truth at the left, prediction at the right."""
        row = self.row
        pairs = zip(row.query_frames, row.truth, row.prediction, strict=True)
        return animation([_side_by_side(*pair) for pair in pairs])

    def middle(self) -> int:
        """The frame that stands for the query where there is room for one: the middle of those with the object."""
        visible = [t for t, mask in enumerate(self.row.truth) if mask.any()] or list(
            range(len(self.row.truth))
        )
        return visible[len(visible) // 2]


@runtime_checkable
class EpisodeBoard(Protocol):
    """A logger that shows drawn episodes."""

    def show_episodes(self, episodes: Sequence[ShownEpisode], step: int) -> None:
        """Shows what was drawn after so many optimizer steps."""


class EpisodePictures(L.Callback):
    """Hands a few drawn episodes to every logger that is an ``EpisodeBoard``, at the end of each validation.

    They are an even spread over the validated episodes with the right support, so every validation shows the same ones.
    What validation found is drawn: the network does not run again, nothing is drawn by chance, and only rank 0 works.

    Args:
        episodes: How many; 0 for none.
        every: Draws at every so manieth validation.
        width: Width of a frame in pixels, at most.

    Raises:
        ValueError: ``every`` or ``width`` below 1, or ``episodes`` below 0.
    """

    def __init__(self, episodes: int = 4, every: int = 1, width: int = 320) -> None:
        if episodes < 0 or every < 1 or width < 1:
            raise ValueError(
                f"episodes must be at least 0, every and width at least 1; got {episodes}, {every}, {width}"
            )
        self.episodes, self.every, self.width = episodes, every, width
        self._wanted: set[int] = set()
        self._shown: list[ShownEpisode] = []
        self._validations = 0

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Chooses the episodes; none outside training, or where nobody shows them."""
        self._shown, self._wanted = [], set()
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        self._validations += 1
        if (self._validations - 1) % self.every == 0 and _boards(trainer):
            batches = int(trainer.num_val_batches[0])
            places = np.linspace(0, batches - 1, min(self.episodes, batches)).round().astype(int)
            self._wanted = set(places.tolist())

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keeps what was found of an episode that is shown, at the size of the pictures."""
        if dataloader_idx == 0 and batch_idx in self._wanted:
            self._shown.append(shown_episode(batch, outputs["masks"][0], len(self._shown), self.width))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Shows them."""
        if self._shown:
            for board in _boards(trainer):
                board.show_episodes(self._shown, trainer.global_step)
        self._shown = []


def shown_episode(batch: Batch, found: Tensor, place: int, width: int = 320) -> ShownEpisode:
    """The first episode of a batch, ready to be drawn.

    Args:
        batch: With truth, as validation reads it.
        found: (T, h, w) bool, the masks found, at the unpadded size of the query.
        place: Number of the episode among those drawn.
        width: Width of a frame in pixels, at most.
    """
    assert batch.targets is not None
    spec, query = batch.specs[0], batch.query
    height, breadth = query.sizes[0].tolist()
    truth = batch.targets.masks[0, :, :height, :breadth]
    frames, truths = _small(_pixels(query, 0), truth, width)
    _, found_masks = _small(_pixels(query, 0), found, width)
    supports: list[np.ndarray] = []
    support_masks: list[np.ndarray] = []
    if batch.support is not None:
        for clip in (batch.support.owner == 0).nonzero().flatten().tolist():
            high, wide = batch.support.sizes[clip].tolist()
            some, their = _small(
                _pixels(batch.support, clip), batch.support.masks[clip, :, :high, :wide], width
            )
            supports += some
            support_masks += their
    row = SheetRow(
        phrase=spec.query.expression,
        category=spec.category,
        query_frames=frames,
        truth=truths,
        prediction=found_masks,
        support_frames=supports,
        support_masks=support_masks,
        J=region_similarity(found, truth).mean().item(),
    )
    return ShownEpisode(f"{place:02d}_{spec.query.video}_{spec.query.expression_id}", row)


def _boards(trainer: L.Trainer) -> list[EpisodeBoard]:
    return [logger for logger in trainer.loggers if isinstance(logger, EpisodeBoard)]


def _pixels(clip: Clip, index: int) -> np.ndarray:
    """One clip of a batch as it was before it was normalised: (T, H, W, 3) uint8, unpadded."""
    height, width = clip.sizes[index].tolist()
    frames = clip.frames[index, :, :, :height, :width].float().cpu()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    levels = ((frames * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).numpy()


def _small(frames: np.ndarray, masks: Tensor, width: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """T frames and masks scaled down to a width; smaller ones stay as they are."""
    high, wide = frames.shape[1:3]
    size = (min(width, wide), max(1, round(high * min(width, wide) / wide)))
    pictures = [Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS) for frame in frames]
    shapes = [
        Image.fromarray(mask).resize(size, Image.Resampling.BILINEAR)
        for mask in masks.cpu().numpy().astype(np.uint8) * 255
    ]
    return [np.asarray(picture) for picture in pictures], [np.asarray(shape) > 127 for shape in shapes]


def _side_by_side(frame: np.ndarray, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """(H, 2 W + GAP, 3): the frame with the truth, and with the prediction."""
    gap = np.full((len(frame), GAP, 3), 255, np.uint8)
    return np.concatenate(
        [overlay(frame, truth, [TRUTH]), gap, overlay(frame, prediction, [PREDICTION])], axis=1
    )
