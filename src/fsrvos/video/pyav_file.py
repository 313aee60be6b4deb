"""A video file through PyAV: what its header says, and its frames."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from fsrvos.video.turn import Turn

# Containers of one file each. Playlists and lists of images, which make ffmpeg open other files and addresses,
# are not among them.
FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,m4v,h264,hevc,ivf,yuv4mpegpipe,mjpeg"
# Above this the "rate" of a header is the tick of its clock.
_FASTEST = 480


class DamagedError(Exception):
    """Frames end before the file should: the data is cut off or damaged here."""


class NoDecoderError(Exception):
    """The codec of the video is not among those of PyAV."""


@dataclass(frozen=True)
class Header:
    """What is known before the frames are read.

    Attributes:
        size: (H, W) after rotation.
        rate: Mean frames per second, None where nothing tells.
        count: Frames by the header, or by counting packets where it does not say.
        declared: Whether ``count`` comes from the header.
    """

    size: tuple[int, int]
    rate: float | None
    count: int | None
    declared: bool


def open_container(path: Path) -> InputContainer:
    """The file, opened by its content; its name is never taken for an address or a pattern."""
    return av.open(
        str(path.resolve()),
        options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
        metadata_errors="ignore",  # a title that is not UTF-8 is no reason to refuse the pictures
    )


def video_stream(container: InputContainer) -> VideoStream | None:
    """The stream that players show: the largest picture; cover art is none."""
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        return None
    if stream.codec_context is None:
        raise NoDecoderError
    stream.thread_count = 1
    return stream


def read_header(path: Path) -> Header | None:
    """Opens the file and decodes its first frame.

    Returns:
        None where the file has no video stream.

    Raises:
        av.error.FFmpegError: It is no video.
        DamagedError: No frame can be decoded.
        NoDecoderError: Its codec is unknown.
    """
    with open_container(path) as container:
        stream = video_stream(container)
        if stream is None:
            return None
        rate = float(stream.average_rate) if stream.average_rate else None
        rate = None if rate is None or rate > _FASTEST else rate
        count, ticks = stream.frames, _has_no_timestamps(container)
        first = next((frame for frame, _ in _decoded(container, stream)), None)
    if first is None:
        raise DamagedError
    turn = Turn.of(first)
    declared = count > 0 and not ticks
    if not declared or rate is None:
        count, counted_rate = _counted(path)
        rate = counted_rate or rate
    return Header(
        size=turn.size(first.height, first.width),
        rate=rate,
        count=count or None,
        declared=declared,
    )


def pyav_frames(path: Path, start: int, rate: float) -> Iterator[tuple[float, np.ndarray]]:
    """Seconds from the first frame and (H, W, 3) uint8 upright pixels of each frame from ``start`` on.

    A frame without a timestamp, or with one that is not later than that of the frame before, stands one period
    after it. A frame of another size than the first is scaled to it, as players do.

    Raises:
        DamagedError: After the frames that can be decoded, where the data is cut off or damaged.
    """
    try:
        with open_container(path) as container:
            stream = _known_stream(container)
            to_rgb, turn, size = VideoReformatter(), Turn(), (0, 0)
            origin = time = 0.0
            for index, (frame, stamp) in enumerate(_decoded(container, stream)):
                if index == 0:
                    turn, size = Turn.of(frame), (frame.width, frame.height)
                    origin = stamp or 0.0
                elif stamp is not None and stamp - origin > time:
                    time = stamp - origin
                else:
                    time += 1 / rate
                if index >= start:
                    rgb = to_rgb.reformat(frame, *size, format="rgb24")
                    yield time, turn.apply(rgb.to_ndarray())
    except av.error.FFmpegError as error:  # it was readable when its header was read
        raise DamagedError from error


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[tuple[VideoFrame, float | None]]:
    """Frames and their timestamps in seconds.

    AVI stamps packets in the order of decoding only. Both orders have the same instants, so the n-th frame is
    shown at the n-th of them.
    """
    clock = float(stream.time_base or 0)
    instants: deque[int | None] | None = deque() if _has_no_timestamps(container) else None
    try:
        for packet in container.demux(stream):
            if instants is not None and packet.size:
                instants.append(packet.dts)
            for frame in packet.decode():
                yield _stamped(frame, instants, clock)
    except av.error.FFmpegError as error:
        with suppress(av.error.FFmpegError):  # what the decoder still holds precedes the damage
            for frame in stream.codec_context.decode(None):
                yield _stamped(frame, instants, clock)
        raise DamagedError from error


def _stamped(
    frame: VideoFrame, instants: deque[int | None] | None, clock: float
) -> tuple[VideoFrame, float | None]:
    ticks = frame.pts
    if instants is not None:
        ticks = instants.popleft() if instants else None
    return frame, None if ticks is None else ticks * clock


def _has_no_timestamps(container: InputContainer) -> bool:
    return container.format.name == "avi"


def _counted(path: Path) -> tuple[int, float | None]:
    """Number of frames and mean rate, by reading the file through without decoding it."""
    count, first, last = 0, math.inf, -math.inf
    with open_container(path) as container, suppress(av.error.FFmpegError):
        stream = _known_stream(container)
        clock = float(stream.time_base or 0)
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                count += 1
                stamp = packet.dts if packet.pts is None else packet.pts
                if stamp is not None:
                    first, last = min(first, stamp * clock), max(last, stamp * clock)
    return count, (count - 1) / (last - first) if last > first else None


def _known_stream(container: InputContainer) -> VideoStream:
    stream = video_stream(container)
    assert stream is not None, "read_header refuses files without one"
    return stream
