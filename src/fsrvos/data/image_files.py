"""Decodes the frames and masks on disk, and says in one line what is wrong with a file."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from fsrvos.data.faults import fault_error
from fsrvos.errors import UserError
from fsrvos.video.source import MAX_MEGAPIXELS, too_large

# Pillow tells a format by content, and some of the others start programs: a PostScript file named .jpg would.
_FORMATS = ("JPEG", "PNG", "BMP")
# What a whole file ends with, but for a few bytes that some writers append.
_LAST_MARKER = {".jpg": b"\xff\xd9", ".png": b"IEND"}


def read_frame(path: Path) -> np.ndarray:
    """Decodes a frame: (H, W, 3) uint8.

    Raises:
        UserError: If the file is missing, corrupt, or of more than `MAX_MEGAPIXELS` by its header.
    """
    with _opened(path, "frame") as image:
        return _decoded(path, "frame", image, "RGB")


def read_mask(path: Path) -> np.ndarray:
    """Decodes a mask: (H, W) uint8, the object ids.

    Raises:
        UserError: If the file is missing, corrupt, of more than `MAX_MEGAPIXELS` by its header, or holds anything but
            8-bit values.
    """
    with _opened(path, "mask") as image:
        if image.mode not in ("P", "L"):
            raise fault_error(
                "mask-mode",
                path,
                "a mask must be a PNG of one 8-bit channel (palette) whose pixel value is the object"
                f" id, this one has mode {image.mode}",
            )
        return _decoded(path, "mask", image, image.mode)


def check_end(path: Path, what: str) -> None:
    """Finds files that are cut off so near their end that they decode all the same.

    Args:
        path: A JPEG or PNG; others pass.
        what: "frame" or "mask".

    Raises:
        UserError: If the marker that ends such a file is not in it.
    """
    marker = _LAST_MARKER.get(path.suffix.lower())
    if marker is None:
        return
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 65536))
        end = file.read(65536)
    if marker not in end:
        raise _corrupt(path, what, "it is cut off, its end marker is missing")


def _opened(path: Path, what: str) -> Image.Image:
    if os.path.exists(path) and not os.path.isfile(path):  # opening a pipe would wait for ever
        raise _corrupt(path, what, "it is no file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused below
            image = Image.open(path, formats=_FORMATS)
    except FileNotFoundError as error:
        raise fault_error(
            f"{what}-missing",
            path,
            "missing",
            line_end="the annotations list this frame: restore the file or drop it there",
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_large(path, what, "has") from error
    except Exception as error:  # decoders raise nearly everything on damaged files
        raise _corrupt(path, what, _reason(error, path)) from error
    if too_large(image.width, image.height):
        image.close()
        raise _too_large(path, what, f"is {image.width}x{image.height},")
    return image


def _decoded(path: Path, what: str, image: Image.Image, mode: str) -> np.ndarray:
    try:
        image.load()
        # Nearly every file has the mode asked for, and `convert` would copy it.
        return np.asarray(image if image.mode == mode else image.convert(mode))
    except Exception as error:  # decoders raise nearly everything on damaged files
        raise _corrupt(path, what, _reason(error, path)) from error


def _reason(error: Exception, path: Path) -> str:
    return " ".join(str(error).replace(str(path), "the file").split()) or type(error).__name__


def _too_large(path: Path, what: str, size: str) -> UserError:
    problem = f"{size} over {MAX_MEGAPIXELS} megapixels, which is the most that is read"
    return fault_error(f"{what}-unreadable", path, problem, "save it smaller, frames and masks in one size")


def _corrupt(path: Path, what: str, reason: str) -> UserError:
    return fault_error(
        f"{what}-unreadable", path, f"cannot be decoded ({reason})", "download or extract this file again"
    )
