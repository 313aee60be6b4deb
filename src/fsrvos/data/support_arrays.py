"""Support that is in memory already: arrays or Pillow images, frames with masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from fsrvos.data.support_labelled import LabelledClip, LabelledFrame, check_count
from fsrvos.data.support_masks import LabelMap, labels_of_array, labels_of_image
from fsrvos.data.support_stills import rgb
from fsrvos.errors import UserError

_FRAMES, _MASKS = "support frames", "support masks"


def is_arrays(source: object) -> bool:
    """Whether a source is a pair (frames, masks) of arrays or images."""
    return isinstance(source, tuple) and len(source) == 2 and _is_pixels(source[0])


def read_arrays(frames: Any, masks: Any) -> list[LabelledClip]:
    """Reads a clip out of arrays.

    Args:
        frames: (S, H, W, 3) or (H, W, 3) uint8, a Pillow image, or a list of images (H, W, 3).
        masks: (S, H, W) or (H, W), bool or integer ids, a Pillow image, or a list of either.

    Returns:
        One clip.

    Raises:
        UserError: If shapes, types or numbers are others.
    """
    pixels = [_frame(frame, f"{_FRAMES}[{n}]") for n, frame in enumerate(_listed(frames, 3, _FRAMES))]
    labels = [_mask(mask, f"{_MASKS}[{n}]") for n, mask in enumerate(_listed(masks, 2, _MASKS))]
    if not pixels or len(pixels) != len(labels):
        raise UserError(f"{_MASKS}: {len(labels)} for {len(pixels)} frames; give one mask for each frame")
    check_count(len(pixels), _FRAMES)
    for n, (frame, mask) in enumerate(zip(pixels, labels, strict=True)):
        for name, (width, height) in (("masks", mask.size), ("frames", (frame.shape[1], frame.shape[0]))):
            if (height, width) != pixels[0].shape[:2]:
                raise UserError(
                    f"support {name}[{n}]: is {width}x{height}, but {_FRAMES}[0] is"
                    f" {pixels[0].shape[1]}x{pixels[0].shape[0]}; frames and masks of a clip must have one size"
                )
    clip = [
        LabelledFrame(f"{_MASKS}[{n}]", mask.size, lambda frame=frame: frame, mask.objects())  # type: ignore[misc]
        for n, (frame, mask) in enumerate(zip(pixels, labels, strict=True))
    ]
    return [LabelledClip(_MASKS, clip)]


def _is_pixels(thing: object) -> bool:
    if isinstance(thing, list) and thing:
        return all(_is_pixels(part) for part in thing)
    return isinstance(thing, np.ndarray | torch.Tensor | Image.Image)


def _listed(thing: Any, dimensions: int, name: str) -> list[Any]:
    """One entry a frame; ``dimensions`` is what one of them has."""
    if isinstance(thing, list):
        return thing
    if isinstance(thing, Image.Image):
        return [thing]
    array = _array(thing, name)
    if array.ndim == dimensions:
        return [array]
    if array.ndim == dimensions + 1:
        return list(array)
    shapes = "(S, H, W, 3) or (H, W, 3)" if dimensions == 3 else "(S, H, W) or (H, W)"
    raise UserError(f"{name}: must have the shape {shapes}, got {tuple(array.shape)}")


def _frame(frame: Any, name: str) -> np.ndarray:
    if isinstance(frame, Image.Image):
        return rgb(frame, name)
    array = _array(frame, name)
    if array.ndim != 3 or array.shape[-1] != 3 or array.dtype != np.uint8 or not array.size:
        raise UserError(
            f"{name}: must be an array (H, W, 3) of uint8, got {tuple(array.shape)} of {array.dtype}"
        )
    return array


def _mask(mask: Any, name: str) -> LabelMap:
    if isinstance(mask, Image.Image):
        return labels_of_image(mask, name)
    return labels_of_array(_array(mask, name), name)


def _array(thing: Any, name: str) -> np.ndarray:
    if isinstance(thing, torch.Tensor):
        return thing.detach().cpu().numpy()
    if not isinstance(thing, np.ndarray):
        raise UserError(f"{name}: must be an array or a Pillow image, got a {type(thing).__name__}")
    return thing
