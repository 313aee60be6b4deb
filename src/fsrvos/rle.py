"""Masks as COCO run-length encoding."""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco

Rle = dict[str, Any]


def encode_mask(mask: np.ndarray) -> Rle | None:
    """COCO RLE of a mask (H, W) bool, as JSON holds it; None where there is no object."""
    if not mask.any():
        return None
    rle = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}


def decode_mask(rle: Rle | None, size: tuple[int, int]) -> np.ndarray:
    """The mask (H, W) bool of a COCO RLE; ``size`` (H, W) is read where there is no object."""
    if rle is None:
        return np.zeros(size, dtype=bool)
    return coco.decode({"size": rle["size"], "counts": rle["counts"]}).astype(bool)


def box_of(rle: Rle | None) -> list[float] | None:
    """COCO's box [left, top, width, height] in pixels around a mask; None where there is no object."""
    return None if rle is None else [float(side) for side in coco.toBbox(rle)]
