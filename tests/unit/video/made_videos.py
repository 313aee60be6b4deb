"""Small videos for the tests, written with PyAV as such, not with the writer under test."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from fsrvos.errors import UserError
from fsrvos.video import Frame, open_video

MILLISECOND = Fraction(1, 1000)


def noise(count: int, height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    """(count, height, width, 3): no two pixels are likely to agree, so an order or a turn cannot hide."""
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def smooth(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """(count, height, width, 3): a picture that a lossy codec keeps, another one each time."""
    y, x = np.mgrid[:height, :width]
    frames = [
        np.stack([x * 3 + 5 * i, y * 4 + 40, np.full_like(x, 6 * i % 256)], -1) % 256 for i in range(count)
    ]
    return np.stack(frames).astype(np.uint8)


def write_video(
    path: Path,
    frames: Sequence[np.ndarray] | np.ndarray,
    codec: str = "",
    pixel_format: str = "rgb24",
    instants: Sequence[int] | None = None,
    turn: dict | None = None,
    options: dict[str, str] | None = None,
    index_first: bool = False,
) -> Path:
    """Writes frames 100 ms apart, or at the given instants in ms; by default with a codec that loses nothing."""
    if not codec:  # Matroska takes no PNG
        codec, options = ("libx264rgb", {"qp": "0"}) if path.suffix == ".mkv" else ("png", None)
    movflags = {"movflags": "faststart"} if index_first else {}
    with av.open(str(path), "w", options=movflags) as container:
        stream = container.add_stream(codec, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.time_base = stream.codec_context.time_base = MILLISECOND
        stream.codec_context.framerate = Fraction(10)
        if turn:
            stream.set_display_rotation(**turn)
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = instants[index] if instants else 100 * index
            frame.time_base = MILLISECOND
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """Half a second of sound without a picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read_until_error(source: object) -> tuple[list[Frame], str]:
    """The frames that a video delivers, and the message of the UserError that ends it, "" without one."""
    got: list[Frame] = []
    try:
        for frame in open_video(source).frames():
            got.append(frame)  # a comprehension would lose what came before the error
    except UserError as error:
        return got, str(error)
    return got, ""


def is_one_line(message: str) -> bool:
    return "\n" not in message and len(message) > 20
