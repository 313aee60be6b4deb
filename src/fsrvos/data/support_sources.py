"""The one entry to support: a few annotated frames, in any of the formats that people have them in."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path
from typing import Any

from fsrvos.data.clips import AnnotatedClip
from fsrvos.data.json_files import MAX_SUPPORT_MEGABYTES, read_json
from fsrvos.data.support_arrays import is_arrays, read_arrays
from fsrvos.data.support_benchmark import is_benchmark, read_benchmark
from fsrvos.data.support_choice import choose
from fsrvos.data.support_coco import is_coco, read_coco
from fsrvos.data.support_labelled import LabelledClip, check_pixels, is_file
from fsrvos.data.support_labelme import is_labelme, read_labelme
from fsrvos.data.support_pairs import pictures, read_pairs
from fsrvos.data.support_stills import SUFFIXES
from fsrvos.errors import UserError

_FORMATS = (
    "give a folder with JPEGImages/ and Annotations/, a folder of pictures a.jpg with masks a.png, a LabelMe or a COCO"
    " JSON file or the folder of one"
)


def read_support(
    source: Any, phrase: str | None = None, object_id: str | int | None = None
) -> list[AnnotatedClip]:
    """Reads the support of one object: the annotated frames of one or more clips.

    The formats are described in docs/support.md. All frames that are annotated are read, those that do not show the
    object too if another of their clip does; to take fewer is the caller's part.

    Args:
        source: A path (a folder or file of one of the formats); or a tuple (frames, masks) of arrays: frames
            (S, H, W, 3) or (H, W, 3) uint8, masks (S, H, W) or (H, W), bool or integer ids, also Pillow images or lists
            of them; or a list of such sources, whose clips follow each other.
        phrase: What the object is called; None takes what the annotations call it.
        object_id: Which object, where there are several: an id of the masks, a colour such as "#ff0000", a LabelMe label
            ("dog", or "dog:2" for its group 2), a COCO category's name or an annotation's id. It holds for all sources.

    Returns:
        One or more clips: frames (S, 3, H, W) uint8, masks (S, H, W) bool; ``expression`` is "" if there is no phrase.

    Raises:
        UserError: One line that names the file, what is wrong with it and what would be right.
    """
    name = None if object_id is None else str(object_id)
    if is_arrays(source):
        return choose(read_arrays(*source), name, phrase)
    if isinstance(source, list | tuple):
        if not source:
            raise UserError(f"the support is empty; {_FORMATS}")
        return [clip for one in source for clip in read_support(one, phrase, object_id)]
    if not isinstance(source, str | os.PathLike):
        raise UserError(
            f"a support must be a path, a tuple (frames, masks) or a list of these, got {type(source).__name__}"
        )
    path = Path(source).expanduser()
    videos = read_benchmark(path) if os.path.isdir(path) and is_benchmark(path) else None
    # Each video of the benchmark has ids of its own; elsewhere a name means the same in all clips.
    groups = [_read(path, name)] if videos is None else [[video] for video in videos]
    check_pixels(chain.from_iterable(groups), path)
    return [clip for group in groups for clip in choose(group, name, phrase)]


def _read(path: Path, object_id: str | None) -> list[LabelledClip]:
    if os.path.isdir(path):  # of a name that is too long, Path.is_dir raises
        return _read_folder(path, object_id)
    if not is_file(path):
        raise UserError(f"{path}: no such support; {_FORMATS}")
    if path.suffix.lower() == ".json":
        content = read_json(path, max_megabytes=MAX_SUPPORT_MEGABYTES)
        if is_labelme(content):
            return read_labelme([path])
        if is_coco(content):
            return read_coco(path, content, object_id)
        raise UserError(
            f'{path}: neither a LabelMe file ("shapes") nor a COCO file ("images" and "annotations")'
        )
    if path.suffix.lower() in SUFFIXES:
        return read_pairs(path.parent, only=path)
    raise UserError(f"{path}: no support is read from such a file; {_FORMATS}")


def _read_folder(folder: Path, object_id: str | None) -> list[LabelledClip]:
    contents = {path: read_json(path, max_megabytes=MAX_SUPPORT_MEGABYTES) for path in _json_files(folder)}
    labelme = [path for path, content in contents.items() if is_labelme(content)]
    coco = [path for path, content in contents.items() if is_coco(content)]
    if labelme and coco:
        raise UserError(
            f"{folder}: holds {labelme[0].name} of LabelMe and {coco[0].name} of COCO; name one file"
        )
    if len(coco) > 1:
        names = " or ".join(str(path) for path in coco)
        raise UserError(f"{folder}: holds {len(coco)} COCO files; name the file, {names}")
    if coco:
        return read_coco(coco[0], contents[coco[0]], object_id)
    if labelme:
        return read_labelme(labelme, folder)
    if not pictures(folder):
        inner = sorted(path.name for path in folder.iterdir() if path.is_dir())
        there = (
            f"holds no pictures, only the folders {', '.join(inner[:8])}" if inner else "holds no pictures"
        )
        raise UserError(f"{folder}: {there}; {_FORMATS}")
    return read_pairs(folder)


def _json_files(folder: Path) -> list[Path]:
    """The JSON files of a folder; those of ``annotations`` in it, where COCO keeps them, if it has none."""
    for place in (folder, folder / "annotations"):
        if place.is_dir():
            found = [
                path for path in place.glob("*.json") if not path.name.startswith(".") and path.is_file()
            ]
            if found:
                return sorted(found)
    return []
