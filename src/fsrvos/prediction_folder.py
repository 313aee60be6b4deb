"""A folder of predictions, written while they are made (``prediction_layout`` says what it holds).

Frames are written as they come, everything else at the end: also at an early one, after a stop signal. What there is
then is whole. A journal, ``OUT/.progress.jsonl``, remains until all frames are done; one can go on from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from fsrvos.annotated_video import AnnotatedVideo
from fsrvos.disk import told_by_disk
from fsrvos.errors import UserError
from fsrvos.journal import Journal
from fsrvos.pictures import save_masks
from fsrvos.prediction_layout import (
    CURVE,
    JOURNAL,
    MASKS,
    OVERLAY,
    PREDICTIONS,
    make_room,
    remove_if_empty,
    slug,
)
from fsrvos.report import replace_file
from fsrvos.rle import box_of, decode_mask, encode_mask
from fsrvos.score_curve import save_score_curve
from fsrvos.video import Frame, Video


class PredictionFolder:
    """Writes predictions into a folder; used as a block, at whose end all files are whole.

    Args:
        folder: The folder; made if it is not there.
        video: What is segmented.
        phrases: P phrases.
        overlay: Whether the overlay is drawn.
        resume: Go on where the folder stands.
        overwrite: Replace what it holds.
        window: Frames that the network gets at once: it is gone on at the border of a window, so that the windows are
            those of a call that was not stopped.
        made_with: What else must be the same to go on: network, support, settings.

    Attributes:
        folder: The folder.
        done: Frames that are in it.
        complete: Set when all frames are done: the journal goes then.

    Raises:
        UserError: The folder holds predictions already; nothing to go on with, or of something else; it cannot be
            written.
    """

    def __init__(
        self,
        folder: str | Path,
        video: Video,
        phrases: Sequence[str],
        *,
        overlay: bool = True,
        resume: bool = False,
        overwrite: bool = False,
        window: int = 1,
        made_with: dict[str, Any] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.video = video
        self.phrases = list(phrases)
        self.complete = False
        self._places = [self.folder / MASKS / slug(number, p) for number, p in enumerate(phrases, start=1)]
        if resume and overwrite:
            raise UserError("resume=true and overwrite=true exclude each other")
        header = {
            "video": video.name, "size": list(video.size), "frames": video.count, "rate": video.rate,
            "phrases": self.phrases, "overlay": overlay, **(made_with or {}),
        }  # fmt: skip
        with told_by_disk(self.folder):
            if not resume:
                make_room(self.folder, overwrite=overwrite)
            self._journal = Journal(self.folder / JOURNAL, header, resume=resume, multiple=window)
        self._drawn = AnnotatedVideo(self.folder / OVERLAY, video, phrases) if overlay else None
        self._drawn_frames = 0
        self._unfinished: list[Path] = []  # masks of a frame that is not in the journal yet

    @property
    def done(self) -> int:
        """Frames that are in the folder."""
        return self._journal.count

    def last_masks(self) -> np.ndarray | None:
        """(P, H, W) bool of the last frame that is done; None if there is none."""
        if self._journal.last is None:
            return None
        return np.stack([decode_mask(o["rle"], self.video.size) for o in self._journal.last["objects"]])

    def __enter__(self) -> Self:
        if self._drawn is not None:
            self._drawn.__enter__()
        return self

    def draw_again(self) -> Iterator[int]:
        """Draws the frames that are done already, since an mp4 cannot be continued; comes before ``write``.

        Yields:
            How many are drawn.
        """
        if self._drawn is None or not self.done:
            return
        for frame, entry in zip(self.video.frames(), self._journal.entries(), strict=False):
            things = entry["objects"]
            masks = [decode_mask(thing["rle"], self.video.size) for thing in things]
            self._drawn.write(frame.pixels, frame.time, masks, [thing["score"] for thing in things])
            self._drawn_frames += 1
            yield self._drawn_frames

    def write(
        self,
        index: int,
        name: str,
        time: float,
        pixels: np.ndarray | None,
        masks: Sequence[np.ndarray],
        scores: Sequence[float],
    ) -> None:
        """Adds one frame: P masks (H, W) bool and P scores; ``pixels`` (H, W, 3) uint8 are drawn on.

        Raises:
            UserError: The disk is full or cannot be written.
            ValueError: Not the frame that comes next, or those before it are not drawn again.
        """
        if index != self.done or (self._drawn is not None and self._drawn_frames != index):
            raise ValueError(f"frame {self.done} comes next, {self._drawn_frames} are drawn, got {index}")
        with told_by_disk(self.folder):
            self._unfinished = [place / f"{name}.png" for place in self._places]
            for place, mask in zip(self._places, masks, strict=True):
                save_masks(mask[None], place, [name])
            objects = [
                {"score": round(float(score), 6), "rle": encode_mask(mask)}
                for mask, score in zip(masks, scores, strict=True)
            ]
            if self._drawn is not None:
                assert pixels is not None
                self._drawn.write(pixels, time, masks, scores)
                self._drawn_frames += 1
            self._journal.append([{"name": name, "time": round(time, 6), "objects": objects}])
            self._unfinished = []

    def write_window(self, frames: Sequence[Frame], masks: np.ndarray, scores: np.ndarray) -> None:
        """Adds T frames with masks (P, T, H, W) and scores (P, T)."""
        for t, frame in enumerate(frames):
            self.write(
                frame.index, frame.name, frame.time, frame.pixels, list(masks[:, t]), scores[:, t].tolist()
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with told_by_disk(self.folder):
                for mask in self._unfinished:
                    mask.unlink(missing_ok=True)
                worth_keeping = self.done > 0 and not _of_disk(error)
                if self._drawn is not None:
                    # One that was not drawn again whole does not replace the earlier one.
                    whole = worth_keeping and self._drawn_frames == self.done
                    self._drawn.__exit__(
                        *((None, None, None) if whole else (kind or UserError, error, trace))
                    )
                if worth_keeping:
                    self._finish()
        finally:
            self._journal.close()
        if (self.complete and error is None) or self.done == 0:
            self._journal.path.unlink(missing_ok=True)
        if self.done == 0:
            for folder in (*self._places, self.folder / MASKS, self.folder):
                remove_if_empty(folder)

    def _finish(self) -> None:
        replace_file(self.folder / PREDICTIONS, self._write_predictions)
        times, scores = [], []
        for entry in self._journal.entries():
            times.append(entry["time"])
            scores.append([thing["score"] for thing in entry["objects"]])
        save_score_curve(self.folder / CURVE, times, np.array(scores).T, self.phrases)

    def _write_predictions(self, file: BinaryIO) -> None:
        """One entry a phrase, in the form of ``fsrvos-eval save_masks=true``, without holding all masks at once."""

        def line(text: str) -> None:
            file.write(text.encode())

        for number, phrase in enumerate(self.phrases):
            about = {
                "video": self.video.name, "expression_id": str(number), "expression": phrase,
                "size": list(self.video.size),
            }  # fmt: skip
            line("[" if number == 0 else ",\n")
            line(json.dumps(about)[:-1])
            for key, values in self._columns(number).items():
                line(f', "{key}": [')
                for position, value in enumerate(values):
                    line((", " if position else "") + json.dumps(value))
                line("]")
            mean = sum(e["objects"][number]["score"] for e in self._journal.entries()) / self.done
            line(f', "score": {mean:.6f}}}')
        line("]\n")

    def _columns(self, number: int) -> dict[str, Iterator[Any]]:
        def things() -> Iterator[dict[str, Any]]:
            return (entry["objects"][number] for entry in self._journal.entries())

        return {
            "frames": (entry["name"] for entry in self._journal.entries()),
            "times": (entry["time"] for entry in self._journal.entries()),
            "scores": (thing["score"] for thing in things()),
            "boxes": (box_of(thing["rle"]) for thing in things()),
            "segmentations": (thing["rle"] for thing in things()),
        }


def _of_disk(error: BaseException | None) -> bool:
    return isinstance(error, UserError) and isinstance(error.__cause__, OSError)
