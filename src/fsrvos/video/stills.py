"""Images of any mode as upright RGB: orientation, grey, palette, 16 bits, CMYK, transparency."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from fsrvos.errors import UserError
from fsrvos.video.source import MAX_MEGAPIXELS, too_large

# Suffix to what Pillow calls the format. Nothing else is tried: some of its readers start other programs (EPS).
FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".avif": "AVIF",
    ".mpo": "JPEG",  # a JPEG with more behind it
}
# All that Pillow raises on damaged files.
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)


def read_image(path: Path | str) -> np.ndarray:
    """Reads a still as it is meant to be seen.

    EXIF orientation is applied; grey, palette and CMYK become RGB; 16-bit grey is scaled to 8 bits; transparent
    parts are laid over black. Of an animation this is the first frame.

    Args:
        path: JPEG, PNG, BMP, GIF, WebP, TIFF, PPM or AVIF.

    Returns:
        (H, W, 3) uint8.

    Raises:
        UserError: No such file, not an image, damaged, or over 64 megapixels (checked before decoding).
    """
    path = Path(path)
    with opened_image(path) as image:
        return upright_rgb(image)


def is_image_name(path: Path) -> bool:
    """Whether the suffix is one of an image; hidden files (such as macOS's ``._0001.jpg``) are none."""
    return path.suffix.lower() in FORMATS and not path.name.startswith(".")


@contextmanager
def opened_image(path: Path) -> Iterator[Image.Image]:
    """Opens an image and checks its size from the header; what fails in the block on its data is named too.

    Raises:
        UserError: See ``read_image``.
    """
    try:
        with _open(path) as image:
            yield image
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; give an image, such as a JPEG or PNG") from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: is a folder; give an image file, such as a JPEG or PNG") from error
    except PermissionError as error:
        raise UserError(f"{path}: may not be read; allow it (chmod +r)") from error
    except Image.UnidentifiedImageError as error:
        raise UserError(
            f"{path}: is not an image that can be read; give a whole JPEG, PNG, BMP, GIF, WebP or TIFF"
        ) from error
    except UNREADABLE as error:
        reason = " ".join(str(error).replace(str(path), "the file").split())
        raise UserError(f"{path}: cannot be decoded ({reason}); copy or download it again") from error


def image_size(image: Image.Image) -> tuple[int, int]:
    """(H, W) after the EXIF orientation. (Pillow decodes a PNG to be sure that it holds none.)"""
    # Pillow turns TIFF files itself, and says so from the start.
    turned = is_turned(image) and image.format != "TIFF"
    return (image.width, image.height) if turned else (image.height, image.width)


def is_turned(image: Image.Image) -> bool:
    """Whether the image is stored on its side."""
    return image.getexif().get(0x0112, 1) in (5, 6, 7, 8)


def upright_rgb(image: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8 of an image of any mode.

    Raises:
        ValueError: A floating-point image with values outside of [0, 1].
    """
    image = ImageOps.exif_transpose(image)
    if image.mode == "F" or image.mode.startswith("I"):
        return np.repeat(_deep_grey(np.asarray(image))[..., None], 3, axis=2)
    if image.has_transparency_data:
        return over_black(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def over_black(rgba: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8 to (H, W, 3): colour times alpha, rounded."""
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + 127) // 255).astype(np.uint8)


def _open(path: Path) -> Image.Image:
    """Pillow warns past 89 megapixels and fails past 179, both while it opens; we refuse earlier than that."""
    refusal = UserError(
        f"{path}: has more than {MAX_MEGAPIXELS} megapixels; scale the image down (a network sees far fewer)"
    )
    Image.init()
    # Builds of Pillow differ: some know no AVIF, and MPO is a case of JPEG to most.
    formats = sorted(set(FORMATS.values()) & set(Image.OPEN))
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(path, formats=formats)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise refusal from error
    if too_large(image.width, image.height):
        image.close()
        raise refusal
    return image


def _deep_grey(grey: np.ndarray) -> np.ndarray:
    """16-bit whole numbers, or floats in [0, 1], to 8 bits."""
    if grey.dtype.kind == "f":
        if not (grey.min() >= 0 and grey.max() <= 1):
            raise ValueError(f"floating-point values must be in [0, 1], got {grey.min():g} to {grey.max():g}")
        return np.rint(grey * 255).astype(np.uint8)
    return np.rint(np.clip(grey, 0, 65535) / 257).astype(np.uint8)
