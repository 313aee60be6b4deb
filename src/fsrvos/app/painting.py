"""The frames of a support on their way to be annotated: which there are, which is on the easel, what is painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fsrvos.app.easel import editor_value, painted_mask
from fsrvos.app.limits import Limits
from fsrvos.app.uploads import spread_frames
from fsrvos.errors import UserError

Place = tuple[str, int]


@dataclass
class Painting:
    """Frames and what is painted on them.

    Attributes:
        clips: For each upload, by its path, its frames, (H, W, 3) uint8.
        masks: (H, W) bool by (path, number of the frame).
        current: (path, number of the frame) that is on the easel; None where there is no frame.
    """

    clips: dict[str, list[np.ndarray]] = field(default_factory=dict)
    masks: dict[Place, np.ndarray] = field(default_factory=dict)
    current: Place | None = None

    def with_uploads(self, paths: Sequence[str | Path], limits: Limits) -> Painting:
        """The frames of these pictures and clips; what was there before keeps its paint. Long clips are thinned out.

        Raises:
            UserError: A file that cannot be read, or more frames than the limits allow.
        """
        clips: dict[str, list[np.ndarray]] = {}
        for path in map(str, paths):
            room = limits.max_support - sum(map(len, clips.values()))
            if room < 1:
                raise UserError(
                    f"{len(paths)} files are too many: at most {limits.max_support} frames can be painted; give fewer"
                )
            clips[path] = self.clips.get(path) or spread_frames(
                path, min(room, limits.support_frames), limits.max_frames
            )
        masks = {place: mask for place, mask in self.masks.items() if place[0] in clips}
        painting = Painting(clips, masks, self.current)
        if painting.current not in painting.order:
            painting.current = painting.order[0] if painting.order else None
        return painting

    @property
    def order(self) -> list[Place]:
        """The places of all frames."""
        return [(path, number) for path, clip in self.clips.items() for number in range(len(clip))]

    @property
    def frame(self) -> np.ndarray:
        """The frame on the easel, (H, W, 3) uint8.

        Raises:
            UserError: There is none.
        """
        path, number = self._begun()
        return self.clips[path][number]

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

    def easel(self) -> dict[str, Any] | None:
        """What the painting tool is to show."""
        return None if self.current is None else editor_value(self.frame, self.masks.get(self.current))

    def keep(self, value: dict[str, Any] | None) -> None:
        """Takes over what the painting tool shows now."""
        if self.current is None:
            return
        mask = painted_mask(value, self.size)
        if mask is None:
            self.masks.pop(self.current, None)
        else:
            self.masks[self.current] = mask

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
            [(path, number) for number in range(len(clip)) if (path, number) in self.masks]
            for path, clip in self.clips.items()
        ]
        return [
            (
                np.stack([self.clips[path][number] for path, number in clip]),
                np.stack([self.masks[place] for place in clip]),
            )
            for clip in places
            if clip
        ]

    def _begun(self) -> Place:
        if self.current is None:
            raise UserError("step 1 has no picture yet; upload one, or a clip, that shows the object")
        return self.current
