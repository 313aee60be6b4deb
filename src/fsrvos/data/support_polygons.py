"""Draws the outlines of annotations: a pixel belongs to a shape if its centre does.

Coordinates are those of LabelMe and COCO: (x, y) in pixels with (0, 0) at the upper left corner of the upper left pixel,
so that its centre is (0.5, 0.5). What a shape has outside the picture is cut off. Pillow's and pycocotools' polygons
differ from this in pixels that the outline cuts; theirs depend on where it starts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fsrvos.data.support_labelled import counted
from fsrvos.errors import UserError


def points_array(points: object, where: str, fewest: int) -> np.ndarray:
    """Checks the points of a shape: (N, 2) float64.

    Args:
        points: A list of pairs, as read from JSON.
        where: File and entry, for the error line.
        fewest: The number of points that such a shape has at least.

    Raises:
        UserError: If they are no pairs of finite numbers, or too few.
    """
    pairs = points if isinstance(points, list) else []
    if not isinstance(points, list) or not all(_is_point(pair) for pair in pairs):
        raise UserError(f"{where}: its points must be pairs [x, y] of finite numbers")
    if len(pairs) < fewest:
        raise UserError(f"{where}: has {counted(len(pairs), 'point')}, such a shape needs {fewest} or more")
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


def draw_polygon(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fills a polygon by the even-odd rule.

    Args:
        points: (N, 2) corners (x, y); the last is joined with the first.
        size: (width, height) of the picture.

    Returns:
        (H, W) bool.
    """
    width, height = size
    # A pixel is inside if an odd number of edges cross its row on the left of its centre: each crossing is noted at
    # the first pixel whose centre is not left of it, and then counted along the row.
    crossings = np.zeros((height, width + 1), dtype=bool)  # whether odd in number
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        top, bottom = np.clip(np.ceil(np.sort([y0, y1]) - 0.5), 0, height).astype(int)
        rows = np.arange(top, bottom)
        if rows.size:
            x = x0 + (rows + 0.5 - y0) / (y1 - y0) * (x1 - x0)
            columns = np.clip(np.ceil(x - 0.5), 0, width).astype(int)
            crossings[rows, columns] ^= True  # an edge has one crossing a row
    return np.logical_xor.accumulate(crossings[:, :width], axis=1)


def draw_rectangle(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fills the upright rectangle around the points (N, 2): (H, W) bool."""
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return draw_polygon(np.array([(left, top), (right, top), (right, bottom), (left, bottom)]), size)


def draw_circle(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fills a circle, given by its centre and a point on it (2, 2): (H, W) bool."""
    (x, y), radius = points[0], np.hypot(*(points[1] - points[0]))
    rows, columns = np.arange(size[1])[:, None] + 0.5, np.arange(size[0]) + 0.5
    return np.hypot(columns - x, rows - y) <= radius


def _is_point(pair: object) -> bool:
    return isinstance(pair, Sequence) and len(pair) == 2 and all(is_coordinate(number) for number in pair)


def is_coordinate(number: object) -> bool:
    """Whether something out of JSON is a number that can be a place in a picture."""
    return isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < 1e9
