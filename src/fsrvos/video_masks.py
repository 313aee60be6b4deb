"""What a phrase means in a video: masks, boxes, scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fsrvos.annotated_video import AnnotatedVideo
from fsrvos.prediction_folder import PredictionFolder
from fsrvos.rle import Rle, box_of, decode_mask, encode_mask
from fsrvos.video import Frame, Video


class VideoMasks:
    """The masks of one phrase in one video, kept as run lengths.

    Args:
        phrase: The phrase.
        video: The video, read again for overlays.

    Attributes:
        phrase: The phrase.
        video: The video.
        frame_names: T names.
        times: T times in seconds.
        scores: (T,) float32, class probability of the query that answers, in [0, 1].
        rle: T masks as COCO RLE, None where there is no object.
    """

    def __init__(self, phrase: str, video: Video) -> None:
        self.phrase = phrase
        self.video = video
        self.frame_names: list[str] = []
        self.times: list[float] = []
        self.scores = np.zeros(0, np.float32)
        self.rle: list[Rle | None] = []

    def add(self, frames: Sequence[Frame], masks: np.ndarray, scores: np.ndarray) -> None:
        """Appends frames with masks (T', H, W) bool and scores (T',)."""
        self.frame_names += [frame.name for frame in frames]
        self.times += [frame.time for frame in frames]
        self.rle += [encode_mask(mask) for mask in masks]
        self.scores = np.concatenate((self.scores, scores.astype(np.float32)))

    def __len__(self) -> int:
        """T."""
        return len(self.rle)

    def __repr__(self) -> str:
        return (
            f"VideoMasks({self.phrase!r} in {self.video.name!r}: {len(self)} frames, score {self.score:.2f})"
        )

    @property
    def score(self) -> float:
        """Mean score of the frames."""
        return float(self.scores.mean()) if len(self) else 0.0

    @property
    def masks(self) -> np.ndarray:
        """(T, H, W) bool at the native size of the video; decoded anew each time."""
        if not self.rle:
            return np.zeros((0, *self.video.size), dtype=bool)
        return np.stack([self.mask(frame) for frame in range(len(self))])

    @property
    def boxes(self) -> np.ndarray:
        """(T, 4) float32: left, top, right, bottom of each mask in pixels; zeros where there is no object."""
        boxes = np.array([box_of(rle) or [0.0] * 4 for rle in self.rle], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return boxes

    def mask(self, frame: int) -> np.ndarray:
        """(H, W) bool, the mask of one frame."""
        return decode_mask(self.rle[frame], self.video.size)

    def save(self, folder: str | Path) -> None:
        """Writes palette PNGs, predictions.json and the score curve, as ``fsrvos-predict`` does.

        Raises:
            UserError: The folder holds predictions already, or cannot be written.
        """
        with PredictionFolder(folder, self.video, [self.phrase], overlay=False) as written:
            for index, (name, time) in enumerate(zip(self.frame_names, self.times, strict=True)):
                written.write(index, name, time, None, [self.mask(index)], [float(self.scores[index])])
            written.complete = True

    def overlay(self, path: str | Path) -> None:
        """Writes the video with the mask and the phrase on it, as .mp4; the video is read again.

        Raises:
            UserError: The file cannot be written.
        """
        with AnnotatedVideo(Path(path), self.video, [self.phrase]) as drawn:
            for frame in self.video.frames():
                if frame.index >= len(self):
                    break
                drawn.write(
                    frame.pixels, frame.time, [self.mask(frame.index)], [float(self.scores[frame.index])]
                )

    def picture(self, frame: int) -> np.ndarray:
        """One frame with the mask and the phrase on it: (H, W, 3) uint8; the video is read up to there.

        Raises:
            IndexError: No such frame; -1 is the last.
        """
        frame = range(len(self))[frame]
        drawn = AnnotatedVideo(None, self.video, [self.phrase])
        pixels = next(self.video.frames(frame)).pixels
        return drawn.picture(pixels, [self.mask(frame)], [float(self.scores[frame])])
