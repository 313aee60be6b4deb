"""Training and test transforms of a whole clip: one draw for all its frames, its masks and its phrase."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fsrvos.data import captions
from fsrvos.data.clips import AnnotatedClip
from fsrvos.data.draws import pick
from fsrvos.data.photometric import ColourMap, colour_map, distort
from fsrvos.data.resizing import nearest_pixels, resize, resized_size
from fsrvos.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_CROP_ATTEMPTS = 10


def normalised(frames: Tensor, colours: ColourMap | None = None) -> Tensor:
    """Frames as a network takes them.

    Args:
        frames: (T, 3, H, W) uint8, in any memory layout.
        colours: What changes the colours first; None changes nothing.

    Returns:
        (T, 3, H, W) float32, contiguous, with the mean and deviation of ImageNet.
    """
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    out = torch.empty(frames.shape)
    # Frame by frame: what one step writes is still in the processor's cache when the next one reads it.
    for frame, place in zip(frames, out, strict=True):
        unit = frame.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
        if colours is not None:
            unit = distort(unit, colours)
        torch.div(unit.sub_(mean), std, out=place)
    return out


class TestTransform:
    """Resizes to one short side; draws nothing.

    Attributes:
        rename_probability: Always 0.
    """

    rename_probability = 0.0

    def __init__(self, short_side: int | None = 360, max_long_side: int | None = 640):
        """Sets the sides in pixels; ``short_side=None`` keeps the native size, no maximum is no limit."""
        self.short_side = short_side
        self.max_long_side = max_long_side

    def __call__(
        self, clip: AnnotatedClip, rng: np.random.Generator, keep: int | None = None
    ) -> AnnotatedClip:
        """Transforms a clip as read; ``rng`` and ``keep`` are those of `TrainTransform` and not used."""
        frames, masks = clip.frames, clip.masks
        if self.short_side is not None:
            size = resized_size(masks.shape[-2], masks.shape[-1], self.short_side, self.max_long_side)
            frames, masks = resize(frames, masks, size)
        phrases = [captions.plain(phrase) for phrase in (clip.expression, *clip.further)]
        return AnnotatedClip(normalised(frames), masks, phrases[0], phrases[1:])


class TrainTransform:
    """The published augmentation: flip, photometric distortion, and a resize or a resize-crop-resize.

    All sizes are arguments, so that small frames keep the same recipe at a smaller scale.
    """

    def __init__(
        self,
        short_sides: Sequence[int] = (288, 320, 352, 392, 416, 448, 480, 512),
        max_long_side: int | None = 640,
        flip: float = 0.5,
        photometric: bool = True,
        crop: bool = True,
        crop_short_sides: Sequence[int] = (400, 500, 600),
        crop_min: int = 384,
        crop_max: int = 600,
        rename_probability: float = 0.0,
    ):
        """Sets the augmentation.

        Args:
            short_sides: Short sides to draw from, in pixels.
            max_long_side: Longest side of a resized frame, in pixels; None for no limit.
            flip: Probability of a horizontal flip, which also swaps left and right in the phrase.
            photometric: Whether brightness, contrast, saturation and hue vary.
            crop: Whether half of the clips are resized to one of ``crop_short_sides`` and cropped first.
            crop_short_sides: Short sides before a crop, in pixels.
            crop_min: Smallest side of a crop, in pixels; a smaller frame keeps that side whole.
            crop_max: Largest side of a crop, in pixels.
            rename_probability: Probability that an episode calls its category by a pseudo-word.

        Raises:
            UserError: If a probability is outside [0, 1] or a size below 1.
        """
        self.short_sides = tuple(int(side) for side in short_sides)
        self.max_long_side = max_long_side
        self.flip = flip
        self.photometric = photometric
        self.crop = crop
        self.crop_short_sides = tuple(int(side) for side in crop_short_sides)
        self.crop_min = crop_min
        self.crop_max = crop_max
        self.rename_probability = rename_probability
        for name, value in (("flip", flip), ("rename_probability", rename_probability)):
            if not 0 <= value <= 1:
                raise UserError(f"{name} must be a probability in [0, 1], got {value}")
        for name, sides in (("short_sides", self.short_sides), ("crop_short_sides", self.crop_short_sides)):
            if not sides or min(sides) < 1:
                raise UserError(f"{name} must list sizes of at least 1 pixel, got {list(sides)}")
        if not 1 <= crop_min <= crop_max:
            raise UserError(f"crop_min must be 1 to crop_max ({crop_max}), got {crop_min}")

    def __call__(
        self, clip: AnnotatedClip, rng: np.random.Generator, keep: int | None = None
    ) -> AnnotatedClip:
        """Transforms a clip as read.

        Args:
            clip: Frames (T, 3, H, W) uint8.
            rng: Source of all draws.
            keep: Index of a frame whose object a crop must not lose, where the clip shows it there (the
                middle frame of a support clip, without which it would support nothing).

        Returns:
            The clip, normalised; frames that lost the object have an empty mask.
        """
        frames, masks, phrases = clip.frames, clip.masks, [clip.expression, *clip.further]
        # The colours change last, on the smaller picture: a map of single pixels may wait for the geometry.
        if rng.random() < self.flip:
            frames, masks = frames.flip(-1), masks.flip(-1)
            phrases = [captions.mirror(phrase) for phrase in phrases]
        height, width = masks.shape[-2:]
        if self.crop and rng.random() < 0.5:
            frames, masks, (height, width) = self._cropped(frames, masks, rng, keep)
        size = resized_size(height, width, pick(rng, self.short_sides), self.max_long_side)
        frames, masks = resize(frames, masks, size)
        colours = colour_map(rng) if self.photometric else None
        phrases = [captions.plain(phrase) for phrase in phrases]
        return AnnotatedClip(normalised(frames, colours), masks, phrases[0], phrases[1:])

    def _cropped(
        self, frames: Tensor, masks: Tensor, rng: np.random.Generator, keep: int | None
    ) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """Draws a crop of the resized frame; returns it as read, and the height and width that it has there.

        The frame itself is not resized here: the one resize that follows does both, and of the crop alone.
        """
        height, width = masks.shape[-2:]
        size = resized_size(height, width, pick(rng, self.crop_short_sides))
        row_of, column_of = nearest_pixels(height, size[0]), nearest_pixels(width, size[1])
        for _ in range(_CROP_ATTEMPTS):
            rows, columns = (self._side(side, rng) for side in size)
            if keep is None or _shows(masks[keep], row_of[rows], column_of[columns]) or not masks[keep].any():
                window = (..., _span(row_of[rows]), _span(column_of[columns]))
                return frames[window], masks[window], (rows.stop - rows.start, columns.stop - columns.start)
        return frames, masks, (height, width)

    def _side(self, side: int, rng: np.random.Generator) -> slice:
        """Draws the extent of a crop along one side of the frame."""
        extent = int(rng.integers(min(self.crop_min, side), min(self.crop_max, side) + 1))
        start = int(rng.integers(side - extent + 1))
        return slice(start, start + extent)


def _shows(mask: Tensor, rows: Tensor, columns: Tensor) -> bool:
    """Whether the rows and columns of a mask (H, W) hold a pixel of the object."""
    return bool(mask[rows].any(0)[columns].any())


def _span(places: Tensor) -> slice:
    return slice(int(places[0]), int(places[-1]) + 1)
