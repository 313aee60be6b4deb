"""LabelMe files beside their pictures."""

from __future__ import annotations

import base64
import io
import os

import numpy as np
import pytest
from PIL import Image
from support_made import HEIGHT, WIDTH, block, complaint, picture, rgb_of, save, save_json

from fsrvos.data.support_sources import read_support


def shape(label, *points, kind="polygon", **more):
    return {"label": label, "points": [list(point) for point in points], "shape_type": kind, **more}


def square(label, top, left, bottom, right, **more):
    """Covers just the pixels of ``block`` with the same arguments."""
    return shape(label, (left, top), (right, top), (right, bottom), (left, bottom), **more)


def file(folder, name, *drawn, seed=0, size=(WIDTH, HEIGHT), **more):
    save(folder / f"{name}.bmp", picture(seed, size))
    content = {"version": "5.5.0", "imagePath": f"{name}.bmp", "imageData": None, "shapes": list(drawn)}
    return save_json(
        folder / f"{name}.json", {**content, "imageWidth": size[0], "imageHeight": size[1], **more}
    )


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_frames_of_a_folder_and_the_label_as_phrase(tmp_path):
    file(tmp_path, "f10", square("dax", 2, 3, 7, 9), seed=10)
    file(tmp_path, "f9", square("dax", 0, 0, 3, 3), square("dax", 6, 6, 8, 8), seed=9)
    file(tmp_path, "photo", square("dax", 1, 1, 4, 4), size=(20, 10))
    clip, photo = read_support(tmp_path)
    np.testing.assert_array_equal(
        clip.masks.numpy(), [block(0, 0, 3, 3) | block(6, 6, 8, 8), block(2, 3, 7, 9)]
    )
    np.testing.assert_array_equal(rgb_of(clip.frames, 0), picture(9))
    assert photo.frames.shape == (1, 3, 10, 20)
    assert clip.expression == photo.expression == "dax"
    assert read_support(tmp_path, "the red dax")[0].expression == "the red dax"


def test_one_file(tmp_path):
    path = file(tmp_path, "a", square("dax", 2, 3, 7, 9))
    file(tmp_path, "b", square("wug", 2, 3, 7, 9))
    (clip,) = read_support(path)
    assert (len(clip.frames), clip.expression) == (1, "dax")


def test_every_type_of_shape(tmp_path):
    small = np.zeros((3, 4), np.uint8)
    small[1:, 1:] = 1
    shapes = {
        "rectangle": (shape("x", (9, 7), (3, 2), kind="rectangle"), block(2, 3, 7, 9)),
        "mask": (shape("x", (5, 6), (8, 8), kind="mask", mask=png(small)), block(7, 6, 9, 9)),
        "mask partly outside": (
            shape("x", (14, -1), (17, 1), kind="mask", mask=png(small)),
            block(0, 15, 2, 16),
        ),
        "polygon partly outside": (square("x", -900, -5, 4, 3), block(0, 0, 4, 3)),
        "polygon by default": (
            {"label": "x", "points": [[1, 1], [4, 1], [4, 4], [1, 4]]},
            block(1, 1, 4, 4),
        ),
    }
    for name, (one, expected) in shapes.items():
        path = file(tmp_path, name, one)
        np.testing.assert_array_equal(read_support(path)[0].masks[0].numpy(), expected, err_msg=name)
    path = file(tmp_path, "circle", shape("x", (8, 6), (8, 9.2), kind="circle"))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    expected = (rows + 0.5 - 6) ** 2 + (columns + 0.5 - 8) ** 2 <= 3.2**2
    np.testing.assert_array_equal(read_support(path)[0].masks[0].numpy(), expected)


def test_labels_and_their_groups_are_asked_for(tmp_path):
    file(tmp_path, "a", square("dog", 0, 0, 2, 2, group_id=1), square("cat", 5, 5, 6, 6))
    path = tmp_path / "a.json"
    assert complaint(tmp_path) == f"{path}: holds the objects cat, dog; say object=cat or object=dog"
    (clip,) = read_support(tmp_path, object_id="dog")
    np.testing.assert_array_equal(clip.masks[0].numpy(), block(0, 0, 2, 2))
    file(tmp_path, "b", square("dog", 3, 3, 5, 5, group_id=2), square("dog", 6, 6, 7, 7, group_id=2))
    assert "holds no object dog, only cat, dog:1, dog:2; say" in complaint(tmp_path, object_id="dog")
    (clip,) = read_support(tmp_path, object_id="dog:2")
    np.testing.assert_array_equal(
        clip.masks.numpy(), [np.zeros((HEIGHT, WIDTH), bool), block(3, 3, 5, 5) | block(6, 6, 7, 7)]
    )
    assert clip.expression == "dog"


def test_the_embedded_picture_counts_where_the_file_is_not_there(tmp_path):
    other = picture(5)
    path = file(tmp_path, "a", square("x", 1, 1, 4, 4), imageData=png(other))
    np.testing.assert_array_equal(rgb_of(read_support(path)[0].frames, 0), picture(0))
    (tmp_path / "a.bmp").unlink()
    np.testing.assert_array_equal(rgb_of(read_support(path)[0].frames, 0), other)


def test_a_picture_in_a_folder_below_named_as_windows_does(tmp_path):
    path = file(tmp_path, "a", square("x", 1, 1, 4, 4), imagePath="frames\\a.bmp")
    (tmp_path / "frames").mkdir()
    (tmp_path / "a.bmp").rename(tmp_path / "frames/a.bmp")
    np.testing.assert_array_equal(rgb_of(read_support(path)[0].frames, 0), picture(0))


@pytest.mark.parametrize(
    "name", ["../outer.bmp", "..\\outer.bmp", "/etc/passwd", "C:\\a.bmp", "x/../../outer.bmp", "l.bmp"]
)
@pytest.mark.parametrize("embedded", [False, True])
def test_names_that_lead_out_are_refused(tmp_path, name, embedded):
    inner = tmp_path / "inner"
    path = file(
        inner, "a", square("x", 1, 1, 4, 4), imagePath=name, imageData=png(picture()) if embedded else None
    )
    save(tmp_path / "outer.bmp", picture())
    os.symlink(tmp_path / "outer.bmp", inner / "l.bmp")
    assert f"{path}: imagePath {name!r} leads out of {inner}" in complaint(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"imagePath": "b.bmp"}, "its picture {folder}/b.bmp is missing; put it there"),
        ({"imagePath": None}, "neither imagePath nor imageData"),
        ({"imagePath": "b\0.bmp"}, "imagePath must be the name of a picture"),
        ({"imagePath": "\ud800"}, "imagePath must be the name of a picture"),
        ({"imagePath": 3}, "imagePath must be the name of a picture, got 3"),
        ({"imagePath": "x" * 5000}, "is missing"),
        ({"imagePath": None, "imageData": "!"}, "imageData: is no base64"),
        ({"imagePath": None, "imageData": "AAAA"}, "(imageData): cannot be decoded"),
        ({"imageWidth": 17}, "is 17x12, but its frame {folder}/a.bmp is 16x12"),
        ({"shapes": 3}, '"shapes" must be a list'),
        ({"shapes": []}, "holds no shapes with an area"),
        ({"shapes": [3]}, "shape 1 must be a JSON object"),
        ({"shapes": [shape("", (0, 0), (1, 0), (0, 1))]}, "shape 1 has no label"),
        ({"shapes": [shape("x", (0, 0), (1, 0))]}, "shape 1 (polygon): has 2 points, such a shape needs 3 or more"),
        ({"shapes": [shape("x", (0, 0), kind="circle")]}, "shape 1 (circle): has 1 point, such a shape needs 2"),
        ({"shapes": [shape("x", (0, 0), (1, 0), (0, float("nan")))]}, "pairs [x, y] of finite numbers"),
        ({"shapes": [shape("x", (0, 0), (1, 0), (0, 10**400))]}, "pairs [x, y] of finite numbers"),
        ({"shapes": [shape("x", (0, 0), (1, 0), (0, "1"))]}, "pairs [x, y] of finite numbers"),
        ({"shapes": [shape("x", (0, 0), kind="mask")]}, 'has no picture in "mask"'),
        ({"shapes": [shape("x", (0, 0), kind="blob")]}, "shape 1 is a 'blob'; draw a polygon"),
        ({"shapes": [shape("x", (0, 0), kind=["polygon"])]}, "shape 1 is a ['polygon']; draw a polygon"),
        ({"shapes": [square("x", 20, 20, 30, 30)]}, "the object x is nowhere in this clip of 1 frame"),
        ({"shapes": [square("a\nb", 0, 0, 3, 3), square("c", 0, 0, 3, 3)]}, "holds the objects 'a\\nb', c"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, change, words):
    path = file(tmp_path, "a", **{"shapes": [square("x", 1, 1, 4, 4)], **change})
    line = complaint(path)
    assert line.startswith(str(path))
    assert words.format(folder=tmp_path) in line


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"shapes": ' + "[" * 100_000, "9" * 5000, "\xff"])
def test_a_broken_json_is_named(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content.encode("latin-1"))
    assert complaint(path).startswith(f"{path}: ")


def test_what_is_left_out_is_counted(tmp_path):
    file(
        tmp_path,
        "a",
        square("x", 1, 1, 4, 4),
        shape("x", (1, 1), kind="point"),
        shape("x", (1, 1), (2, 2), kind="line"),
    )
    save(tmp_path / "b.bmp", picture())
    with pytest.warns(UserWarning, match="left out") as caught:
        (clip,) = read_support(tmp_path)
    lines = sorted(str(one.message) for one in caught)
    assert lines[0].endswith("a.json: 2 shapes of points or lines left out")
    assert lines[1].endswith(": 1 picture without JSON left out")
    assert len(clip.frames) == 1


def test_a_json_of_another_name_than_its_picture(tmp_path, recwarn):
    file(tmp_path, "a", square("x", 1, 1, 4, 4)).rename(tmp_path / "notes.json")
    np.testing.assert_array_equal(rgb_of(read_support(tmp_path)[0].frames, 0), picture(0))
    assert not recwarn.list


def test_a_file_whose_shapes_are_deleted_is_a_frame_without_the_object(tmp_path):
    file(tmp_path, "a", square("x", 1, 1, 4, 4))
    file(tmp_path, "b")
    (clip,) = read_support(tmp_path)
    assert clip.masks.flatten(1).any(1).tolist() == [True, False]
