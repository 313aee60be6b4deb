"""Reads mask pictures: which pixel belongs to which object, whatever kind of picture says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fsrvos.data.support_stills import opened
from fsrvos.errors import UserError

MAX_VALUES = 32


@dataclass(frozen=True)
class LabelMap:
    """A mask of any number of objects.

    Attributes:
        values: (H, W) integers, 0 where there is no object.
        named: Name of the object of each value other than 0.
    """

    values: np.ndarray
    named: dict[int, str]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.values.shape[1], self.values.shape[0]

    def objects(self) -> dict[str, Callable[[], np.ndarray]]:
        """For every object, by name, what draws its mask: (H, W) bool."""
        return {name: lambda value=value: self.values == value for value, name in self.named.items()}  # type: ignore[misc]


def read_labels(content: Path | bytes, name: str | None = None) -> LabelMap:
    """Reads a mask file.

    Args:
        content: The file, or its bytes.
        name: What error lines call it, the file's path by default.

    Raises:
        UserError: If it is missing or corrupt, or no mask (see `labels_of_image`).
    """
    name = str(content) if name is None else name
    with opened(content, name) as image:
        return labels_of_image(image, name)


def labels_of_image(image: Image.Image, name: str) -> LabelMap:
    """Reads the objects of a mask picture.

    Palette and grey masks: the pixel value is the object's id, 0 is background; one bit: the id is 1. Masks in colour:
    each colour other than black is an object, named as ``#rrggbb``. What is transparent is background.

    Args:
        image: The picture, at its stored orientation.
        name: What error lines call it.

    Raises:
        UserError: If it has more than `MAX_VALUES` grey values or colours, so is a soft mask or a photo, or floats.
    """
    if image.mode in ("P", "1"):
        return labels_of_array(np.array(image), name)
    if image.mode == "F":
        raise UserError(f"{name}: a mask holds integers, this one floating point values; save it with 8 bits")
    if image.mode in ("L", "LA", "La") or image.mode.startswith("I"):
        grey = np.array(image if image.mode not in ("LA", "La") else image.getchannel(0)).astype(np.int32)
        if image.mode in ("LA", "La"):
            grey[np.asarray(image.getchannel(1)) == 0] = 0
        _check_hard(grey, name, "grey values")
        return labels_of_array(grey, name)
    red, green, blue, alpha = (np.asarray(band) for band in image.convert("RGBA").split())
    colours = (red.astype(np.int32) << 16) + (green.astype(np.int32) << 8) + blue
    colours[alpha == 0] = 0
    _check_hard(colours, name, "colours")
    found = np.unique(colours)
    return LabelMap(colours, {int(value): f"#{value:06x}" for value in found if value})


def labels_of_array(values: np.ndarray, name: str) -> LabelMap:
    """Reads the objects of an array.

    Args:
        values: (H, W), bool or integers: the object's id, 0 is background.
        name: What error lines call it.

    Raises:
        UserError: If it is no such array.
    """
    if values.ndim != 2 or not (values.dtype == bool or np.issubdtype(values.dtype, np.integer)):
        raise UserError(
            f"{name}: a mask must be an array (H, W) of bool or integer ids, got"
            f" {tuple(values.shape)} of {values.dtype}"
            + ("; compare it with 0.5" if values.dtype.kind == "f" else "")
        )
    values = values.astype(np.uint8) if values.dtype == bool else values
    return LabelMap(values, {int(value): str(value) for value in np.unique(values) if value})


def _check_hard(values: np.ndarray, name: str, what: str) -> None:
    count = np.unique(values).size
    if count > MAX_VALUES:
        raise UserError(
            f"{name}: is no mask of objects but has {count} {what}, as soft edges or a photo have; save it as PNG"
            " with one value an object and 0 elsewhere, for example its values above 127 as 255 and the others as 0"
        )
