"""Reads the two JSON files of a benchmark, each on its own, and says in one line what is wrong in them.

Every reader takes a ``report``: None raises at the first fault; a function is told of all of them, and what could be
read is returned.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from fsrvos.data.faults import Report, fault_error, told
from fsrvos.data.json_files import mapping, plain_name, read_json


@dataclass(frozen=True)
class Expression:
    """One phrase about one object.

    Attributes:
        text: The phrase.
        object_id: Id of the object it refers to.
        kind: Kind of phrase ("category", "color", ...) where the file says so.
        distractor: Id of an expression of another object of the same category, where the file names one.
    """

    text: str
    object_id: str
    kind: str | None = None
    distractor: str | None = None


@dataclass(frozen=True)
class AnnotatedObject:
    """One object of a video: its category and the frames in which it is annotated visible."""

    category: str
    frames: tuple[str, ...]


BROKEN = AnnotatedObject("", ())
"""Stands, where faults are reported instead of raised, for an object whose entry has one."""


def natural(name: str) -> tuple[int, str]:
    """Sorting key of ids and frame names: numbers by value, names of one length by letter."""
    return len(name), name


def read_categories(path: Path) -> tuple[str, ...]:
    """Reads the category names of a ``categories.json``, in the order of their ids.

    Raises:
        UserError: If the file is no list of different names.
    """
    names = read_json(path).get("categories")
    if not (isinstance(names, list) and names and all(map(_is_line, names))):
        raise fault_error("json", path, '"categories" must be a list of names')
    if len(set(names)) != len(names):
        raise fault_error("json", path, '"categories" names one category twice', "all must differ")
    return tuple(names)


def read_expressions(
    path: Path, report: Report | None = None
) -> dict[str, tuple[tuple[str, ...], dict[str, Expression]]]:
    """Reads a ``meta_expressions.json``.

    Args:
        path: The file.
        report: Is told of every fault; without it the first one is raised.

    Returns:
        For every video, sorted, its frame names in order and its expressions by id.

    Raises:
        UserError: If a video has no frames, an expression no text or no object id, or an id is no plain name.
    """
    videos: dict[str, tuple[tuple[str, ...], dict[str, Expression]]] = {}
    for video, entry in sorted(_videos(path, report).items()):
        where = f"video {video!r}"
        frames: tuple[str, ...] = ()
        with told(report):
            frames = _names(entry.get("frames"), path, where, report)
            if not frames:
                cure = '"frames" must list the frame names, or drop the video'
                raise fault_error("video-without-frames", path, f"{where} has no frames", cure)
        expressions: dict[str, Expression] = {}
        with told(report):
            entries = mapping(entry.get("expressions"), path, f'{where}, "expressions"')
            for eid in sorted(entries, key=natural):
                with told(report):
                    plain_name(eid, path, f"{where}, expression")  # predictions lie in a folder of that name
                    expression = _expression(entries[eid], path, f"{where}, expression {eid!r}", report)
                    if expression is not None:
                        expressions[eid] = expression
        for eid, expression in expressions.items():
            with told(report):
                _check_distractor(eid, expression, expressions, path, where)
        videos[video] = frames, expressions
    return videos


def read_objects(path: Path, report: Report | None = None) -> dict[str, dict[str, AnnotatedObject]]:
    """Reads a ``meta.json``: for every video its objects by id, sorted.

    Args:
        path: The file.
        report: Is told of every fault; without it the first one is raised. An object with one is `BROKEN`.

    Raises:
        UserError: If an object has no category or frames, or an id is no number (masks hold it as a value).
    """
    videos: dict[str, dict[str, AnnotatedObject]] = {}
    for video, entry in sorted(_videos(path, report).items()):
        videos[video] = {}
        with told(report):
            objects = mapping(entry.get("objects"), path, f'video {video!r}, "objects"')
            for object_id in sorted(objects, key=natural):
                videos[video][object_id] = BROKEN
                with told(report):
                    videos[video][object_id] = _object(object_id, objects[object_id], path, video, report)
    return videos


def _videos(path: Path, report: Report | None) -> dict[str, dict[str, Any]]:
    videos: dict[str, dict[str, Any]] = {}
    with told(report):
        for video, entry in mapping(read_json(path, report).get("videos"), path, '"videos"').items():
            with told(report):
                plain_name(video, path, "video")
                videos[video] = mapping(entry, path, f"video {video!r}")
    return videos


def _object(object_id: str, entry: object, path: Path, video: str, report: Report | None) -> AnnotatedObject:
    where = f"video {video!r}, object {object_id!r}"
    if not is_mask_value(object_id):
        raise fault_error(
            "object-id",
            path,
            f"{where}: an object id must be a number 1-255, the object's value in the masks",
        )
    content = mapping(entry, path, where)
    category = content.get("category")
    if not _is_line(category):
        raise fault_error("object-entry", path, f'{where} has no "category" that is one line of text')
    return AnnotatedObject(category, _names(content.get("frames"), path, where, report))


def _is_line(value: object) -> TypeGuard[str]:
    """Whether it is a text that can stand in a message of one line."""
    return isinstance(value, str) and value != "" and value.isprintable()


def is_mask_value(object_id: str) -> bool:
    """Whether an object id can stand in a mask."""
    return object_id.isascii() and object_id.isdigit() and len(object_id) < 9 and 0 < int(object_id) < 256


def _expression(entry: object, path: Path, where: str, report: Report | None) -> Expression | None:
    """The expression; None if it has a fault, which was reported."""
    text = object_id = None
    kind = distractor = None
    with told(report):
        content = mapping(entry, path, where)
        kind = content["kind"] if _is_line(content.get("kind")) else None  # tables have a line for each
        distractor = _distractor(content, path, where)
        with told(report):
            text = _text(content, path, where)
        object_id = _object_id(content, path, where)
    if text is None or object_id is None:
        return None
    return Expression(text, object_id, kind, distractor)


def _text(content: dict[str, Any], path: Path, where: str) -> str:
    text = content.get("exp")
    if not (isinstance(text, str) and text.strip()):
        raise fault_error("expression-empty", path, f"{where} has no text", '"exp" must hold the phrase')
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # no file and no tokenizer takes them
        raise fault_error("expression-empty", path, f"{where} is no text, it has half a character in it")
    return text


def _object_id(content: dict[str, Any], path: Path, where: str) -> str:
    object_id = content.get("obj_id")
    if not isinstance(object_id, str | int) or isinstance(object_id, bool):
        line_end = (
            "episodes need the object of every expression, which the training"
            " annotations of the benchmark give and the public validation file does not"
        )
        raise fault_error("expression-without-object", path, f'{where} has no "obj_id"', line_end=line_end)
    if not str(object_id).isprintable():
        problem = f'{where}: "obj_id" {object_id!r} is no object id'
        raise fault_error("expression-without-object", path, problem)
    return str(object_id)


def _distractor(content: dict[str, Any], path: Path, where: str) -> str | None:
    distractor = content.get("distractor_expression")
    if isinstance(distractor, bool) or not isinstance(distractor, str | int | None):
        found = reprlib.repr(distractor)
        problem = f'{where}: "distractor_expression" must be the id of an expression, got {found}'
        raise fault_error("distractor", path, problem)
    return None if distractor is None else str(distractor)


def _check_distractor(
    eid: str, expression: Expression, all_of_video: dict[str, Expression], path: Path, where: str
) -> None:
    if expression.distractor is None:
        return
    other = all_of_video.get(expression.distractor)
    if other is None or other.object_id == expression.object_id:
        raise fault_error(
            "distractor",
            path,
            f'{where}, expression {eid!r}: "distractor_expression" must be the id of an expression of another'
            f" object of the video, got {expression.distractor!r}",
        )


def _names(value: object, path: Path, where: str, report: Report | None) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise fault_error("json", path, f'{where} has no "frames"', "it must list frame names")
    names = []
    for name in value:
        with told(report):
            names.append(plain_name(name, path, f"{where}, frame"))
    return tuple(sorted(set(names), key=natural))
