"""COCO files of instances."""

from __future__ import annotations

import os

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from support_made import HEIGHT, WIDTH, block, complaint, picture, rgb_of, save, save_json

from fsrvos.data.support_sources import read_support

DOG, CAT = 18, 17
A_BLOCK, B_BLOCK = block(2, 3, 7, 9), block(0, 0, 3, 3)


def polygon(top, left, bottom, right):
    return [[left, top, right, top, right, bottom, left, bottom]]


def compressed(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def annotation(image, number, segmentation, category=DOG, **more):
    return {"id": number, "image_id": image, "category_id": category, "segmentation": segmentation, **more}


def coco(folder, annotations, place="", size=(WIDTH, HEIGHT), **more):
    """Two images, 1: f9.bmp and 2: f10.bmp, and a file that names them."""
    for seed, name in ((9, "f9"), (10, "f10")):
        save(folder / place / f"{name}.bmp", picture(seed, size))
    images = [
        {"id": number, "file_name": f"{name}.bmp", "width": size[0], "height": size[1]}
        for number, name in ((2, "f10"), (1, "f9"))
    ]
    categories = [{"id": CAT, "name": "cat"}, {"id": DOG, "name": "dog"}]
    content = {"images": images, "annotations": annotations, "categories": categories, **more}
    return save_json(folder / "instances.json", content)


TWO = [annotation(2, 5, compressed(B_BLOCK)), annotation(1, 6, polygon(2, 3, 7, 9))]


def test_polygons_and_rle_of_one_category(tmp_path):
    path = coco(tmp_path, TWO)
    for source in (path, tmp_path):
        (clip,) = read_support(source)
        np.testing.assert_array_equal(clip.masks.numpy(), [A_BLOCK, B_BLOCK])
        np.testing.assert_array_equal(rgb_of(clip.frames, 0), picture(9))
        np.testing.assert_array_equal(rgb_of(clip.frames, 1), picture(10))
        assert clip.expression == "dog"
    assert read_support(path, "the brown dog")[0].expression == "the brown dog"


def test_images_in_the_folder_of_that_name(tmp_path):
    coco(tmp_path / "inside", TWO, place="images")
    path = coco(tmp_path / "beside", TWO, place="images")
    (tmp_path / "beside/annotations").mkdir()
    path.rename(tmp_path / "beside/annotations/instances.json")
    for source in (tmp_path / "inside", tmp_path / "beside", tmp_path / "beside/annotations"):
        np.testing.assert_array_equal(read_support(source)[0].masks.numpy(), [A_BLOCK, B_BLOCK])


def test_several_polygons_of_an_annotation_are_one_object(tmp_path):
    path = coco(tmp_path, [annotation(1, 5, polygon(2, 3, 7, 9) + polygon(0, 0, 3, 3))])
    with pytest.warns(UserWarning, match="1 image without annotation left out"):
        (clip,) = read_support(path)
    np.testing.assert_array_equal(clip.masks.numpy(), [A_BLOCK | B_BLOCK])


def test_several_categories_are_asked_for(tmp_path):
    path = coco(tmp_path, [*TWO, annotation(2, 7, polygon(8, 8, 9, 9), CAT)])
    line = complaint(path)
    assert line == f"{path} (f10.bmp): holds the objects cat, dog; say object=cat or object=dog"
    (clip,) = read_support(path, object_id="dog")
    np.testing.assert_array_equal(clip.masks.numpy(), [A_BLOCK, B_BLOCK])
    (clip,) = read_support(path, object_id="cat")
    np.testing.assert_array_equal(clip.masks.numpy(), [np.zeros_like(A_BLOCK), block(8, 8, 9, 9)])
    assert clip.expression == "cat"
    assert "holds no object cow, only cat, dog" in complaint(path, object_id="cow")


def test_several_annotations_of_an_image_are_asked_for(tmp_path):
    path = coco(tmp_path, [*TWO, annotation(2, 7, polygon(8, 8, 9, 9))])
    assert "f10.bmp holds 2 annotations of dog, 5, 7; say object=dog" in complaint(path)
    (clip,) = read_support(path, object_id="dog")
    np.testing.assert_array_equal(clip.masks.numpy(), [A_BLOCK, B_BLOCK | block(8, 8, 9, 9)])
    (clip,) = read_support(path, object_id=7)
    np.testing.assert_array_equal(clip.masks.numpy(), [block(8, 8, 9, 9)])
    np.testing.assert_array_equal(rgb_of(clip.frames, 0), picture(10))
    assert clip.expression == "dog"


def test_a_crowd_does_not_count(tmp_path):
    path = coco(tmp_path, [*TWO, annotation(1, 7, compressed(B_BLOCK), iscrowd=1)])
    with pytest.warns(UserWarning, match="1 annotation marked iscrowd left out"):
        (clip,) = read_support(path)
    np.testing.assert_array_equal(clip.masks[0].numpy(), A_BLOCK)


@pytest.mark.parametrize(
    "name", ["../outer.bmp", "/etc/passwd", "images/../../outer.bmp", "l.bmp", "C:/outer.bmp"]
)
def test_names_that_lead_out_are_refused(tmp_path, name):
    inner = tmp_path / "inner"
    path = coco(inner, [annotation(1, 5, polygon(2, 3, 7, 9))], images=[{"id": 1, "file_name": name}])
    save(tmp_path / "outer.bmp", picture())
    os.symlink(tmp_path / "outer.bmp", inner / "l.bmp")
    assert f"{path}: file_name {name!r} leads out of" in complaint(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"categories": None}, '"categories" must be a list'),
        ({"categories": [{"id": DOG}]}, 'category 1 has no "name"'),
        ({"categories": []}, 'annotation 1 is of the category 18, which "categories" lacks'),
        ({"images": [3]}, "image 1 must be a JSON object"),
        ({"images": [{"id": 1}]}, 'image 1 has no "file_name"'),
        ({"images": [{"file_name": "f9.bmp"}]}, 'image 1: "id" must be a number or a name, got None'),
        ({"images": [{"id": 1, "file_name": "f9.bmp"}] * 2}, "two images have the id 1"),
        ({"images": [{"id": 1, "file_name": "f8.bmp"}]}, "its image {folder}/f8.bmp is missing"),
        ({"images": [{"id": 1, "file_name": "x" * 5000}]}, "is missing"),
        ({"images": [{"id": 1, "file_name": "f9.bmp", "width": 9, "height": 9}]}, "(f9.bmp): is 9x9, but its frame"),
        ({"images": []}, 'an annotation is of the image 1, which "images" lacks'),
        ({"annotations": []}, "holds no annotations"),
        ({"annotations": [annotation(1, 5, [])]}, "annotation 5 has no segmentation"),
        ({"annotations": [annotation(1, 5, [[1, 1, 5, 5]])]}, "annotation 5: has a polygon of 2 points"),
        ({"annotations": [annotation(1, 5, [[1, 1, 5, 5, 6, float("inf")]])]}, "list of finite numbers"),
        ({"annotations": [annotation(1, 5, [[1, 1, 5, 5, 6]])]}, "list of finite numbers"),
        ({"annotations": [annotation(1, 5, {"size": [5, 5], "counts": [25]})]}, "its RLE is 5x5, but its image is 16x12"),
        ({"annotations": [annotation(1, 5, {"size": [12, 16], "counts": [192]})]}, "the object dog is nowhere"),
        ({"annotations": [annotation(1, 5, polygon(20, 20, 30, 30))]}, "the object dog is nowhere in this clip"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*without annotation left out")
def test_what_is_wrong_is_named(tmp_path, change, words):
    path = coco(tmp_path, **{"annotations": [annotation(1, 5, polygon(2, 3, 7, 9))], **change})
    line = complaint(path)
    assert line.startswith(str(path))
    assert words.format(folder=tmp_path) in line


def test_a_folder_with_two_files_and_a_file_of_something_else(tmp_path):
    path = coco(tmp_path, TWO)
    save_json(tmp_path / "notes.json", {"made": "by hand"})
    assert len(read_support(tmp_path)) == 1
    assert f"{tmp_path}/notes.json: neither a LabelMe file" in complaint(tmp_path / "notes.json")
    (tmp_path / "more.json").write_bytes(path.read_bytes())
    assert "holds 2 COCO files; name the file" in complaint(tmp_path)
    save_json(tmp_path / "more.json", {"shapes": []})
    assert "holds more.json of LabelMe and instances.json of COCO" in complaint(tmp_path)
