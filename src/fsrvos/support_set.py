"""Annotated clips of a category, encoded once for all windows, phrases and videos."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fsrvos.contact_sheet import SUPPORT
from fsrvos.data.clips import AnnotatedClip
from fsrvos.models.foreground import EncodedSupport
from fsrvos.pictures import overlay

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


def thinned(clip: AnnotatedClip, most: int) -> AnnotatedClip:
    """At most so many frames of a clip, spread evenly over those that show the object; one warning tells of it."""
    if len(clip.frames) <= most:
        return clip
    visible = clip.masks.flatten(1).any(1).nonzero()[:, 0]
    kept = visible[np.linspace(0, len(visible) - 1, min(most, len(visible))).round().astype(int)]
    warnings.warn(
        f"the support {clip.expression!r} has {len(clip.frames)} annotated frames: {len(kept)} of them are used",
        stacklevel=3,
    )
    return AnnotatedClip(clip.frames[kept], clip.masks[kept], clip.expression)


def _of_height(picture: np.ndarray) -> np.ndarray:
    width = max(1, round(picture.shape[1] * PICTURE_HEIGHT / picture.shape[0]))
    return np.asarray(Image.fromarray(picture).resize((width, PICTURE_HEIGHT)))
