"""A video with masks, phrases and scores drawn on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fsrvos.pictures import Colour, overlay
from fsrvos.video import Video, VideoWriter

COLOURS: tuple[Colour, ...] = (
    (255, 120, 0), (45, 125, 255), (30, 190, 90), (225, 60, 140), (250, 200, 30), (130, 90, 230), (0, 190, 200),
)  # fmt: skip


class AnnotatedVideo:
    """Draws frame after frame, and writes an mp4 with it unless ``path`` is None.

    Args:
        path: The file; it lies there, whole, after the block, also if that ended early by ``close``.
        video: What is drawn on: its size and rate.
        phrases: P phrases, each with a colour of its own.
    """

    def __init__(self, path: Path | None, video: Video, phrases: Sequence[str]) -> None:
        self.phrases = [" ".join(phrase.split()) for phrase in phrases]
        self.colours = [COLOURS[number % len(COLOURS)] for number in range(len(phrases))]
        self._font = ImageFont.load_default(max(11, round(min(video.size) / 24)))
        self._writer = None if path is None else VideoWriter(path, video.size, video.rate)

    def __enter__(self) -> Self:
        if self._writer is not None:
            self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.__exit__(kind, error, trace)

    def write(
        self, pixels: np.ndarray, time: float, masks: Sequence[np.ndarray], scores: Sequence[float]
    ) -> None:
        """Draws a frame (H, W, 3) uint8 with P masks (H, W) bool, and appends it."""
        assert self._writer is not None
        self._writer.write(self.picture(pixels, masks, scores), time)

    def picture(self, pixels: np.ndarray, masks: Sequence[np.ndarray], scores: Sequence[float]) -> np.ndarray:
        """The frame as drawn: (H, W, 3) uint8."""
        image = Image.fromarray(overlay(pixels, np.stack(masks), self.colours))
        draw = ImageDraw.Draw(image, "RGBA")
        pad = max(3, round(min(image.size) / 80))
        top: float = pad
        for phrase, score, colour in zip(self.phrases, scores, self.colours, strict=True):
            text = self._fitted(draw, f"{score:.2f}  {phrase}", image.width - 6 * pad)
            _, _, right, lower = draw.textbbox((3 * pad, top + pad), text, font=self._font)
            draw.rectangle((pad, top, right + pad, lower + pad), fill=(20, 20, 20, 170))
            draw.rectangle((pad, top, 2 * pad, lower + pad), fill=colour)
            draw.text((3 * pad, top + pad), text, fill=(255, 255, 255), font=self._font)
            top = lower + 2 * pad
        return np.asarray(image)

    def _fitted(self, draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
        """The text cut to a width in pixels."""
        if draw.textlength(text, font=self._font) <= width:
            return text
        while len(text) > 1 and draw.textlength(text + "…", font=self._font) > width:
            text = text[:-1]
        return text + "…"
