"""Finds out what a source is and opens it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from fsrvos.errors import UserError
from fsrvos.video.arrays import Arrays, from_array, from_tensor
from fsrvos.video.pictures import open_folder, open_pictures
from fsrvos.video.source import DEFAULT_RATE, Video
from fsrvos.video.stills import is_image_name
from fsrvos.video.video_file import VideoFile

SLOWEST, FASTEST = 0.001, 1000  # what an mp4 can say


def open_video(
    source: str | Path | np.ndarray | torch.Tensor | Sequence[Image.Image | np.ndarray],
    rate: float | None = None,
) -> Video:
    """Opens a video of any kind.

    - A video file (mp4, mov, mkv, webm, avi, ...): see ``VideoFile``.
    - An animated GIF, WebP or PNG; any other image file is a video of one frame.
    - A folder of images in the order of their names, numbers by value (1, 2, 10; those padded with zeros sort as
      in the benchmarks). Other files and folders in it are left out.
    - An array (T, H, W, 3), (T, H, W, 4) with alpha, or (T, H, W) grey: uint8, or floats in [0, 1].
    - A tensor (T, 3, H, W) or (T, H, W, 3) of such values; a shape that fits both is an error.
    - A list of PIL images or arrays of one size.

    Args:
        source: The video.
        rate: Frames per second of what has no timestamps: folders, images and arrays; 10 by default. Files
            with timestamps keep theirs.

    Returns:
        The video, of which only the header and at most the first frame were decoded (an animation is read once).

    Raises:
        UserError: One line that names the source, what is wrong and what would be right.
    """
    if rate is not None and not (isinstance(rate, int | float) and SLOWEST <= rate <= FASTEST):
        raise UserError(f"rate must be {SLOWEST:g} to {FASTEST:g} frames per second, got {rate!r}")
    rate = rate or DEFAULT_RATE
    if isinstance(source, np.ndarray):
        return from_array(source, rate)
    if isinstance(source, torch.Tensor):
        return from_tensor(source, rate)
    path = Path(source) if isinstance(source, str) else source
    if not isinstance(path, Path):
        if not isinstance(path, Sequence):
            raise UserError(
                f"a video must be a path, an array, a tensor or a list of images, got {type(source).__name__}"
            )
        return Arrays(list(path), rate)
    try:
        if path.is_dir():
            return open_folder(path, rate)
        if not path.exists():
            raise UserError(
                f"{path}: no such file or folder; give a video file, a folder of images or an image"
            )
        if not path.is_file():
            raise UserError(f"{path}: is no regular file; give a video file, a folder of images or an image")
        if not path.stat().st_size:
            raise UserError(f"{path}: is empty (0 bytes); give a whole video")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give a file that may be read") from error
    return open_pictures(path, rate) if is_image_name(path) else VideoFile(path, rate)
