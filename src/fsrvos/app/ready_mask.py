"""A mask that somebody has already, instead of a painted one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fsrvos.app.uploads import named
from fsrvos.data.support_choice import listed
from fsrvos.data.support_masks import read_labels
from fsrvos.errors import UserError


def read_mask(path: str | Path, size: tuple[int, int]) -> np.ndarray:
    """Reads a mask of one object, in any of the kinds of docs/support.md.

    Args:
        path: A picture: 0, black or transparent is background.
        size: (H, W) of the frame that it belongs to.

    Returns:
        (H, W) bool.

    Raises:
        UserError: No mask, an empty one, of another size, or of several objects.
    """
    with named(path):
        labels = read_labels(Path(path))
    (width, height), name = labels.size, Path(path).name
    if (height, width) != size:
        raise UserError(
            f"{name}: is {width}x{height}, but the frame is {size[1]}x{size[0]}; a mask has the size of its frame"
        )
    if not labels.named:
        raise UserError(
            f"{name}: the mask is empty (all zero); give the object's pixels another value, such as 255"
        )
    if len(labels.named) > 1:
        raise UserError(
            f"{name}: holds the objects {listed(labels.named.values())}; give a mask that marks one object alone"
        )
    return labels.values != 0
