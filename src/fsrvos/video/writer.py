"""Writes an mp4 that every browser plays, whole or not at all."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from fsrvos.errors import UserError

# Ticks a second: whole numbers of them for 24, 25, 30, 50, 60, and to 1e-5 s for the rest.
_CLOCK = 90_000


class VideoWriter:
    """Writes H.264 (yuv420p, BT.709, index first) into an mp4.

    The file is written beside its place and renamed at the end of the block or by ``close``; if the block raises
    an exception, nothing is left. Odd sizes get one row or column more, a copy of the edge, since yuv420p needs
    even ones.

    ```python
    with VideoWriter(path, video.size, video.rate) as writer:
        for frame in video.frames():
            writer.write(frame.pixels, frame.time)
    ```

    Args:
        path: An .mp4; one that exists is replaced at the end. Its folder is made.
        size: (H, W) of the frames.
        rate: Frames per second; what frames without a time get.

    Raises:
        UserError: The path does not end in .mp4 or cannot be written.
        ValueError: A size or rate that is not positive.
    """

    def __init__(self, path: Path, size: tuple[int, int], rate: float) -> None:
        self._path, self._size, self._rate = Path(path), size, rate
        if min(size) < 1 or not 0 < rate < float("inf"):
            raise ValueError(f"size and rate must be positive, got {size} and {rate}")
        if self._path.suffix.lower() != ".mp4":
            raise UserError(f"{path}: videos are written as mp4; give a name that ends in .mp4")
        if self._path.is_dir():
            raise UserError(f"{path}: is a folder; give the name of an .mp4 file")
        self._beside = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        self._time, self._frames = 0.0, 0
        self._open = True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._beside.touch()  # PyAV opens it at the first frame, which is late to hear of a typing error
            self._container = av.open(
                str(self._beside.resolve()), "w", format="mp4", options={"movflags": "faststart"}
            )
        except (OSError, av.error.FFmpegError) as error:
            raise self._failed(error) from error
        self._stream = self._new_stream()

    def write(self, pixels: np.ndarray, time: float | None = None) -> None:
        """Adds a frame.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            time: Seconds from the start, later than that of the frame before; one period after it by default.
                Times to 1/90000 s keep a variable frame rate.

        Raises:
            UserError: The disk is full or the file cannot be written; it is removed.
            ValueError: Pixels of another shape or dtype, a time that does not advance, or a closed writer.
        """
        if not self._open:
            raise ValueError(f"{self._path}: is closed")
        if pixels.shape != (*self._size, 3) or pixels.dtype != np.uint8:
            raise ValueError(f"pixels must be {(*self._size, 3)} uint8, got {pixels.shape} {pixels.dtype}")
        if time is None:
            time = self._time + 1 / self._rate if self._frames else 0.0
        tick = round(time * _CLOCK)
        if tick < 0 or (self._frames and tick <= round(self._time * _CLOCK)):
            raise ValueError(f"time must advance from 0, got {time} after {self._time} s")
        height, width = self._size
        padded = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(padded, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = tick, Fraction(1, _CLOCK)
        try:
            self._container.mux(self._stream.encode(frame))
        except (OSError, av.error.FFmpegError) as error:
            self._discard()
            raise self._failed(error) from error
        self._time, self._frames = time, self._frames + 1

    def close(self) -> None:
        """Ends the video and gives it its name; a second call does nothing.

        Raises:
            UserError: No frame was written, or the disk is full; nothing is left.
        """
        if not self._open:
            return
        if not self._frames:
            self._discard()
            raise UserError(f"{self._path}: no frame was written; a video needs at least one")
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._open = False
            self._beside.replace(self._path)
        except (OSError, av.error.FFmpegError) as error:
            self._discard()
            raise self._failed(error) from error

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._open:
            self._discard()

    def _new_stream(self) -> av.VideoStream:
        stream = self._container.add_stream("libx264", options={"crf": "18", "preset": "veryfast"})
        height, width = self._size
        stream.height, stream.width, stream.pix_fmt = height + height % 2, width + width % 2, "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = Fraction(1, _CLOCK)
        context.framerate = Fraction(self._rate).limit_denominator(1001)
        context.thread_count = 1
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries = context.color_trc = 1  # BT.709 too
        return stream

    def _discard(self) -> None:
        """Removes the part."""
        self._open = False
        try:
            self._container.close()
        except (OSError, av.error.FFmpegError):
            pass  # the disk that is full for frames is full for the trailer
        finally:
            self._beside.unlink(missing_ok=True)

    def _failed(self, error: OSError | av.error.FFmpegError) -> UserError:
        reason = error.strerror or type(error).__name__
        return UserError(
            f"{self._path}: cannot be written ({reason}); choose a folder with room that may be written"
        )
