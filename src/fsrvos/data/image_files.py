"""Decodes the frames and masks on disk, and says in one line what is wrong with a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from fsrvos.data.faults import fault_error
from fsrvos.errors import UserError

# All that Pillow raises on damaged JPEG, PNG and BMP files.
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
# What a whole file ends with, but for a few bytes that some writers append.
_LAST_MARKER = {".jpg": b"\xff\xd9", ".png": b"IEND"}


def read_frame(path: Path) -> np.ndarray:
    """Decodes a frame: (H, W, 3) uint8.

    Raises:
        UserError: If the file is missing or corrupt.
    """
    with _opened(path, "frame") as image:
        return _decoded(path, "frame", image.convert, "RGB")


def read_mask(path: Path) -> np.ndarray:
    """Decodes a mask: (H, W) uint8, the object ids.

    Raises:
        UserError: If the file is missing or corrupt, or holds anything but 8-bit values.
    """
    with _opened(path, "mask") as image:
        if image.mode not in ("P", "L"):
            raise fault_error(
                "mask-mode",
                path,
                "a mask must be a PNG of one 8-bit channel (palette) whose pixel value is the object"
                f" id, this one has mode {image.mode}",
            )
        return _decoded(path, "mask", image.copy)


def check_end(path: Path, what: str) -> None:
    """Finds files that are cut off so near their end that they decode all the same.

    Args:
        path: A JPEG or PNG; others pass.
        what: "frame" or "mask".

    Raises:
        UserError: If the marker that ends such a file is not in it.
    """
    marker = _LAST_MARKER.get(path.suffix.lower())
    if marker is not None and marker not in path.read_bytes()[-65536:]:
        raise _corrupt(path, what, "it is cut off, its end marker is missing")


def _opened(path: Path, what: str) -> Image.Image:
    try:
        return Image.open(path)
    except FileNotFoundError as error:
        raise fault_error(
            f"{what}-missing",
            path,
            "missing",
            line_end="the annotations list this frame: restore the file or drop it there",
        ) from error
    except _UNREADABLE as error:
        raise _corrupt(path, what, _reason(error, path)) from error


def _decoded(path: Path, what: str, decode: Callable[..., Image.Image], *arguments: str) -> np.ndarray:
    try:
        return np.asarray(decode(*arguments))
    except _UNREADABLE as error:
        raise _corrupt(path, what, _reason(error, path)) from error


def _reason(error: Exception, path: Path) -> str:
    return " ".join(str(error).replace(str(path), "the file").split())


def _corrupt(path: Path, what: str, reason: str) -> UserError:
    return fault_error(
        f"{what}-unreadable", path, f"cannot be decoded ({reason})", "download or extract this file again"
    )
