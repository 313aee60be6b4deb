"""Chooses one object of what a support holds, and asks where it holds several."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from fsrvos.data.clips import AnnotatedClip
from fsrvos.data.support_labelled import LabelledClip, counted, natural_order, shown
from fsrvos.errors import UserError

_MOST_NAMED = 20


def choose(clips: list[LabelledClip], object_id: str | None, phrase: str | None) -> list[AnnotatedClip]:
    """Reads one object's masks in clips whose names of objects mean the same.

    Args:
        clips: One or more.
        object_id: Name of the object; None takes the only one.
        phrase: Phrase of all clips; None takes that of the annotations.

    Raises:
        UserError: If there is no object, several and no choice, no such object, or a clip does not show it.
    """
    name = chosen_name(clips, object_id)
    return [_annotated(clip, name, phrase) for clip in clips]


def chosen_name(clips: list[LabelledClip], object_id: str | None) -> str:
    """The name of the object that is meant.

    Raises:
        UserError: If there is no object, several and no choice, or no such object.
    """
    frames = [frame for clip in clips for frame in clip.frames]
    names = sorted({name for frame in frames for name in frame.objects}, key=natural_order)
    where = next((frame.annotation for frame in frames if len(frame.objects) > 1), clips[0].name)
    if not names:
        raise UserError(
            f"{clips[0].name}: the mask is empty, all zero in {counted(len(frames), 'frame')}; give the object's pixels"
            " another value"
        )
    if object_id is None:
        if len(names) > 1:
            raise UserError(f"{where}: holds the objects {listed(names)}; say {ways(names)}")
        return names[0]
    if object_id.startswith("#"):  # a colour
        object_id = object_id.lower() if object_id not in names else object_id
    if object_id not in names:
        raise UserError(
            f"{where}: holds no object {shown(object_id)}, only {listed(names)}; say {ways(names)}"
        )
    return object_id


def listed(names: Iterable[str]) -> str:
    """Names in one line, the first of them if there are many."""
    all_names = [shown(name) for name in names]
    more = len(all_names) - _MOST_NAMED
    return ", ".join(all_names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def ways(names: list[str]) -> str:
    """What to say for each of few names."""
    if len(names) > 4:
        return f"one of them, such as object={shown(names[0])}"
    return " or ".join(f"object={shown(name)}" for name in names)


def _annotated(clip: LabelledClip, name: str, phrase: str | None) -> AnnotatedClip:
    masks = []
    for frame in clip.frames:
        width, height = frame.size
        masks.append(frame.objects[name]() if name in frame.objects else np.zeros((height, width), bool))
    if not any(mask.any() for mask in masks):
        others = sorted({other for frame in clip.frames for other in frame.objects} - {name})
        raise UserError(
            f"{clip.name}: the object {shown(name)} is nowhere in this clip of {counted(len(masks), 'frame')}"
            + (f", only {listed(others)}" if others else "")
            + "; choose another object, or leave the clip out"
        )
    # Channels last, as decoded: torchvision resizes that several times faster than contiguous planes.
    frames = torch.from_numpy(np.stack([frame.pixels() for frame in clip.frames])).permute(0, 3, 1, 2)
    return AnnotatedClip(
        frames, torch.from_numpy(np.stack(masks)), clip.phrase(name) if phrase is None else phrase
    )
