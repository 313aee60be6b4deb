"""Reads the still pictures of a support: upright, in RGB, and refused from the header where they are too large."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fsrvos.errors import UserError
from fsrvos.video.source import MAX_MEGAPIXELS
from fsrvos.video.stills import image_size, is_turned, upright_rgb

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
MAX_PIXELS = MAX_MEGAPIXELS * 1_000_000
# Pillow tells a format by content, and some of the others start programs: a PostScript file named .jpg would.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF")
_LARGEST = f"over {MAX_MEGAPIXELS} megapixels, which is the most that is read; save it smaller"


@dataclass(frozen=True)
class Still:
    """A picture of which the header is read, and the pixels when they are asked for.

    Attributes:
        name: What error lines call it.
        content: The file, or its bytes.
        size: (width, height) as one sees it, with the EXIF orientation applied.
        stored: (width, height) as it is stored.
    """

    name: str
    content: Path | bytes
    size: tuple[int, int]
    stored: tuple[int, int]

    def read(self) -> np.ndarray:
        """Decodes it: (H, W, 3) uint8.

        Raises:
            UserError: If it is corrupt.
        """
        return read_still(self.content, self.name)


def find_still(content: Path | bytes, name: str | None = None) -> Still:
    """Reads the header of a picture.

    Args:
        content: The file, or its bytes.
        name: What error lines call it, the file's path by default.

    Raises:
        UserError: If it is missing, no picture, or larger than `MAX_PIXELS`.
    """
    name = str(content) if name is None else name
    with opened(content, name) as image:
        height, width = image_size(image)
        stored = (height, width) if is_turned(image) else (width, height)
    return Still(name, content, (width, height), stored)


def read_still(content: Path | bytes, name: str | None = None) -> np.ndarray:
    """Decodes a picture: (H, W, 3) uint8, upright; transparent parts over black, 16 bits become 8.

    Args:
        content: The file, or its bytes.
        name: What error lines call it, the file's path by default.

    Raises:
        UserError: If it is missing, corrupt, no picture, or larger than `MAX_PIXELS`.
    """
    name = str(content) if name is None else name
    with opened(content, name) as image:
        return rgb(image, name)


def rgb(image: Image.Image, name: str) -> np.ndarray:
    """The pixels of a Pillow image: (H, W, 3) uint8, upright.

    Raises:
        UserError: Floating-point values outside of [0, 1], whose range nobody knows.
    """
    try:
        return upright_rgb(image)
    except ValueError as error:
        raise UserError(f"{name}: {error}; save it as a picture of 8 bits a channel") from error


@contextmanager
def opened(content: Path | bytes, name: str) -> Iterator[Image.Image]:
    """Opens a picture; whatever its decoder raises in the block is told as one line.

    Raises:
        UserError: If it is missing, corrupt, no picture, or larger than `MAX_PIXELS`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large pictures, which are refused here, and of odd EXIF entries
        try:
            file = io.BytesIO(content) if isinstance(content, bytes) else content
            with Image.open(file, formats=_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UserError(f"{name}: has {image.width}x{image.height} pixels, {_LARGEST}")
                yield image
        except UserError:
            raise
        except FileNotFoundError as error:
            raise UserError(f"{name}: missing; restore the file, or drop what names it") from error
        except Image.DecompressionBombError as error:
            raise UserError(f"{name}: is {_LARGEST}") from error
        except Exception as error:  # decoders raise nearly everything on damaged files
            reason = " ".join(str(error).replace(repr(file), "it").split()) or type(error).__name__
            raise UserError(
                f"{name}: cannot be decoded ({reason}); give a whole JPEG, PNG, BMP, WebP or TIFF file"
            ) from error
