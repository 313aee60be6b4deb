"""What the two JSON files and the folders of a data set must have in common, video by video.

As in `annotation_files`, ``report`` is told of every fault; without it the first one is raised.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from fsrvos.data.annotation_files import BROKEN, AnnotatedObject, Expression, read_categories
from fsrvos.data.categories import SAIL_VOS_CATEGORIES, YOUTUBE_VOS_CATEGORIES, YOUTUBE_VOS_UNUSED_CATEGORIES
from fsrvos.data.faults import KINDS, Report, fault_error, told
from fsrvos.data.layout import Layout, inside


def categories_of(layout: Layout) -> tuple[tuple[str, ...], frozenset[str]]:
    """Returns the category names of a data set, in the order of their ids, and those known but never used.

    Raises:
        UserError: If the data set has a ``categories.json`` that cannot be read.
    """
    own = layout.root / "categories.json"
    if own.is_file():
        return read_categories(own), frozenset()
    if layout.name == "sailvos":
        return SAIL_VOS_CATEGORIES, frozenset()
    return YOUTUBE_VOS_CATEGORIES, YOUTUBE_VOS_UNUSED_CATEGORIES


def check_known(layout: Layout, video: str, known: Container[str]) -> None:
    """Finds a video with expressions that the JSON of the objects does not know.

    Raises:
        UserError: If it is one.
    """
    if video not in known:
        raise fault_error(
            "video-unknown",
            layout.expressions,
            f"video {video!r} is not in {layout.meta}",
            line_end="the two must go together",
        )


def check_frame_folder(layout: Layout, video: str) -> None:
    """Finds a video whose frame folder is missing or empty, or a link that leaves the data set.

    Raises:
        UserError: If it is one.
    """
    folder = inside(layout.images / video, layout)
    if is_empty(folder):
        raise fault_error(
            "video-without-frames",
            folder,
            f"video {video!r} has no frames there",
            f"extract them, or drop the video from {layout.expressions}",
        )


def is_empty(folder: Path) -> bool:
    """Whether a folder is missing, cannot be read, or holds nothing."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return True


def check_references(
    layout: Layout,
    video: str,
    expressions: Mapping[str, Expression],
    objects: Mapping[str, AnnotatedObject],
    report: Report | None = None,
) -> None:
    """Finds expressions of objects that the video does not have.

    Raises:
        UserError: At the first one, without ``report``.
    """
    for eid, expression in expressions.items():
        with told(report):
            if expression.object_id not in objects:
                raise fault_error(
                    "expression-without-object",
                    layout.expressions,
                    f"expression {eid!r} of video {video!r} refers to object"
                    f" {expression.object_id!r}, which is not in {layout.meta} (it lists"
                    f" {', '.join(map(_shown, objects)) or 'none'} there)",
                )


def _shown(object_id: str) -> str:
    """An id that may be a wrong one, which was reported, as part of a line."""
    return object_id if object_id.isprintable() else repr(object_id)


def check_categories(
    layout: Layout,
    video: str,
    objects: Mapping[str, AnnotatedObject],
    categories: Sequence[str],
    unused: Container[str],
    report: Report | None = None,
) -> None:
    """Finds objects of unknown categories.

    Raises:
        UserError: At the first one, without ``report``.
    """
    for object_id, thing in objects.items():
        with told(report):
            if thing is not BROKEN and thing.category not in categories and thing.category not in unused:
                near = get_close_matches(thing.category, categories, 1)
                cure = (
                    f"{KINDS['category-unknown'].cure}; the nearest known name is {near[0]!r}"
                    if near
                    else None
                )
                raise fault_error(
                    "category-unknown",
                    layout.meta,
                    f"object {object_id!r} of video {video!r} has the unknown category {thing.category!r}",
                    cure,
                    line_end=f"known are {', '.join(categories)}",
                )
