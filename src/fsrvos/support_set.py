"""Annotated clips of a category, encoded once for all windows, phrases and videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fsrvos.contact_sheet import SUPPORT
from fsrvos.data import captions
from fsrvos.data.clips import AnnotatedClip
from fsrvos.data.collate import collate_support
from fsrvos.data.resizing import resize, resized_size
from fsrvos.data.support_sources import read_support
from fsrvos.data.transforms import normalised
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA
from fsrvos.models.foreground import EncodedSupport
from fsrvos.pictures import overlay
from fsrvos.predictor_settings import Settings
from fsrvos.structures import SupportClip
from fsrvos.windows import cells

PICTURE_HEIGHT = 180


@dataclass
class SupportSet:
    """What ``Predictor.support`` makes of annotated clips.

    Attributes:
        clips: The clips as read: frames (S, 3, H, W) uint8, masks (S, H, W) bool, and their phrases.
        encoded: What the network made of them; None of a network that reads no support.
    """

    clips: list[AnnotatedClip]
    encoded: EncodedSupport | None

    @property
    def frames(self) -> int:
        """Annotated frames of all clips together."""
        return sum(len(clip.frames) for clip in self.clips)

    def picture(self, most: int = 6) -> np.ndarray:
        """The first frames with their masks, side by side: (180, W, 3) uint8."""
        shown = [
            overlay(frame.permute(1, 2, 0).numpy(), mask.numpy(), [SUPPORT])
            for clip in self.clips
            for frame, mask in zip(clip.frames, clip.masks, strict=True)
        ][:most]
        return np.concatenate([_of_height(picture) for picture in shown], axis=1)


def read_clips(
    source: Any, phrase: str | Sequence[str] | None, object_id: str | int | None, fallback_phrase: str
) -> list[AnnotatedClip]:
    """Reads annotated clips, each with its phrase; the arguments are those of ``Predictor.support``.

    Raises:
        UserError: As for ``Predictor.support``.
    """
    if isinstance(phrase, str | None):
        clips = read_support(source, phrase, object_id)
    else:
        if not isinstance(source, list) or len(source) != len(phrase):
            raise UserError(f"{len(phrase)} phrases of the support need a list of as many sources")
        clips = [
            clip
            for one, its in zip(source, phrase, strict=True)
            for clip in read_support(one, its, object_id)
        ]
    for clip in clips:
        clip.expression = clip.expression.strip() or fallback_phrase.strip()
    if not all(clip.expression for clip in clips):
        named = str(source) if isinstance(source, str | Path) else "given"
        raise UserError(f"the support {named} has no phrase; say what its object is called")
    return clips


def encode_clips(model: CMA, clips: Sequence[AnnotatedClip], settings: Settings) -> EncodedSupport:
    """Shows annotated clips to a network, at the size that it sees.

    Raises:
        UserError: An object of which nothing is left at that size.
    """
    resized = []
    for clip in clips:
        height, width = clip.masks.shape[-2:]
        size = resized_size(height, width, settings.short_side, settings.longest)
        frames, masks = resize(clip.frames, clip.masks, size)
        if not masks.any():
            raise UserError(
                f"the object {clip.expression!r} of the support is too small: nothing is left of it at "
                f"{size[1]}x{size[0]}, the size that the network sees; cut the frames around it"
            )
        resized.append(SupportClip(normalised(frames), masks, captions.plain(clip.expression)))
    support = collate_support([resized], cells(model))
    assert support is not None  # there is at least one clip
    with torch.no_grad():
        return model.encode_support(support.to(next(model.parameters()).device))


def thinned(clip: AnnotatedClip, most: int) -> AnnotatedClip:
    """At most so many frames of a clip, spread evenly over those that show the object."""
    if len(clip.frames) <= most:
        return clip
    visible = clip.masks.flatten(1).any(1).nonzero()[:, 0]
    kept = visible[np.linspace(0, len(visible) - 1, min(most, len(visible))).round().astype(int)]
    return AnnotatedClip(clip.frames[kept], clip.masks[kept], clip.expression)


def _of_height(picture: np.ndarray) -> np.ndarray:
    width = max(1, round(picture.shape[1] * PICTURE_HEIGHT / picture.shape[0]))
    return np.asarray(Image.fromarray(picture).resize((width, PICTURE_HEIGHT)))
