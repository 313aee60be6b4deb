"""Support annotated with LabelMe: a JSON file of shapes for each picture."""

from __future__ import annotations

import base64
import binascii
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fsrvos.data.json_files import MAX_SUPPORT_MEGABYTES, mapping, read_json
from fsrvos.data.support_labelled import (
    LabelledClip,
    LabelledFrame,
    check_count,
    check_same_size,
    clips_by_size,
    counted,
    inside,
    is_file,
    natural_order,
)
from fsrvos.data.support_masks import read_labels
from fsrvos.data.support_pairs import pictures
from fsrvos.data.support_polygons import draw_circle, draw_polygon, draw_rectangle, points_array
from fsrvos.data.support_stills import Still, find_still
from fsrvos.errors import UserError

_Draw = Callable[[np.ndarray, tuple[int, int]], np.ndarray]
_OUTLINES: dict[str, tuple[int, _Draw]] = {
    "polygon": (3, draw_polygon),
    "rectangle": (2, draw_rectangle),
    "circle": (2, draw_circle),
}
_WITHOUT_AREA = ("point", "points", "line", "linestrip")


@dataclass(frozen=True)
class _Shape:
    label: str
    group: str | None
    draw: Callable[[], np.ndarray]


def is_labelme(content: dict[str, Any]) -> bool:
    """Whether a JSON file is one of LabelMe."""
    return "shapes" in content


def read_labelme(files: list[Path], folder: Path | None = None) -> list[LabelledClip]:
    """Reads LabelMe files of one folder; a clip is all pictures of one size, in natural order.

    An object is a label: all of its shapes together. Where a label has several group ids, each is an object of its own,
    named ``label:group``. The label is the object's phrase.

    Args:
        files: JSON files of one folder.
        folder: That folder, if its pictures that no file describes are to be counted in a warning.

    Raises:
        UserError: If a file is none of LabelMe, its picture is missing, elsewhere or of another size, or a shape is none.
    """
    files = sorted(files, key=lambda path: natural_order(path.name))
    check_count(len(files), files[0].parent)
    read = [(path, *_read(path)) for path in files]
    if folder is not None:
        _warn_of_unlabelled(folder, {still.content for _, still, _ in read})
    groups: dict[str, set[str | None]] = {}
    for _, _, shapes in read:
        for shape in shapes:
            groups.setdefault(shape.label, set()).add(shape.group)
    labels: dict[str, str] = {}
    frames = []
    for path, still, shapes in read:
        parts: dict[str, list[Callable[[], np.ndarray]]] = {}
        for shape in shapes:
            several = len(groups[shape.label]) > 1 and shape.group is not None
            name = f"{shape.label}:{shape.group}" if several else shape.label
            labels[name] = shape.label
            parts.setdefault(name, []).append(shape.draw)
        objects = {name: union(draws) for name, draws in parts.items()}
        frames.append(LabelledFrame(str(path), still.size, still.read, objects))
    if not labels:
        raise UserError(
            f"{files[0]}: holds no shapes with an area, nor does a file beside it; draw a polygon"
        )
    return clips_by_size(frames, lambda name: labels[name])


def union(draws: Iterable[Callable[[], np.ndarray]]) -> Callable[[], np.ndarray]:
    """What draws several masks as one."""
    return lambda: np.logical_or.reduce([draw() for draw in draws])


def _warn_of_unlabelled(folder: Path, used: set[Path | bytes]) -> None:
    without = sum(path not in used for path in pictures(folder))
    if without:
        warnings.warn(f"{folder}: {counted(without, 'picture')} without JSON left out", stacklevel=2)


def _read(path: Path) -> tuple[Still, list[_Shape]]:
    content = read_json(path, max_megabytes=MAX_SUPPORT_MEGABYTES)
    still = _still(path, content)
    width, height = content.get("imageWidth"), content.get("imageHeight")
    if isinstance(width, int) and isinstance(height, int):
        check_same_size(path, (width, height), still)
    entries = content.get("shapes")
    if not isinstance(entries, list):
        raise UserError(f'{path}: "shapes" must be a list')
    shapes = []
    without_area = 0
    for n, entry in enumerate(entries):
        where = f"shape {n + 1}"
        shape = mapping(entry, path, where)
        if shape.get("shape_type") in _WITHOUT_AREA:
            without_area += 1
            continue
        label, group = shape.get("label"), shape.get("group_id")
        if not isinstance(label, str) or not label.strip():
            raise UserError(f"{path}: {where} has no label; give it the object's name")
        draw = _drawing(shape, still.size, f"{path}: {where}")
        shapes.append(_Shape(label, None if group is None else str(group), draw))
    if without_area:
        warnings.warn(f"{path}: {counted(without_area, 'shape')} of points or lines left out", stacklevel=2)
    return still, shapes


def _still(path: Path, content: dict[str, Any]) -> Still:
    name, data = content.get("imagePath"), content.get("imageData")
    image = None
    if name is not None:
        image = inside(path.parent, name, path, "imagePath")
        if is_file(image):
            return find_still(image)
    if isinstance(data, str):
        return find_still(_bytes(data, f"{path}: imageData"), f"{path} (imageData)")
    if image is None:
        raise UserError(f"{path}: has neither imagePath nor imageData; name its picture in imagePath")
    raise UserError(f"{path}: its picture {image} is missing; put it there, or save with imageData")


def _drawing(shape: dict[str, Any], size: tuple[int, int], where: str) -> Callable[[], np.ndarray]:
    kind = shape.get("shape_type") or "polygon"  # the first versions of LabelMe knew no other
    if kind == "mask":
        return _mask_drawing(shape, size, where)
    if not isinstance(kind, str) or kind not in _OUTLINES:
        raise UserError(f"{where} is a {kind!r}; draw a polygon, rectangle, circle or mask")
    fewest, draw = _OUTLINES[kind]
    points = points_array(shape.get("points"), f"{where} ({kind})", fewest)
    return lambda: draw(points, size)


def _mask_drawing(shape: dict[str, Any], size: tuple[int, int], where: str) -> Callable[[], np.ndarray]:
    """A shape of type mask: a small mask picture, whose upper left pixel lies at the first point."""
    data = shape.get("mask")
    if not isinstance(data, str):
        raise UserError(f'{where} (mask): has no picture in "mask"; draw it again')
    left, top = points_array(shape.get("points"), f"{where} (mask)", 1)[0].astype(int)
    small = read_labels(_bytes(data, where), f"{where} (mask)").values > 0
    width, height = size

    def draw() -> np.ndarray:
        mask = np.zeros((height, width), dtype=bool)
        rows, columns = np.nonzero(small)
        rows, columns = rows + top, columns + left
        seen = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        mask[rows[seen], columns[seen]] = True
        return mask

    return draw


def _bytes(data: str, where: str) -> bytes:
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UserError(f"{where}: is no base64 ({error}); save the file again") from error
