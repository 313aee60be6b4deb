"""Support as a COCO file of instances: polygons and RLE, by category or annotation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fsrvos.data.json_files import mapping
from fsrvos.data.support_choice import listed
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
    shown,
)
from fsrvos.data.support_labelme import union
from fsrvos.data.support_polygons import draw_polygon, is_coordinate
from fsrvos.data.support_rle import decode_rle
from fsrvos.data.support_stills import Still, find_still
from fsrvos.errors import UserError

_IMAGES = "images"


@dataclass(frozen=True)
class _Annotation:
    name: str
    category: str
    segmentation: object


def is_coco(content: dict[str, Any]) -> bool:
    """Whether a JSON file is one of COCO."""
    return _IMAGES in content and "annotations" in content


def read_coco(path: Path, content: dict[str, Any], object_id: str | None) -> list[LabelledClip]:
    """Reads the annotated images; a clip is all images of one size, in natural order of their names.

    An object is a category, all of its annotations in an image together; or one annotation, by its id, in the one image
    that it is of. The category's name is the phrase. What is marked iscrowd does not count.

    Args:
        path: The JSON file; images are below its folder, or below the ``images`` folder in or beside that.
        content: What it holds.
        object_id: Name of a category or id of an annotation; only a category with one annotation an image needs none.

    Raises:
        UserError: If the file is none of COCO, an image is missing, elsewhere or of another size, an annotation has no
            proper segmentation, or an image has several annotations of the only category and none is chosen.
    """
    images, annotations = _images(content, path), _annotations(content, path)
    categories = {one.category for several in annotations.values() for one in several}
    by_annotation = object_id is not None and object_id not in categories
    if by_annotation:
        chosen = {
            image: [one for one in several if one.name == object_id] for image, several in annotations.items()
        }
        chosen = {image: several for image, several in chosen.items() if several}
        by_annotation = bool(chosen)  # else the choice among the categories says what there is
        annotations = chosen or annotations
    unknown = next((image for image in annotations if image not in images), None)
    if unknown is not None:
        raise UserError(
            f'{path}: an annotation is of the image {unknown!r}, which "images" lacks; add it there'
        )
    if not annotations:
        raise UserError(f"{path}: holds no annotations (iscrowd does not count); draw a polygon")
    if object_id is None and len(categories) == 1:
        _check_single(path, images, annotations)
    if not by_annotation and len(annotations) < len(images):
        left_out = counted(len(images) - len(annotations), "image")
        warnings.warn(f"{path}: {left_out} without annotation left out", stacklevel=2)
    check_count(len(annotations), path)
    phrases = {
        one.name if by_annotation else one.category: one.category for a in annotations.values() for one in a
    }
    order = sorted(annotations, key=lambda image: natural_order(str(images[image]["file_name"])))
    frames = [_frame(path, images[image], annotations[image], by_annotation) for image in order]
    return clips_by_size(frames, lambda name: phrases[name])


def _check_single(
    path: Path, images: dict[Any, dict[str, Any]], annotations: dict[Any, list[_Annotation]]
) -> None:
    for image, several in annotations.items():
        if len(several) > 1:
            category, ids = several[0].category, [one.name for one in several]
            raise UserError(
                f"{path}: {shown(str(images[image]['file_name']))} holds {len(several)} annotations of"
                f" {shown(category)}, {listed(ids)}; say object={shown(category)} for all of them together in every"
                f" image, or one of the ids, such as object={shown(ids[0])}"
            )


def _frame(
    path: Path, image: dict[str, Any], annotations: list[_Annotation], by_annotation: bool
) -> LabelledFrame:
    still = _still(path, image)
    annotation = f"{path} ({shown(image['file_name'])})"
    width, height = image.get("width"), image.get("height")
    if isinstance(width, int) and isinstance(height, int):
        check_same_size(annotation, (width, height), still)
    parts: dict[str, list[Callable[[], np.ndarray]]] = {}
    for one in annotations:
        draw = _drawing(one, still.size, f"{path}: annotation {shown(one.name)}")
        parts.setdefault(one.name if by_annotation else one.category, []).append(draw)
    objects = {name: union(draws) for name, draws in parts.items()}
    return LabelledFrame(annotation, still.size, still.read, objects)


def _still(path: Path, image: dict[str, Any]) -> Still:
    folders = [path.parent, path.parent / _IMAGES, path.resolve().parent.parent / _IMAGES]
    files = [inside(folder, image.get("file_name"), path, "file_name") for folder in folders]
    found = next((file for file in files if is_file(file)), None)
    if found is None:
        raise UserError(f"{path}: its image {files[0]} is missing, also below {folders[1]} and {folders[2]}")
    return find_still(found)


def _images(content: dict[str, Any], path: Path) -> dict[Any, dict[str, Any]]:
    images = {}
    for n, entry in enumerate(_list(content, _IMAGES, path)):
        image = mapping(entry, path, f"image {n + 1}")
        if not isinstance(image.get("file_name"), str):
            raise UserError(f'{path}: image {n + 1} has no "file_name"')
        image_id = _id(image, "id", f"{path}: image {n + 1}")
        if image_id in images:
            raise UserError(f"{path}: two images have the id {image_id!r}; number them anew")
        images[image_id] = image
    return images


def _annotations(content: dict[str, Any], path: Path) -> dict[Any, list[_Annotation]]:
    """The annotations of each image."""
    categories = {}
    for n, entry in enumerate(_list(content, "categories", path)):
        category = mapping(entry, path, f"category {n + 1}")
        name = category.get("name")
        if not isinstance(name, str) or not name.strip():
            raise UserError(f'{path}: category {n + 1} has no "name"')
        categories[_id(category, "id", f"{path}: category {n + 1}")] = name
    annotations: dict[Any, list[_Annotation]] = {}
    crowds = 0
    for n, entry in enumerate(_list(content, "annotations", path)):
        annotation = mapping(entry, path, f"annotation {n + 1}")
        where = f"{path}: annotation {n + 1}"
        if annotation.get("iscrowd"):
            crowds += 1
            continue
        category_id = _id(annotation, "category_id", where)
        if category_id not in categories:
            raise UserError(
                f'{where} is of the category {category_id!r}, which "categories" lacks; add it there'
            )
        one = _Annotation(
            str(_id(annotation, "id", where)), categories[category_id], annotation.get("segmentation")
        )
        annotations.setdefault(_id(annotation, "image_id", where), []).append(one)
    if crowds:
        warnings.warn(f"{path}: {counted(crowds, 'annotation')} marked iscrowd left out", stacklevel=2)
    return annotations


def _drawing(annotation: _Annotation, size: tuple[int, int], where: str) -> Callable[[], np.ndarray]:
    segmentation = annotation.segmentation
    if isinstance(segmentation, dict):
        return lambda: decode_rle(segmentation, size, where)
    if not isinstance(segmentation, list) or not segmentation:
        raise UserError(f"{where} has no segmentation; draw a polygon, a box alone is no mask")
    return union([_polygon(numbers, size, where) for numbers in segmentation])


def _polygon(numbers: object, size: tuple[int, int], where: str) -> Callable[[], np.ndarray]:
    if not isinstance(numbers, list) or len(numbers) % 2 or not all(map(is_coordinate, numbers)):
        raise UserError(f"{where}: a polygon must be a list of finite numbers x1, y1, x2, y2, ...")
    if len(numbers) < 6:
        raise UserError(
            f"{where}: has a polygon of {counted(len(numbers) // 2, 'point')}, it needs 3 or more"
        )
    points = np.array(numbers, dtype=np.float64).reshape(-1, 2)
    return lambda: draw_polygon(points, size)


def _list(content: dict[str, Any], key: str, path: Path) -> list[Any]:
    entries = content.get(key)
    if not isinstance(entries, list):
        raise UserError(f'{path}: "{key}" must be a list, as in a COCO file of instances')
    return entries


def _id(entry: dict[str, Any], key: str, where: str) -> int | str:
    value = entry.get(key)
    if not isinstance(value, int | str):
        raise UserError(f'{where}: "{key}" must be a number or a name, got {value!r}')
    return value
