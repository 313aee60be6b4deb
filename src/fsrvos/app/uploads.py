"""Uploaded videos and pictures, opened within the limits and named as the user named them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np

from fsrvos.errors import UserError
from fsrvos.video import Frame, Video, open_video


class FirstFrames(Video):
    """The beginning of a video.

    Args:
        video: The whole.
        most: Frames that are left of it.

    Attributes:
        whole: Frames of the whole video; None where only decoding can tell.
    """

    def __init__(self, video: Video, most: int) -> None:
        self._video, self._most = video, most
        self.name, self.size, self.rate = video.name, video.size, video.rate
        self.count = None if video.count is None else min(video.count, most)
        self.whole = video.count

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """See ``Video.frames``."""
        return islice(self._video.frames(start), max(0, self._most - start))


def open_upload(path: str | Path, most: int) -> FirstFrames:
    """Opens an uploaded video or picture.

    Raises:
        UserError: One line that calls the file by its own name, not by where it was put.
    """
    with named(path):
        return FirstFrames(open_video(Path(path)), most)


def spread_frames(path: str | Path, count: int, most: int) -> list[np.ndarray]:
    """Frames (H, W, 3) uint8 of an upload, evenly spread over its beginning.

    Args:
        path: Video or picture.
        count: How many at most; of fewer frames, each is given.
        most: How long that beginning is, in frames.

    Raises:
        UserError: It cannot be read, or ends early.
    """
    video = open_upload(path, most)
    with named(path):
        length = sum(1 for _ in video.frames()) if video.count is None else video.count
        wanted = set(spread(length, count))
        return [frame.pixels for frame in islice(video.frames(), length) if frame.index in wanted]


def spread(length: int, count: int) -> list[int]:
    """Numbers of ``count`` of so many frames, or of all if they are fewer, evenly spread from the first to the last."""
    numbers: list[int] = np.linspace(0, length - 1, min(length, count)).round().astype(int).tolist()
    return numbers


def digest(path: str | Path) -> str:
    """What a file holds, in short: the page has copies of one file in several places."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def named(path: str | Path) -> Iterator[None]:
    """Within the block errors call the file by its name alone: where the page keeps it is nobody's business."""
    path = Path(path)
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace(str(path), path.name)) from error
