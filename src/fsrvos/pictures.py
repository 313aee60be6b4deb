"""Masks as pictures: overlays on a frame, moving ones too, and palette PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fsrvos.report import replace_file

Colour = tuple[int, int, int]


def overlay(
    frame: npt.ArrayLike,
    masks: npt.ArrayLike,
    colours: Sequence[Colour],
    alpha: float = 0.4,
    outline: int = 2,
    halo: Colour | None = (20, 20, 20),
) -> np.ndarray:
    """Tints masks on a frame and draws their outlines.

    Args:
        frame: (H, W, 3) uint8.
        masks: (K, H, W) bool, or (H, W) for one.
        colours: K colours.
        alpha: Weight of the tint, in [0, 1].
        outline: Width of the line in pixels, inside the mask; 0 for none.
        halo: Colour of one pixel around the outline, so that it shows on a ground of its own colour.

    Returns:
        (H, W, 3) uint8, a copy.

    Raises:
        ValueError: sizes or counts differ.
    """
    picture = np.array(frame, dtype=np.uint8)
    stack = np.asarray(masks, dtype=bool).reshape(-1, *np.shape(masks)[-2:])
    if picture.shape != (*stack.shape[1:], 3) or len(stack) != len(colours):
        raise ValueError(
            f"frame {picture.shape}, masks {stack.shape} and {len(colours)} colours do not fit: "
            "expected (H, W, 3), (K, H, W) and K"
        )
    for mask, colour in zip(stack, colours, strict=True):
        tinted = (1 - alpha) * picture[mask] + alpha * np.asarray(colour)
        picture[mask] = tinted.round().astype(np.uint8)
        picture[mask & ~_erode(mask, outline)] = colour
        if outline and halo is not None:
            picture[~mask & ~_erode(~mask, 1, border=True)] = halo
    return picture


def save_image(image: Image.Image | np.ndarray, path: Path) -> None:
    """Writes a PNG, whole or not at all."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    replace_file(path, lambda file: picture.save(file, format="PNG"))


def animation(frames: Sequence[npt.ArrayLike], seconds: float = 0.25) -> bytes:
    """A GIF that runs for ever, written with Pillow alone.

    Args:
        frames: T pictures (H, W, 3) uint8, of one size.
        seconds: How long each is shown; GIF knows hundredths.

    Returns:
        The bytes of the file, the same for the same frames.

    Raises:
        ValueError: no frames, or several sizes.
    """
    pictures = [
        # Pillow's own choice of colours is hardly better and takes some sixty times as long.
        Image.fromarray(np.asarray(frame, dtype=np.uint8)).quantize(
            256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
        for frame in frames
    ]
    if len({picture.size for picture in pictures}) != 1:
        raise ValueError(
            f"expected frames of one size, got {[picture.size for picture in pictures] or 'none'}"
        )
    file = io.BytesIO()
    first, *others = pictures
    first.save(file, "GIF", save_all=True, append_images=others, duration=round(1000 * seconds), loop=0)
    return file.getvalue()


def save_masks(masks: npt.ArrayLike, directory: Path, names: Sequence[str], object_id: int = 1) -> list[Path]:
    """Writes masks as the benchmarks keep them: one palette PNG a frame, pixel value = object id.

    Args:
        masks: (T, H, W) bool, of one object.
        directory: Folder; it is made.
        names: T frame names without suffix.
        object_id: Value of the object's pixels, 1-255.

    Returns:
        The T files written, each whole or not at all.

    Raises:
        ValueError: counts differ or the id is out of range.
    """
    labels = np.asarray(masks, dtype=bool)
    if labels.ndim != 3 or len(labels) != len(names) or not 1 <= object_id <= 255:
        raise ValueError(
            f"expected masks (T, H, W), T names and an object id 1-255, got masks {labels.shape}, "
            f"{len(names)} names and id {object_id}"
        )
    paths = [Path(directory) / f"{name}.png" for name in names]
    for label, path in zip(labels, paths, strict=True):
        image = Image.fromarray(label.astype(np.uint8) * np.uint8(object_id))
        image.putpalette(label_palette().tobytes())
        save_image(image, path)
    return paths


def label_palette() -> np.ndarray:
    """(256, 3) uint8, the colours of Pascal VOC and DAVIS: an id's bits dealt to red, green, blue in turn."""
    ids = np.arange(256)[:, None]
    channels = np.arange(3)[None]
    bits = [(ids >> (3 * place + channels) & 1) << (7 - place) for place in range(8)]
    return np.sum(bits, axis=0).astype(np.uint8)


def _erode(mask: np.ndarray, pixels: int, border: bool = False) -> np.ndarray:
    """Takes off what has an unset 4-neighbour; ``border`` says whether the world outside counts as set."""
    for _ in range(pixels):
        padded = np.pad(mask, 1, constant_values=border)
        mask = mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask
