"""Annotated clips for an adaptation: which of their frames train, which say when to stop, which are for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fsrvos.data.clips import AnnotatedClip
from fsrvos.errors import UserError

SPLIT_FROM = 4  # held-back frames of a clip from which stopping and report get frames of their own
LEAST_FRAMES = 3  # in all clips: one each for support, query and score


@dataclass(frozen=True)
class OwnClip:
    """An annotated clip of the user's, as read, and what its frames are for.

    Attributes:
        name: What reports call it.
        category: Clips of one category support each other.
        clip: Frames (T, 3, H, W) uint8, masks (T, H, W) bool, phrase.
        train: Positions of frames that train, and that are shown as support.
        stop: Positions of held-back frames that choose the state to keep.
        report: Positions of held-back frames that are scored at the end: after those of ``stop``, or the same where
            there are too few.
    """

    name: str
    category: str
    clip: AnnotatedClip
    train: tuple[int, ...]
    stop: tuple[int, ...]
    report: tuple[int, ...]

    @property
    def shown(self) -> tuple[int, ...]:
        """Training frames that show the object, so that they can be support."""
        visible = self.clip.masks.flatten(1).any(1)
        return tuple(position for position in self.train if visible[position])

    @property
    def reports_apart(self) -> bool:
        """Whether no frame of the report chose the state that is reported."""
        return not set(self.stop) & set(self.report)


def hold_back(name: str, category: str, clip: AnnotatedClip, share: float, *, whole: bool = False) -> OwnClip:
    """Sets the last stretch of a clip apart, or all of it.

    A stretch, since a frame between two training frames is nearly one of them. At least one frame is held back where
    there are two, and at least one trains. From four on, the first half of the stretch stops and the second, farther
    from the training frames, reports; fewer do both.

    Args:
        name: What reports call the clip.
        category: Clips of one category support each other.
        clip: As read.
        share: Share of the frames that is held back, in (0, 1).
        whole: Nothing of the clip trains.

    Raises:
        UserError: A share out of range.
    """
    if not 0 < share < 1:
        raise UserError(f"held_back must be a share of each clip's frames, above 0 and below 1; got {share}")
    total = len(clip.frames)
    count = total if whole else min(max(1, round(share * total)), total - 1)
    held = tuple(range(total - count, total))
    cut = count // 2 if count >= SPLIT_FROM else 0
    return OwnClip(name, category, clip, tuple(range(total - count)), held[:cut] or held, held[cut:])


def check_clips(clips: Sequence[OwnClip]) -> None:
    """Refuses clips that no adaptation can be made of.

    Raises:
        UserError: Too few frames; no frame that shows the object, none to learn beside it, or none to score.
    """
    annotated = sum(len(own.clip.frames) for own in clips)
    if annotated < LEAST_FRAMES:
        raise UserError(
            f"support has {annotated} annotated frames in all, an adaptation needs at least {LEAST_FRAMES}: one each "
            "for support, query and score"
        )
    for category in dict.fromkeys(own.category for own in clips):
        of_category = [own for own in clips if own.category == category]
        names = ", ".join(own.name for own in of_category)
        if not any(own.stop for own in of_category):
            raise UserError(
                f"{names}: no frame can be held back to score; annotate at least two frames of a clip"
            )
        if sum(len(own.train) for own in of_category) < 2 or not any(own.shown for own in of_category):
            raise UserError(
                f"{names}: at least two training frames are needed, one of which shows the object (a frame where "
                "its mask is not empty); annotate more frames, or hold fewer back (held_back)"
            )


def supporter(clips: Sequence[OwnClip], own: OwnClip) -> OwnClip:
    """The clip that is shown when ``own`` is scored: the next of its category that can, itself if there is no other.

    Raises:
        UserError: None can.
    """
    place = clips.index(own)
    around = [*clips[place + 1 :], *clips[: place + 1]]
    able = [other for other in around if other.category == own.category and other.shown]
    if not able:
        raise UserError(f"{own.name}: no training frame of a clip of {own.category!r} shows the object")
    return able[0]


def evenly(positions: Sequence[int], count: int) -> list[int]:
    """At most ``count`` of the positions, evenly spaced over them, in order."""
    count = min(count, len(positions))
    return [positions[(2 * step + 1) * len(positions) // (2 * count)] for step in range(count)]


def cut(clip: AnnotatedClip, positions: Sequence[int]) -> AnnotatedClip:
    """Some frames of a clip, in the order given; a frame may come twice."""
    index: Tensor = torch.tensor(list(positions), dtype=torch.long)
    return AnnotatedClip(clip.frames[index], clip.masks[index], clip.expression)
