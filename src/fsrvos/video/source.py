"""What every video is, wherever it comes from: a name, a size, a rate, and frames in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

DEFAULT_RATE = 10.0
# Of one frame or image. A phone's largest stills are near 50; past this one frame takes hundreds of megabytes.
MAX_MEGAPIXELS = 64


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        index: 0, 1, ... in the order of the video.
        name: File stem for a folder of images, else the index with five digits.
        time: Seconds from the first frame, by the file's timestamps; index / rate where it has none.
        pixels: (H, W, 3) uint8 RGB, upright. Not to be written into: arrays are handed on without a copy.
    """

    index: int
    name: str
    time: float
    pixels: np.ndarray


class Video(ABC):
    """A video, opened but not decoded.

    Attributes:
        name: Stem of the file or name of the folder; "video" for arrays.
        size: (H, W) of every frame, after rotation.
        rate: Mean frames per second.
        count: Number of frames, or None where only decoding can tell. Files are believed here, and some are
            wrong: what ``frames`` delivers rules.
    """

    name: str
    size: tuple[int, int]
    rate: float
    count: int | None

    @abstractmethod
    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Frames in order; may be called again, and several times at once.

        Args:
            start: Index of the first frame wanted. Those before it are decoded and dropped, not sought, so it is
                exact.

        Raises:
            UserError: A frame is damaged or the file ends early: raised after the frames before it.
        """


def too_large(width: int, height: int) -> bool:
    """Whether an image of this many pixels is refused."""
    return width * height > MAX_MEGAPIXELS * 1_000_000


def frame_name(index: int) -> str:
    """The name of a frame that has no file of its own."""
    return f"{index:05d}"
