"""The frames of a support on their way to be annotated: which there are, which is on the easel, what is painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fsrvos.app.easel import background, editor_value, fingerprint, painted_mask
from fsrvos.app.limits import Limits
from fsrvos.app.uploads import digest, spread_frames
from fsrvos.errors import UserError

Place = tuple[str, int]


@dataclass
class Painting:
    """Frames and what is painted on them.

    It is changed in place: what answers the page one after the other, or at the same time, holds the same painting.

    Attributes:
        clips: For each upload, by the digest of its file, its frames, (H, W, 3) uint8.
        masks: (H, W) bool by (digest, number of the frame).
        current: (digest, number of the frame) that is on the easel; None where there is no frame.
    """

    clips: dict[str, list[np.ndarray]] = field(default_factory=dict)
    masks: dict[Place, np.ndarray] = field(default_factory=dict)
    current: Place | None = None
    # Of all frames that were ever offered: the tool may still show one that has been taken away since.
    _prints: dict[Place, np.ndarray] = field(default_factory=dict, repr=False)

    def take_uploads(self, paths: Sequence[str | Path], limits: Limits) -> None:
        """From now on the frames of these pictures and clips; what was there before keeps its paint.

        Long clips are thinned out; a file that is given twice counts once.

        Raises:
            UserError: A file that cannot be read, or more frames than the limits allow; then all stays as it was.
        """
        clips: dict[str, list[np.ndarray]] = {}
        for path in paths:
            key = digest(path)
            if key in clips:
                continue
            room = limits.max_support - sum(map(len, clips.values()))
            if room < 1:
                raise UserError(
                    f"{len(paths)} files are too many: at most {limits.max_support} frames can be painted; give fewer"
                )
            clips[key] = self.clips.get(key) or spread_frames(
                path, min(room, limits.support_frames), limits.max_frames
            )
        for key in clips.keys() - self.clips.keys():
            for number, frame in enumerate(clips[key]):
                self._prints[key, number] = fingerprint(background(frame))
        self.clips = clips
        self.masks = {place: mask for place, mask in self.masks.items() if place[0] in clips}
        if self.current not in self.order:
            self.current = self.order[0] if self.order else None

    def become(self, other: Painting) -> None:
        """From now on the frames and the paint of another painting."""
        self.clips, self.masks, self.current = dict(other.clips), dict(other.masks), other.current
        self._prints.update(other._prints)

    @property
    def order(self) -> list[Place]:
        """The places of all frames."""
        return [(key, number) for key, clip in self.clips.items() for number in range(len(clip))]

    @property
    def frame(self) -> np.ndarray:
        """The frame on the easel, (H, W, 3) uint8.

        Raises:
            UserError: There is none.
        """
        key, number = self._begun()
        return self.clips[key][number]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frame on the easel."""
        height, width = self.frame.shape[:2]
        return height, width

    @property
    def position(self) -> int:
        """Number of the frame on the easel among all, from 1; 0 where there is none."""
        return 0 if self.current is None else self.order.index(self.current) + 1

    @property
    def painted(self) -> list[int]:
        """Numbers of the frames with paint, from 1."""
        return [number for number, place in enumerate(self.order, start=1) if place in self.masks]

    @property
    def mark(self) -> str:
        """What the page is to send back beside the paint on this frame; empty where there is no frame."""
        return "" if self.current is None else _mark(self.current)

    def easel(self) -> dict[str, Any] | None:
        """What the painting tool is to show."""
        return None if self.current is None else editor_value(self.frame, self.masks.get(self.current))

    def keep(self, value: dict[str, Any] | None, mark: str | None) -> None:
        """Takes over what is painted.

        Args:
            value: What gradio's ImageEditor gives. Without a background it showed no frame, and nothing is taken over.
            mark: ``mark`` of the frame that the page was sent last. That need not be the one on the easel by now,
                and for a moment the tool still shows the one before: the paint goes to the frame that it lies on,
                or, if that is no longer there, nowhere.
        """
        place = self._marked(mark)
        if place is None or value is None or value.get("background") is None:
            return
        place = self._beneath(value["background"], place)
        if place not in self.order:
            return
        height, width = self.clips[place[0]][place[1]].shape[:2]
        mask = painted_mask(value, (height, width))
        if mask is None:
            self.masks.pop(place, None)
        else:
            self.masks[place] = mask

    def show(self, mark: str | None) -> None:
        """Puts the frame of that ``mark`` on the easel, if it is still there."""
        self.current = self._marked(mark) or self.current

    def put(self, mask: np.ndarray) -> None:
        """Replaces the paint of the frame on the easel by a mask (H, W) bool."""
        assert self.current is not None
        assert mask.shape == self.size
        self.masks[self.current] = mask

    def turn(self, by: int) -> None:
        """Puts another frame on the easel, ``by`` frames on; after the last comes the first."""
        if self.order:
            self.current = self.order[(self.position - 1 + by) % len(self.order)]

    def sources(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The annotated frames as ``Predictor.support`` takes them: (S, H, W, 3) and (S, H, W) for each clip.

        Raises:
            UserError: Nothing is painted.
        """
        self._begun()
        if not self.masks:
            raise UserError(
                "nothing is painted in step 1; paint over the object in a frame, or use a ready mask"
            )
        places = [
            [(key, number) for number in range(len(clip)) if (key, number) in self.masks]
            for key, clip in self.clips.items()
        ]
        return [
            (
                np.stack([self.clips[key][number] for key, number in clip]),
                np.stack([self.masks[place] for place in clip]),
            )
            for clip in places
            if clip
        ]

    def _beneath(self, picture: np.ndarray, marked: Place) -> Place:
        """Whose picture it is: of frames that look the same, the marked one's."""
        seen = fingerprint(picture)
        far = {place: float(np.abs(own - seen).mean()) for place, own in self._prints.items()}
        nearest = min(far, key=lambda place: far[place])
        return nearest if far[nearest] < far[marked] / 2 else marked

    def _marked(self, mark: str | None) -> Place | None:
        return next((place for place in self.order if _mark(place) == mark), None)

    def _begun(self) -> Place:
        if self.current is None:
            raise UserError("step 1 has no picture yet; upload one, or a clip, that shows the object")
        return self.current


def _mark(place: Place) -> str:
    return f"{place[0]}/{place[1]}"
