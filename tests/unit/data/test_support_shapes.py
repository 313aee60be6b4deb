"""Polygons against a point-in-polygon test of every pixel's centre, RLE against pycocotools."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from fsrvos.data.support_polygons import draw_circle, draw_polygon, draw_rectangle
from fsrvos.data.support_rle import decode_rle
from fsrvos.errors import UserError

WIDTH, HEIGHT = 9, 7
COORDINATES = st.integers(-40, 140)  # tenths of a pixel, also outside the picture
SHAPES = st.lists(st.tuples(COORDINATES, COORDINATES), min_size=3, max_size=7)


def holds(points: list[tuple[Fraction, Fraction]], x: Fraction, y: Fraction) -> bool | None:
    """Even-odd rule for one point in exact arithmetic; None on the outline."""
    odd = False
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        cross = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
        if cross == 0 and min(x0, x1) <= x <= max(x0, x1) and min(y0, y1) <= y <= max(y0, y1):
            return None
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            odd = not odd
    return odd


@settings(max_examples=150, deadline=None)
@given(SHAPES)
def test_a_pixel_is_in_a_polygon_if_its_centre_is(tenths):
    drawn = draw_polygon(np.array(tenths) / 10, (WIDTH, HEIGHT))
    assert drawn.shape == (HEIGHT, WIDTH)
    exact = [(Fraction(x, 10), Fraction(y, 10)) for x, y in tenths]
    for row in range(HEIGHT):
        for column in range(WIDTH):
            expected = holds(exact, column + Fraction(1, 2), row + Fraction(1, 2))
            if expected is not None:
                assert drawn[row, column] == expected, (row, column)


def test_polygons_that_share_an_edge_share_no_pixel():
    left = draw_polygon(np.array([(0, 0), (4.5, 0), (4.5, 7), (0, 7)]), (WIDTH, HEIGHT))
    right = draw_polygon(np.array([(4.5, 0), (9, 0), (9, 7), (4.5, 7)]), (WIDTH, HEIGHT))
    assert (left ^ right).all()


def test_a_polygon_agrees_with_pycocotools_but_for_its_rim():
    points = [(10.2, 8.7), (88.1, 20.3), (70.9, 77.7), (25.4, 60.6)]
    ours = draw_polygon(np.array(points), (100, 90))
    theirs = coco_mask.decode(coco_mask.frPyObjects([np.ravel(points).tolist()], 90, 100))[..., 0] > 0
    assert ours.sum() > 3000
    assert (ours ^ theirs).sum() < 0.02 * ours.sum()


def test_rectangle_and_circle():
    rectangle = draw_rectangle(np.array([(6, 5), (2, 1)]), (WIDTH, HEIGHT))
    expected = np.zeros((HEIGHT, WIDTH), dtype=bool)
    expected[1:5, 2:6] = True
    np.testing.assert_array_equal(rectangle, expected)
    circle = draw_circle(np.array([(4.5, 3.5), (4.5, 5.5)]), (WIDTH, HEIGHT))
    for row in range(HEIGHT):
        for column in range(WIDTH):
            assert circle[row, column] == ((row - 3) ** 2 + (column - 4) ** 2 <= 4)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_rle_is_what_pycocotools_wrote(width, height, seed, share):
    mask = np.random.default_rng(seed).random((height, width)) < share
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    compressed = {"size": [height, width], "counts": rle["counts"].decode()}
    np.testing.assert_array_equal(decode_rle(compressed, (width, height), "x"), mask)
    flat = mask.T.ravel()
    changes = np.flatnonzero(np.diff(np.r_[False, flat, not flat[-1]]))
    counts = np.diff(np.r_[0, changes]).tolist()
    plain = {"size": [height, width], "counts": counts}
    np.testing.assert_array_equal(decode_rle(plain, (width, height), "x"), mask)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=30))
def test_a_damaged_rle_is_an_error_or_a_mask(text):
    with suppress(UserError):
        assert decode_rle({"size": [5, 4], "counts": text}, (4, 5), "x").shape == (5, 4)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"size": [5, 4]}, 'needs "size" [height, width] and "counts"'),
        ({"size": [4, 5], "counts": [20]}, "its RLE is 5x4, but its image is 4x5"),
        ({"size": [5, 4], "counts": [19]}, "sum up to 19, not to the 20"),
        ({"size": [5, 4], "counts": [21, -1]}, "whole numbers"),
        ({"size": [5, 4], "counts": [10.0, 10.0]}, "whole numbers"),
        ({"size": [5, 4], "counts": "P"}, "cut off"),
        ({"size": [5, 4], "counts": "!"}, "damaged"),
    ],
)
def test_an_rle_that_is_none(entry, words):
    with pytest.raises(UserError) as caught:
        decode_rle(entry, (4, 5), "a.json: annotation 3")
    assert words in str(caught.value)
    assert str(caught.value).startswith("a.json: annotation 3: ")
