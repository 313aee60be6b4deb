"""A benchmark's annotations joined: which videos, objects and expressions every category has."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from fsrvos.data.annotation_checks import (
    categories_of,
    check_categories,
    check_frame_folder,
    check_known,
    check_references,
)
from fsrvos.data.annotation_files import AnnotatedObject, Expression, read_expressions, read_objects
from fsrvos.data.layout import locate
from fsrvos.errors import UserError
from fsrvos.structures import ClipSpec


@dataclass(frozen=True)
class Video:
    """One video.

    Attributes:
        frames: Names of all its frames, in order.
        objects: Objects that episodes can use (of a category of the benchmark, referred to, visible), by id.
        expressions: All expressions by id.
    """

    frames: tuple[str, ...]
    objects: dict[str, AnnotatedObject]
    expressions: dict[str, Expression]

    def expression_ids(self, object_id: str) -> tuple[str, ...]:
        """Returns the ids of the expressions of one object, in order."""
        return tuple(eid for eid, expression in self.expressions.items() if expression.object_id == object_id)


class Annotations:
    """Everything that the JSON files of a data set say, checked and joined; no pixel is read.

    Categories are the 48 of YouTube-VOS or the 3 of SAIL-VOS, unless the data set has a ``categories.json``
    at its root. Categories with fewer than two videos can give no episode; one warning names them.

    Attributes:
        layout: Paths of the data set.
        categories: All category names, in the order of their ids.
        videos: Videos that episodes can use, by id, sorted.
        category_videos: Sorted video ids of every category that has two or more; a video stands under every
            category that one of its objects has.
    """

    def __init__(self, root: str | Path, layout: str = "ytvos"):
        """Reads the JSON files.

        Args:
            root: Folder of the data set, or the folder that holds it under its published name.
            layout: "ytvos" or "sailvos".

        Raises:
            UserError: One line that names the file, if anything is missing, malformed or contradictory.
        """
        self.layout = locate(root, layout)
        self.categories, unused = categories_of(self.layout)
        self.videos = self._joined(unused)
        by_category: dict[str, list[str]] = {category: [] for category in self.categories}
        for name, video in self.videos.items():
            for category in {thing.category for thing in video.objects.values()}:
                by_category[category].append(name)
        self.category_videos = {
            category: tuple(names) for category, names in by_category.items() if len(names) > 1
        }
        few = [f"{category} ({len(names)})" for category, names in by_category.items() if len(names) < 2]
        if few:
            warnings.warn(
                f"{self.layout.meta}: categories with fewer than two videos are left out: {', '.join(few)}",
                stacklevel=2,
            )

    def usable(self, categories: Iterable[str]) -> tuple[str, ...]:
        """Returns those of ``categories`` that have the two videos an episode needs.

        Raises:
            UserError: If none has.
        """
        names = tuple(categories)
        kept = tuple(name for name in names if name in self.category_videos)
        if not kept:
            raise UserError(
                f"{self.layout.meta}: the group is empty: none of its categories ({', '.join(names)}) has two"
                f" videos; those that do: {', '.join(self.category_videos) or 'none'}; choose another group"
                " or add videos"
            )
        return kept

    def objects(self, video: str, category: str) -> tuple[str, ...]:
        """Returns the ids of a video's objects of one category, in order."""
        objects = self.videos[video].objects
        return tuple(object_id for object_id, thing in objects.items() if thing.category == category)

    def expression(self, video: str, expression_id: str) -> Expression:
        """Returns one expression of a video."""
        return self.videos[video].expressions[expression_id]

    def clip(self, video: str, object_id: str, expression_id: str, frames: tuple[str, ...]) -> ClipSpec:
        """Names the clip of one object, with one of its expressions, in the given frames."""
        return ClipSpec(video, object_id, expression_id, self.expression(video, expression_id).text, frames)

    def _joined(self, unused: frozenset[str]) -> dict[str, Video]:
        meta, expressions_file = self.layout.meta, self.layout.expressions
        all_expressions, all_objects = read_expressions(expressions_file), read_objects(meta)
        if not all_expressions:
            raise UserError(f"{expressions_file}: lists no video")
        videos: dict[str, Video] = {}
        invisible: list[str] = []
        for name, (frames, expressions) in all_expressions.items():
            check_known(self.layout, name, all_objects)
            check_frame_folder(self.layout, name)
            check_references(self.layout, name, expressions, all_objects[name])
            check_categories(self.layout, name, all_objects[name], self.categories, unused)
            referred = {expression.object_id for expression in expressions.values()}
            objects = {}
            for object_id, thing in all_objects[name].items():
                if object_id not in referred or thing.category in unused:
                    continue
                visible = set(thing.frames)
                objects[object_id] = replace(
                    thing, frames=tuple(frame for frame in frames if frame in visible)
                )
                if not objects[object_id].frames:
                    invisible.append(f"{name}/{object_id}")
                    del objects[object_id]
            if objects:
                videos[name] = Video(frames, objects, expressions)
        if invisible:
            warnings.warn(
                f"{meta}: objects visible in no frame of their video are left out: {', '.join(invisible)}",
                stacklevel=3,
            )
        return videos
