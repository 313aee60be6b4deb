"""Decodes the run lengths of COCO, plain and compressed.

Runs are checked before anything is drawn: pycocotools' C code trusts a compressed string and reads past the end of a
damaged one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fsrvos.errors import UserError


def decode_rle(entry: dict[str, Any], size: tuple[int, int], where: str) -> np.ndarray:
    """Draws an RLE: (H, W) bool.

    Args:
        entry: ``size`` [height, width] and ``counts``, a list of numbers or a compressed string.
        size: (width, height) of the picture.
        where: File and entry, for the error line.

    Raises:
        UserError: If it is no RLE, of another size than the picture, or its runs do not fill it.
    """
    width, height = size
    given, counts = entry.get("size"), entry.get("counts")
    if not (isinstance(given, list) and len(given) == 2 and isinstance(counts, list | str)):
        raise UserError(f'{where}: an RLE needs "size" [height, width] and "counts"')
    if given != [height, width]:
        raise UserError(
            f"{where}: its RLE is {given[1]!r}x{given[0]!r}, but its image is {width}x{height}; save both in one size"
        )
    runs = _uncompressed(counts, where) if isinstance(counts, str) else counts
    if not all(isinstance(run, int) and not isinstance(run, bool) and run >= 0 for run in runs):
        raise UserError(f"{where}: the counts of its RLE must be whole numbers of pixels")
    if sum(runs) != width * height:
        raise UserError(
            f"{where}: the counts of its RLE sum up to {sum(runs)}, not to the {width * height} pixels of the image"
        )
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T  # runs go down the columns


def _uncompressed(text: str, where: str) -> list[int]:
    """Numbers of 5 bits a character, lowest first; from the fourth on each is the difference to the one two before."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise UserError(f"{where}: its compressed RLE is damaged; write it again")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise UserError(f"{where}: its compressed RLE is cut off; write it again")
    return runs
