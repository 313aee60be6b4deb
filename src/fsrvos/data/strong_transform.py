"""Strong augmentation, for clips so few that a network would learn them by heart."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fsrvos.data.clips import AnnotatedClip
from fsrvos.data.resizing import resize
from fsrvos.data.transforms import IMAGENET_STD, TrainTransform
from fsrvos.errors import UserError

SCALE = sum(IMAGENET_STD) / 3  # of a pixel in [0, 1] for one unit once normalised
ATTEMPTS = 10  # at a crop that keeps the object


class StrongTransform(TrainTransform):
    """Augmentation at the scale of a network's input: flip, colours, zoom into any part of the frame, and noise.

    Few frames are learned by heart in minutes; what changes from one look to the next cannot be. All clips of one shape
    come out at one size, so that a batch of them goes through the network at once.
    """

    def __init__(
        self, short_side: int, max_long_side: int | None = None, zoom: float = 1.8, noise: float = 0.05
    ) -> None:
        """Sets the augmentation.

        Args:
            short_side: Short side of the network's input in pixels.
            max_long_side: Its longest side.
            zoom: Largest magnification; half of the clips are magnified.
            noise: Largest standard deviation of the noise, where frames are in [0, 1]; half of the clips have some.

        Raises:
            UserError: A side or a zoom below 1, or a negative noise.
        """
        super().__init__(short_sides=[short_side], max_long_side=max_long_side)
        if zoom < 1 or noise < 0:
            raise UserError(f"zoom must be at least 1 and noise at least 0, got {zoom} and {noise}")
        self.zoom = zoom
        self.noise = noise

    def __call__(
        self, clip: AnnotatedClip, rng: np.random.Generator, keep: int | None = None
    ) -> AnnotatedClip:
        """Transforms a clip as read; see `TrainTransform`."""
        changed = super().__call__(clip, rng, keep)
        if rng.random() < 0.5:
            noise = torch.from_numpy(rng.standard_normal(changed.frames.shape, dtype=np.float32))
            changed.frames = changed.frames + self.noise / SCALE * rng.random() * noise
        return changed

    def _cropped(
        self, frames: Tensor, masks: Tensor, rng: np.random.Generator, keep: int | None
    ) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """A part of the frame at the frame's size."""
        height, width = masks.shape[-2:]
        for _ in range(ATTEMPTS):
            share = 1 / rng.uniform(1, self.zoom)
            h, w = max(1, round(share * height)), max(1, round(share * width))
            top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
            window = (..., slice(top, top + h), slice(left, left + w))
            if keep is None or masks[keep][window].any() or not masks[keep].any():
                return *resize(frames[window], masks[window], (height, width)), (height, width)
        return frames, masks, (height, width)
