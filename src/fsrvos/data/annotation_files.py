"""Reads the two JSON files of a benchmark, each on its own, and says in one line what is wrong in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from fsrvos.errors import UserError


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


def natural(name: str) -> tuple[int, str]:
    """Sorting key of ids and frame names: numbers by value, names of one length by letter."""
    return len(name), name


def read_json(path: Path) -> dict[str, Any]:
    """Reads one JSON object.

    Raises:
        UserError: If the file cannot be read, is not valid JSON, or holds something else than an object.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); download or write it again") from error
    return _mapping(content, f"{path}: the top level")


def read_categories(path: Path) -> tuple[str, ...]:
    """Reads the category names of a ``categories.json``, in the order of their ids.

    Raises:
        UserError: If the file is no list of different names.
    """
    names = read_json(path).get("categories")
    if not (isinstance(names, list) and names and all(isinstance(name, str) and name for name in names)):
        raise UserError(f'{path}: "categories" must be a list of names')
    if len(set(names)) != len(names):
        raise UserError(f'{path}: "categories" names one category twice; all must differ')
    return tuple(names)


def read_expressions(path: Path) -> dict[str, tuple[tuple[str, ...], dict[str, Expression]]]:
    """Reads a ``meta_expressions.json``.

    Returns:
        For every video, sorted, its frame names in order and its expressions by id.

    Raises:
        UserError: If a video has no frames, an expression no text or no object id, or an id is no plain name.
    """
    videos: dict[str, tuple[tuple[str, ...], dict[str, Expression]]] = {}
    for video, entry in sorted(_videos(path).items()):
        where = f"{path}: video {video!r}"
        frames = _names(entry.get("frames"), where)
        if not frames:
            raise UserError(f'{where} has no frames; "frames" must list the frame names, or drop the video')
        expressions = _mapping(entry.get("expressions"), f'{where}, "expressions"')
        videos[video] = (
            frames,
            {
                eid: _expression(expressions[eid], f"{where}, expression {eid!r}")
                for eid in sorted(expressions, key=natural)
            },
        )
        for eid, expression in videos[video][1].items():
            _check_distractor(eid, expression, videos[video][1], where)
    return videos


def read_objects(path: Path) -> dict[str, dict[str, AnnotatedObject]]:
    """Reads a ``meta.json``: for every video its objects by id, sorted.

    Raises:
        UserError: If an object has no category or frames, or an id is no number (masks hold it as a value).
    """
    videos: dict[str, dict[str, AnnotatedObject]] = {}
    for video, entry in sorted(_videos(path).items()):
        objects = _mapping(entry.get("objects"), f'{path}: video {video!r}, "objects"')
        videos[video] = {}
        for object_id in sorted(objects, key=natural):
            where = f"{path}: video {video!r}, object {object_id!r}"
            if not (object_id.isascii() and object_id.isdigit() and 0 < int(object_id) < 256):
                raise UserError(
                    f"{where}: an object id must be a number 1-255, the object's value in the masks"
                )
            entry_of_object = _mapping(objects[object_id], where)
            category = entry_of_object.get("category")
            if not isinstance(category, str):
                raise UserError(f'{where} has no "category"')
            videos[video][object_id] = AnnotatedObject(category, _names(entry_of_object.get("frames"), where))
    return videos


def _videos(path: Path) -> dict[str, dict[str, Any]]:
    videos = _mapping(read_json(path).get("videos"), f'{path}: "videos"')
    for video, entry in videos.items():
        _plain_name(video, f"{path}: video")
        _mapping(entry, f"{path}: video {video!r}")
    return videos


def _expression(entry: object, where: str) -> Expression:
    content = _mapping(entry, where)
    text, object_id = content.get("exp"), content.get("obj_id")
    if not (isinstance(text, str) and text.strip()):
        raise UserError(f'{where} has no text; "exp" must hold the phrase')
    if not isinstance(object_id, str | int) or isinstance(object_id, bool):
        raise UserError(
            f'{where} has no "obj_id"; episodes need the object of every expression, which the training'
            " annotations of the benchmark give and the public validation file does not"
        )
    kind, distractor = content.get("kind"), content.get("distractor_expression")
    return Expression(text, str(object_id), kind, None if distractor is None else str(distractor))


def _check_distractor(
    eid: str, expression: Expression, all_of_video: dict[str, Expression], where: str
) -> None:
    if expression.distractor is None:
        return
    other = all_of_video.get(expression.distractor)
    if other is None or other.object_id == expression.object_id:
        raise UserError(
            f'{where}, expression {eid!r}: "distractor_expression" must be the id of an expression of another'
            f" object of the video, got {expression.distractor!r}"
        )


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        found = "nothing" if value is None else f"a {type(value).__name__}"
        raise UserError(f"{where} must be a JSON object ({{...}}), found {found}")
    return value


def _names(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UserError(f'{where} has no "frames"; it must list frame names')
    for name in value:
        _plain_name(name, f"{where}, frame")
    return tuple(sorted(set(value), key=natural))


def _plain_name(name: object, where: str) -> None:
    """Ids become paths below the data root, so one that could leave it is refused."""
    if (
        not isinstance(name, str)
        or name in ("", ".", "..")
        or "\0" in name
        or PurePosixPath(name).name != name
        or PureWindowsPath(name).name != name
    ):
        raise UserError(f"{where} {name!r}: an id must be a plain name without separators, '..' or drive")
