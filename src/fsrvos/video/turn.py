"""The display matrix of a video: how a camera that was held sideways says which way is up."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as Kind
from av.video.frame import VideoFrame


@dataclass(frozen=True)
class Turn:
    """From stored to shown pixels: first transposed, then mirrored.

    Attributes:
        transposed: Rows become columns.
        mirrored_x: Left and right are swapped after that.
        mirrored_y: Top and bottom are swapped after that.
    """

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Turn:
        """Reads the frame's matrix; angles between the quarter turns go to the nearest.

        A stored pixel (x, y) is shown at (a x + c y, b x + d y), so the signs of the larger pair say it all.
        """
        # PyAV's stubs call its container a mapping of names; it iterates over the data itself.
        sides = cast("Iterable[SideData]", frame.side_data)
        matrix = next((side for side in sides if side.type == Kind.DISPLAYMATRIX), None)
        if matrix is None:
            return cls()
        a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(H, W) as shown, of (H, W) as stored."""
        return (width, height) if self.transposed else (height, width)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, 3) as stored to (H', W', 3) as shown."""
        if self == Turn():
            return pixels
        if self.transposed:
            pixels = pixels.swapaxes(0, 1)
        return np.ascontiguousarray(pixels[:: -1 if self.mirrored_y else 1, :: -1 if self.mirrored_x else 1])
