"""Checks what the JSON files of one split say, together and against the folders; plans what to decode of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from fsrvos.data.annotation_checks import (
    check_categories,
    check_frame_folder,
    check_known,
    check_references,
    is_empty,
)
from fsrvos.data.annotation_files import (
    BROKEN,
    AnnotatedObject,
    Expression,
    is_mask_value,
    read_expressions,
    read_objects,
)
from fsrvos.data.faults import Fault, Report, fault, told
from fsrvos.data.layout import Layout
from fsrvos.data.splits import Split
from fsrvos.data.video_checks import VideoTask

Videos = dict[str, tuple[tuple[str, ...], dict[str, Expression]]]


def read_all_expressions(path: Path, report: Report) -> tuple[Videos, int]:
    """Reads a ``meta_expressions.json`` and tells of all its faults.

    Args:
        path: The file.
        report: Is told, except of missing object ids where no expression at all has one.

    Returns:
        What `read_expressions` does, and the number of expressions if none has an object id, else 0.
    """
    found: list[Fault] = []
    videos = read_expressions(path, found.append)
    without = [one for one in found if one.kind == "expression-without-object"]
    none_has = bool(without) and not any(expressions for _, expressions in videos.values())
    if none_has:
        found = [one for one in found if one not in without]
    for one in found:
        report(one)
    if not videos and not found:
        report(fault("json", path, "lists no video"))
    return videos, len(without) if none_has else 0


def no_ids(kind: str, path: Path, videos: int, expressions: int) -> Fault:
    """The one statement about a file without object ids."""
    problem = (
        f'none of its {expressions} expressions of {videos} videos has an "obj_id" (the public validation and test'
        " files are like that); episodes need the object of every expression"
    )
    cure = "take the train split's file, which has them; this one serves for a submission at most"
    return fault(kind, path, problem, cure if kind == "no-object-ids" else None)


class SplitChecks:
    """The checks of one split; `run` them, then decode `tasks`.

    Attributes:
        counts: Videos, objects and expressions.
        tasks: What to decode.
        without_ids: Expressions, if none of them has an object id, else 0.
        usable: Categories with two videos; None if the JSON files cannot tell.
    """

    def __init__(
        self,
        split: Split,
        layout: Layout,
        categories: tuple[tuple[str, ...], frozenset[str]] | None,
        report: Report,
    ):
        """Prepares.

        Args:
            split: The split.
            layout: Its paths, of which some may be missing.
            categories: Names of the benchmark's categories, and those known but not used; None if unknown.
            report: Is told of every fault.
        """
        self.split, self.layout, self.report = split, layout, report
        self.categories = categories[0] if categories else None
        self.unused = categories[1] if categories else frozenset[str]()
        self.counts: Counter[str] = Counter()
        self.tasks: list[VideoTask] = []
        self.without_ids = 0
        self.usable: set[str] | None = None
        self._videos_of: dict[str, set[str]] = {}

    def run(self) -> None:
        """Checks the JSON files and the folders."""
        layout, report = self.layout, self.report
        videos: Videos = {}
        objects: dict[str, dict[str, AnnotatedObject]] = {}
        if layout.expressions.is_file():
            videos, self.without_ids = read_all_expressions(layout.expressions, report)
        if layout.meta.is_file():
            found: list[Fault] = []
            objects = read_objects(layout.meta, found.append)
            for one in found if objects or found else [fault("json", layout.meta, "lists no video")]:
                report(one)
        self.counts.update(
            videos=len(videos),
            objects=sum(map(len, objects.values())),
            expressions=self.without_ids + sum(len(expressions) for _, expressions in videos.values()),
        )
        if self.without_ids:
            if self.split.trains:
                report(self.no_ids_fault("no-object-ids"))
        else:
            for video, (frames, expressions) in videos.items():
                self._check_video(video, frames, expressions, objects)
        if videos and objects and not self.without_ids:
            self._check_unreferred(videos, objects)
            self._check_categories()
        self._plan(videos, objects)

    def no_ids_fault(self, kind: str) -> Fault:
        """The one statement about this split, which has no object ids."""
        return no_ids(kind, self.layout.expressions, self.counts["videos"], self.without_ids)

    def _check_video(
        self,
        video: str,
        frames: tuple[str, ...],
        expressions: dict[str, Expression],
        all_objects: dict[str, dict[str, AnnotatedObject]],
    ) -> None:
        check_phrases(self.layout.expressions, video, expressions, self.report)
        if not all_objects:  # missing or broken, which is told
            return
        if video not in all_objects:
            with told(self.report):
                check_known(self.layout, video, all_objects)
            return
        objects = all_objects[video]
        check_references(self.layout, video, expressions, objects, self.report)
        if self.categories is not None:
            check_categories(self.layout, video, objects, self.categories, self.unused, self.report)
        referred = {expression.object_id for expression in expressions.values()}
        of_video = set(frames)
        for object_id, thing in objects.items():
            if thing is BROKEN or thing.category in self.unused:
                continue
            where = f"video {video!r}, object {object_id!r} ({thing.category})"
            outside = [frame for frame in thing.frames if frame not in of_video]
            if outside and frames:
                problem = (
                    f"{where}: {len(outside)} of its frames ({outside[0]} first) are none of the video's"
                )
                self.report(fault("frame-not-listed", self.layout.meta, problem))
            if object_id not in referred:
                problem = f"{where}: no expression in {self.layout.expressions} refers to it"
                self.report(fault("object-without-expression", self.layout.meta, problem))
            elif frames and len(outside) == len(thing.frames):
                self.report(fault("object-never-visible", self.layout.meta, f"{where} is listed in no frame"))
            else:
                self._videos_of.setdefault(thing.category, set()).add(video)

    def _check_unreferred(self, videos: Videos, objects: dict[str, dict[str, AnnotatedObject]]) -> None:
        for video in objects:
            if video not in videos:
                problem = f"video {video!r} is not in {self.layout.expressions}"
                self.report(fault("video-without-expression", self.layout.meta, problem))

    def _check_categories(self) -> None:
        if self.categories is None or not self.split.trains:
            return
        for category in self.categories:
            of_it = self._videos_of.get(category, set())
            if len(of_it) == 1:
                problem = f"category {category!r} has one video, {next(iter(of_it))!r}"
                self.report(fault("category-one-video", self.layout.meta, problem))
        self.usable = {name for name in self.categories if len(self._videos_of.get(name, ())) > 1}

    def _plan(self, videos: Videos, objects: dict[str, dict[str, AnnotatedObject]]) -> None:
        layout = self.layout
        has_images = layout.images.is_dir()
        needs_masks = not self.without_ids and (self.split.trains or layout.masks.is_dir())
        if needs_masks and not layout.masks.is_dir():
            problem = "missing; it holds a folder of masks for each video"
            self.report(fault("file-missing", layout.masks, problem))
            needs_masks = False
        for video, (frames, _) in videos.items():
            if has_images:
                with told(self.report):
                    check_frame_folder(layout, video)
            reads_frames = has_images and not is_empty(layout.images / video)
            of_video = None if self.without_ids else objects.get(video)
            listed = {
                object_id: thing.frames
                for object_id, thing in (of_video or {}).items()
                if thing is not BROKEN
            }
            known = frozenset(
                str(int(object_id)) for object_id in (of_video or {}) if is_mask_value(object_id)
            )
            self.tasks.append(
                VideoTask(
                    layout,
                    video,
                    frames,
                    None if of_video is None else listed,
                    known,
                    reads_frames,
                    needs_masks,
                )
            )

    @classmethod
    def of_file(cls, path: Path, findings: list[Fault], counts: Counter[str]) -> None:
        """Checks a ``meta_expressions.json`` by itself."""
        videos, without_ids = read_all_expressions(path, findings.append)
        counts.update(
            videos=len(videos),
            expressions=without_ids + sum(len(expressions) for _, expressions in videos.values()),
        )
        if without_ids:
            findings.append(no_ids("no-object-ids", path, len(videos), without_ids))
            return
        for video, (_, expressions) in videos.items():
            check_phrases(path, video, expressions, findings.append)


def check_phrases(path: Path, video: str, expressions: dict[str, Expression], report: Report) -> None:
    """Finds phrases that stand twice in a video, for one object or for several; case and spaces do not count."""
    if not expressions:
        report(fault("video-without-expression", path, f"video {video!r} has no expression that can be used"))
    by_text: dict[str, list[str]] = {}
    for eid, expression in expressions.items():
        by_text.setdefault(" ".join(expression.text.lower().split()), []).append(eid)
    for text, eids in by_text.items():
        if len(eids) < 2:
            continue
        objects = list(dict.fromkeys(expressions[eid].object_id for eid in eids))
        where = f"video {video!r}, expressions {', '.join(map(repr, eids))}"
        if len(objects) > 1:
            problem = f"{where}: {text!r} is said of the objects {', '.join(objects)}"
            report(fault("expression-ambiguous", path, problem))
        if len(objects) < len(eids):
            report(fault("expression-repeated", path, f"{where}: {text!r} stands there more than once"))
