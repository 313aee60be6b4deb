"""Videos that are in memory: arrays, tensors, lists of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image

from fsrvos.errors import UserError
from fsrvos.video.source import DEFAULT_RATE, Frame, Video, frame_name, too_large
from fsrvos.video.stills import image_size, over_black, upright_rgb

_SHAPES = "(T, H, W, 3), (T, H, W, 4) or (T, H, W)"


class Arrays(Video):
    """Frames in memory.

    Args:
        images: T images, all of one size: PIL images, or (H, W, 3), (H, W, 4) or (H, W) of uint8 or of floats in
            [0, 1].
        rate: Frames per second.

    Raises:
        UserError: No frame, sizes that differ, another shape, another dtype, or floats outside of [0, 1].
    """

    def __init__(
        self, images: Sequence[np.ndarray | Image.Image] | np.ndarray, rate: float = DEFAULT_RATE
    ) -> None:
        if not len(images):
            raise UserError("the video has no frames; give at least one")
        self.name, self.rate, self.count = "video", rate, len(images)
        self._images = images
        self.size = _checked_size(images[0], 0)
        for index in range(1, len(images)):
            size = _checked_size(images[index], index)
            if size != self.size:
                raise UserError(
                    f"frame {index} is {size[1]}x{size[0]}, but frame 0 is {self.size[1]}x{self.size[0]}; all frames of"
                    " a video must have one size"
                )

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """See ``Video.frames``."""
        for index in range(start, len(self._images)):
            yield Frame(index, frame_name(index), index / self.rate, _rgb(self._images[index]))


def from_array(array: np.ndarray, rate: float) -> Arrays:
    """(T, H, W, 3), (T, H, W, 4) with alpha, or (T, H, W) grey; uint8, or floats in [0, 1].

    Raises:
        UserError: Any other shape or dtype; also (H, W, 3), which may be one image or grey frames three wide.
    """
    shape = tuple(array.shape)
    if array.ndim == 3 and shape[2] in (3, 4):
        raise UserError(
            f"an array of shape {shape} may be one image or {shape[0]} grey frames; give {(1, *shape)} or {(*shape, 1)}"
        )
    if array.ndim == 4 and shape[3] == 1:
        array = array[..., 0]
    elif array.ndim not in (3, 4) or (array.ndim == 4 and shape[3] not in (3, 4)):
        hint = "; move the channels last" if array.ndim == 4 and shape[1] in (1, 3, 4) else ""
        raise UserError(f"a video array must be {_SHAPES}, got {shape}{hint}")
    return Arrays(array, rate)


def from_tensor(tensor: torch.Tensor, rate: float) -> Arrays:
    """(T, 3, H, W) or (T, H, W, 3); uint8, or floats in [0, 1].

    Raises:
        UserError: Any other shape, or one that fits both.
    """
    shape = tuple(tensor.shape)
    first, last = tensor.ndim == 4 and shape[1] == 3, tensor.ndim == 4 and shape[3] == 3
    if first == last:
        what = (
            "may be (T, 3, H, W) or (T, H, W, 3); give an array, which has its channels last" if first else ""
        )
        raise UserError(
            f"a tensor of shape {shape} {what or 'is no video; it must be (T, 3, H, W) or (T, H, W, 3)'}"
        )
    tensor = tensor.detach().cpu()
    tensor = tensor.float() if tensor.is_floating_point() else tensor
    return Arrays((tensor.movedim(1, 3) if first else tensor).numpy(), rate)


def _checked_size(image: np.ndarray | Image.Image, index: int) -> tuple[int, int]:
    if isinstance(image, Image.Image):
        height, width = image_size(image)
    elif isinstance(image, np.ndarray) and (
        image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))
    ):
        height, width = image.shape[:2]
    else:
        got = f"an array of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UserError(f"frame {index} must be a PIL image, (H, W, 3), (H, W, 4) or (H, W), got {got}")
    if not height or not width:
        raise UserError(f"frame {index} is {width}x{height}: a frame needs at least one pixel")
    if too_large(width, height):
        raise UserError(f"frame {index} is {width}x{height}, over 64 megapixels; scale it down")
    if isinstance(image, np.ndarray):
        _check_values(image, index)
    return height, width


def _check_values(image: np.ndarray, index: int) -> None:
    if image.dtype == np.uint8:
        return
    if image.dtype.kind != "f":
        raise UserError(f"frame {index} has dtype {image.dtype}; give uint8, or floats in [0, 1]")
    if not (image.min() >= 0 and image.max() <= 1):  # NaN too
        raise UserError(
            f"frame {index} has values from {image.min():g} to {image.max():g}; floats must be in [0, 1], or give uint8"
        )


def _rgb(image: np.ndarray | Image.Image) -> np.ndarray:
    if isinstance(image, Image.Image):
        return upright_rgb(image)
    pixels = image if image.dtype == np.uint8 else np.rint(image * 255).astype(np.uint8)
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return np.ascontiguousarray(pixels) if pixels.shape[2] == 3 else over_black(pixels)
