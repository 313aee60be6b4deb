"""Frames of a video file through decord, which takes less than half of PyAV's time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from pathlib import Path

import numpy as np

from fsrvos.video.pyav_file import packet_instants

# Decord puts a copy of the last good frame in place of one that it cannot decode, and says nothing unless the
# number of those passes this share of all frames.
_NO_COPIES = 1e-9


# Instants are sorted this many packets ahead; H.264 and HEVC reorder 16 at most.
_LOOK_AHEAD = 64
# Seconds. Decord's own timestamps are single precision: good for a check that both count the same frames, no more.
_TOLERANCE, _PRECISION = 1e-3, 1e-6


def decord_frames(
    path: Path, start: int, size: tuple[int, int], count: int
) -> Iterator[tuple[float, np.ndarray]]:
    """Seconds from the first frame and (H, W, 3) uint8 pixels of each frame from ``start`` on.

    Ends without an error wherever decord fails or differs from PyAV in number, instants or shape of the frames:
    what is missing is for PyAV.

    Args:
        path: The file.
        start: First frame wanted.
        size: (H, W) of the frames by PyAV.
        count: Number of frames by PyAV.
    """
    try:
        import decord  # no wheel for every platform
    except (ImportError, OSError):
        return
    decord.logging.set_level(decord.logging.QUIET)
    try:
        reader = decord.VideoReader(
            str(path.resolve()), ctx=decord.cpu(0), num_threads=1, fault_tol=_NO_COPIES
        )
        if len(reader) != count:
            return
        origin, before = None, -math.inf
        for index, instant in enumerate(in_order(packet_instants(path))):
            frame = reader.next()
            by_decord = float(reader.get_frame_timestamp(index)[0])
            if instant <= before or not abs(by_decord - instant) < _TOLERANCE + _PRECISION * abs(instant):
                return
            origin, before = instant if origin is None else origin, instant
            if index >= start:
                pixels = frame.asnumpy()
                if pixels.shape != (*size, 3):  # very narrow frames come with the padding of their rows
                    return
                yield instant - origin, pixels
    except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, StopIteration, AssertionError):
        return


def in_order(instants: Iterable[float]) -> Iterator[float]:
    """Sorts a sequence whose members are at most ``_LOOK_AHEAD`` places out of order, in constant memory."""
    ahead: list[float] = []
    for instant in instants:
        heappush(ahead, instant)
        if len(ahead) > _LOOK_AHEAD:
            yield heappop(ahead)
    yield from sorted(ahead)
