"""Decodes every frame and mask of a video, and compares them with each other and with what the JSON files say."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fsrvos.data.annotation_checks import is_empty
from fsrvos.data.annotation_files import natural
from fsrvos.data.faults import Fault, Report, fault, told
from fsrvos.data.image_files import check_end, read_frame, read_mask
from fsrvos.data.layout import Layout

Size = tuple[int, int]


@dataclass(frozen=True)
class VideoTask:
    """What to check of one video.

    Attributes:
        layout: Paths of its split.
        video: Its id.
        frames: Names of its frames.
        objects: For every object the frames that should show it; None if the JSON files do not say.
        known: Ids that are no fault in a mask, though nothing is known about them.
        reads_frames: Whether there are frames to decode.
        needs_masks: Whether every frame must have a mask; else those that are there are decoded.
    """

    layout: Layout
    video: str
    frames: tuple[str, ...]
    objects: dict[str, tuple[str, ...]] | None
    known: frozenset[str] = frozenset()
    reads_frames: bool = True
    needs_masks: bool = True


@dataclass(frozen=True)
class VideoResult:
    """What was found: faults, and how many frames and masks could be decoded."""

    faults: list[Fault]
    frames: int
    masks: int


def check_video(task: VideoTask) -> VideoResult:
    """Checks one video; nothing is raised for what is wrong in its files."""
    faults: list[Fault] = []
    layout, report = task.layout, faults.append
    sizes: dict[str, Size] = {}
    if task.reads_frames:
        for frame in task.frames:
            with told(report):
                path = layout.frame(task.video, frame)
                sizes[frame] = read_frame(path).shape[:2]
                check_end(path, "frame")
        _check_sizes(task, sizes, report)
    areas: dict[str, Counter[str]] = {}
    mask_folder = layout.masks / task.video
    if is_empty(mask_folder):
        if task.needs_masks:
            report(fault("video-without-masks", mask_folder, f"video {task.video!r} has no masks there"))
        return VideoResult(faults, len(sizes), 0)
    for frame in task.frames:
        with told(report):
            path = layout.mask(task.video, frame)
            # Of a name that is too long, Path.exists raises.
            if not task.needs_masks and not os.path.exists(path):
                continue
            values = read_mask(path)
            areas[frame] = areas_of(values, layout.name)
            check_end(path, "mask")
            if frame in sizes and values.shape != sizes[frame]:
                told_size = f"is {_text(values.shape)}, but its frame {layout.frame(task.video, frame)} is"
                report(fault("mask-size", path, f"{told_size} {_text(sizes[frame])}"))
    if task.objects is not None:
        _check_objects(task, areas, report)
    return VideoResult(faults, len(sizes), len(areas))


def areas_of(values: np.ndarray, layout: str) -> Counter[str]:
    """Counts the pixels of every object in a mask.

    Args:
        values: (H, W) uint8.
        layout: In "sailvos" every value above 0 means object 1.

    Returns:
        Pixels by object id, without the background and without ids that have none.
    """
    counts = np.bincount(values.ravel(), minlength=256)
    if layout == "sailvos":
        inside = int(counts[1:].sum())
        return Counter({"1": inside} if inside else {})
    return Counter({str(value): int(counts[value]) for value in np.flatnonzero(counts) if value})


def _check_sizes(task: VideoTask, sizes: dict[str, Size], report: Report) -> None:
    if not sizes:
        return
    usual, count = Counter(sizes.values()).most_common(1)[0]
    for frame, size in sizes.items():
        if size != usual:
            problem = f"is {_text(size)}, but {count} of {len(sizes)} frames of its video are {_text(usual)}"
            report(fault("frame-size", task.layout.frame(task.video, frame), problem))


def _check_objects(task: VideoTask, areas: dict[str, Counter[str]], report: Report) -> None:
    objects, meta, folder = task.objects or {}, task.layout.meta, task.layout.masks / task.video
    all_read = len(areas) == len(task.frames)
    shown = {str(int(object_id)): (object_id, frames) for object_id, frames in objects.items()}
    for value, (object_id, listed) in shown.items():
        where = f"video {task.video!r}, object {object_id!r}"
        seen = [frame for frame, area in areas.items() if area[value]]
        if not seen:
            if all_read and listed:
                problem = f"{where}: none of the {len(areas)} masks in {folder} has the value {value}"
                report(fault("object-in-no-mask", meta, problem))
            continue
        hidden = [frame for frame in listed if frame in areas and not areas[frame][value]]
        if hidden:
            first = task.layout.mask(task.video, hidden[0])
            problem = f"{where} is listed visible in {_names(hidden)}, but not in the masks ({first} ...)"
            report(fault("object-not-in-frame", meta, problem))
        extra = sorted(set(seen) - set(listed), key=natural)
        if extra:
            problem = f"{where} is in the masks of {_names(extra)}, which its list of frames lacks"
            report(fault("object-not-listed", meta, problem))
    foreign = {value for area in areas.values() for value in area} - set(shown) - task.known
    for value in sorted(foreign, key=int):
        seen = [frame for frame, area in areas.items() if area[value]]
        problem = f"has the value {value} ({_names(seen)} of the video), which is no object of it in {meta}"
        report(fault("value-in-no-json", task.layout.mask(task.video, seen[0]), problem))


def _names(frames: Sequence[str]) -> str:
    first = ", ".join(frames[:3])
    return (
        f"frame {first}"
        if len(frames) == 1
        else f"{len(frames)} frames: {first}" + ", ..." * (len(frames) > 3)
    )


def _text(size: Sequence[int]) -> str:
    return f"{size[1]}x{size[0]}"
