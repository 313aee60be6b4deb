"""Counts what a data set holds, category by category: what episodes can use, from the JSON files and the masks."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

from fsrvos.data.annotations import Annotations
from fsrvos.data.categories import NUM_GROUPS, held_out
from fsrvos.data.image_files import read_mask
from fsrvos.data.layout import Layout
from fsrvos.data.parallel import check_workers, in_order
from fsrvos.data.splits import find
from fsrvos.data.video_checks import areas_of
from fsrvos.errors import UserError


@dataclass(frozen=True)
class ObjectCount:
    """One object.

    Attributes:
        category: Its category.
        video: Its video.
        frames: Frames that the JSON lists it visible in.
        words: Number of words of each of its expressions.
        size: Share of the frame's area that its mask covers, mean over the frames whose mask shows it; None if no
            mask does.
    """

    category: str
    video: str
    frames: int
    words: tuple[int, ...]
    size: float | None


@dataclass
class Row:
    """Counts of some categories together.

    Attributes:
        objects: The objects.
        video_frames: Frames of every video that shows one of them.
    """

    objects: list[ObjectCount] = field(default_factory=list)
    video_frames: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Returns the counts; sizes in percent of the frame, None where there are none."""
        sizes = [100 * thing.size for thing in self.objects if thing.size is not None]
        words = [count for thing in self.objects for count in thing.words]
        return {
            "videos": len(self.video_frames),
            "objects": len(self.objects),
            "expressions": len(words),
            "frames": sum(self.video_frames.values()),
            "object_frames": sum(thing.frames for thing in self.objects),
            "size_percent_median": median(sizes) if sizes else None,
            "size_percent_min": min(sizes, default=None),
            "size_percent_max": max(sizes, default=None),
            "words_mean": mean(words) if words else None,
            "words_min": min(words, default=None),
            "words_max": max(words, default=None),
        }


@dataclass(frozen=True)
class Statistics:
    """What a data set holds.

    Attributes:
        root: The data set.
        layout: "ytvos" or "sailvos".
        categories: Counts of every category, in the order of their ids; a video counts for each that it shows.
        groups: Counts of what every group holds out; empty for SAIL-VOS, which has no groups.
        total: Counts of the whole; here a video counts once.
    """

    root: Path
    layout: str
    categories: dict[str, Row]
    groups: dict[int, Row]
    total: Row

    def to_dict(self) -> dict[str, Any]:
        """Returns all counts as JSON can hold them."""
        return {
            "root": str(self.root),
            "layout": self.layout,
            "total": self.total.to_dict(),
            "groups": {str(group): row.to_dict() for group, row in self.groups.items()},
            "categories": {category: row.to_dict() for category, row in self.categories.items()},
        }


def count(
    root: str | Path,
    layout: str = "auto",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Statistics:
    """Counts a data set: objects of known categories that an expression refers to, visible in a frame or more.

    Args:
        root: The data set, or the folder that holds it.
        layout: One of `fsrvos.data.splits.LAYOUTS`.
        workers: Processes that read masks; None for one per available core.
        progress: Told (videos done, videos in all).

    Raises:
        UserError: If there is no data set, or it has a fault that stops training; `validate` lists them all.
    """
    check_workers(workers)
    root = Path(root).expanduser()
    found = find(root, layout) if root.is_dir() else None
    if found is None:
        raise UserError(f"{root}: no data set there; give the folder of one (docs/data.md shows the layouts)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of categories with few videos, which the counts tell
        annotations = Annotations(found.root, found.layout)
    objects: list[ObjectCount] = []
    frames = {name: len(video.frames) for name, video in annotations.videos.items()}
    tasks = [(annotations.layout, name, video.frames) for name, video in annotations.videos.items()]
    for done, (name, sizes) in enumerate(zip(frames, in_order(_sizes, tasks, workers), strict=True), 1):
        video = annotations.videos[name]
        for object_id, thing in video.objects.items():
            texts = [video.expressions[eid].text for eid in video.expression_ids(object_id)]
            shares = sizes.get(str(int(object_id)), [])
            objects.append(
                ObjectCount(
                    thing.category,
                    name,
                    len(thing.frames),
                    tuple(len(text.split()) for text in texts),
                    mean(shares) if shares else None,
                )
            )
        if progress is not None:
            progress(done, len(tasks))
    return _summed(found.root, found.layout, annotations.categories, objects, frames)


def _sizes(task: tuple[Layout, str, tuple[str, ...]]) -> dict[str, list[float]]:
    """Shares of the frame of every object of a video, in the frames that show it."""
    layout, video, frames = task
    shares: dict[str, list[float]] = {}
    for frame in frames:
        values = read_mask(layout.mask(video, frame))
        for object_id, area in areas_of(values, layout.name).items():
            shares.setdefault(object_id, []).append(area / values.size)
    return shares


def _summed(
    root: Path, layout: str, names: tuple[str, ...], objects: list[ObjectCount], frames: dict[str, int]
) -> Statistics:
    def row(categories: Iterable[str]) -> Row:
        chosen = set(categories)
        of_them = [thing for thing in objects if thing.category in chosen]
        return Row(of_them, {thing.video: frames[thing.video] for thing in of_them})

    groups = {} if layout == "sailvos" else {g: row(held_out(g, names)) for g in range(1, NUM_GROUPS + 1)}
    return Statistics(root, layout, {name: row([name]) for name in names}, groups, row(names))


def words_histogram(row: Row) -> Counter[int]:
    """Returns how many expressions have each number of words."""
    return Counter(count for thing in row.objects for count in thing.words)
