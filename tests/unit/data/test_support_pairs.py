"""Folders of pictures with masks beside them, and what a mask picture can be."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from support_made import HEIGHT, WIDTH, block, complaint, picture, rgb_of, save, save_ids

from fsrvos.data.support_sources import read_support

MASK = block(2, 3, 7, 9)


def test_pictures_of_one_size_are_a_clip_in_natural_order(tmp_path):
    for name in ("f10", "f9", "f1"):
        number = int(name[1:])
        save(tmp_path / f"{name}.bmp", picture(number))
        save_ids(tmp_path / f"{name}.png", block(0, 0, 2, number))
    (clip,) = read_support(tmp_path)
    assert clip.frames.dtype == torch.uint8
    assert clip.masks.dtype == torch.bool
    assert clip.frames.shape == (3, 3, HEIGHT, WIDTH)
    assert clip.expression == ""
    for index, number in enumerate((1, 9, 10)):
        np.testing.assert_array_equal(rgb_of(clip.frames, index), picture(number))
        np.testing.assert_array_equal(clip.masks[index].numpy(), block(0, 0, 2, number))


def test_a_picture_of_another_size_is_a_clip_of_its_own(tmp_path):
    for name, size in (("a", (16, 12)), ("b", (20, 10)), ("c", (16, 12))):
        save(tmp_path / f"{name}.bmp", picture(1, size))
        save_ids(tmp_path / f"{name}.png", block(1, 1, 4, 4, size))
    first, second = read_support(tmp_path, phrase="a dax")
    assert first.frames.shape == (2, 3, 12, 16)
    assert second.frames.shape == (1, 3, 10, 20)
    assert first.expression == second.expression == "a dax"


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".bmp", ".webp", ".tif"])
def test_every_kind_of_picture(tmp_path, suffix):
    save(tmp_path / f"a{suffix}", np.full((HEIGHT, WIDTH, 3), 200, np.uint8))
    save(tmp_path / "a.png", MASK)
    (clip,) = read_support(tmp_path)
    assert (clip.frames.int() - 200).abs().max() <= 2
    np.testing.assert_array_equal(clip.masks[0].numpy(), MASK)


def test_png_pictures_have_masks_by_another_name(tmp_path):
    save(tmp_path / "a.png", picture())
    save_ids(tmp_path / "a_mask.png", MASK)
    (clip,) = read_support(tmp_path)
    np.testing.assert_array_equal(rgb_of(clip.frames, 0), picture())
    np.testing.assert_array_equal(clip.masks[0].numpy(), MASK)


def test_one_picture_of_a_folder(tmp_path):
    for name in "ab":
        save(tmp_path / f"{name}.bmp", picture(ord(name)))
        save_ids(tmp_path / f"{name}.png", MASK)
    (clip,) = read_support(tmp_path / "b.bmp")
    assert len(clip.frames) == 1
    np.testing.assert_array_equal(rgb_of(clip.frames, 0), picture(ord("b")))
    assert "is a mask or has no mask" in complaint(tmp_path / "b.png")


def grey(mask):
    return Image.fromarray(mask.astype(np.uint8) * 255)


def one_bit(mask):
    return Image.fromarray(mask)


def sixteen_bit(mask):
    return Image.fromarray(mask.astype(np.uint16) * 300)


def colour(mask):
    return Image.fromarray(np.where(mask[..., None], (255, 0, 16), 0).astype(np.uint8))


def colour_on_transparent(mask):
    return Image.fromarray(np.where(mask[..., None], (255, 0, 16, 255), (9, 9, 9, 0)).astype(np.uint8))


def grey_on_transparent(mask):
    return Image.fromarray(np.where(mask[..., None], (70, 255), (90, 0)).astype(np.uint8), "LA")


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (grey, "255"),
        (one_bit, "1"),
        (sixteen_bit, "300"),
        (colour, "#ff0010"),
        (colour_on_transparent, "#FF0010"),
        (grey_on_transparent, "70"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*mode.*:DeprecationWarning")
def test_every_kind_of_mask(tmp_path, make, name):
    save(tmp_path / "a.bmp", picture())
    make(MASK).save(tmp_path / "a.png")
    for object_id in (None, name):
        (clip,) = read_support(tmp_path, object_id=object_id)
        np.testing.assert_array_equal(clip.masks[0].numpy(), MASK)
    assert "holds no object 7" in complaint(tmp_path, object_id=7)


def test_several_objects_are_asked_for_over_all_frames(tmp_path):
    ids = {"a": MASK * 1, "b": MASK * 1 + block(0, 0, 1, 1) * 2}
    for name, values in ids.items():
        save(tmp_path / f"{name}.bmp", picture())
        save_ids(tmp_path / f"{name}.png", values)
    line = complaint(tmp_path)
    assert line == f"{tmp_path}/b.png: holds the objects 1, 2; say object=1 or object=2"
    (clip,) = read_support(tmp_path, object_id=2)
    np.testing.assert_array_equal(clip.masks.numpy(), [np.zeros_like(MASK), block(0, 0, 1, 1)])
    assert complaint(tmp_path, object_id="3").endswith(
        "b.png: holds no object 3, only 1, 2; say object=1 or object=2"
    )


def test_several_colours_are_asked_for(tmp_path):
    save(tmp_path / "a.bmp", picture())
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:3], pixels[3:5] = (255, 0, 0), (0, 0, 255)
    save(tmp_path / "a.png", pixels)
    assert "#0000ff, #ff0000; say object=#0000ff or object=#ff0000" in complaint(tmp_path)
    (clip,) = read_support(tmp_path, object_id="#ff0000")
    np.testing.assert_array_equal(clip.masks[0].numpy(), block(0, 0, 3, WIDTH))


def test_a_clip_that_does_not_show_the_object(tmp_path):
    for name, size, value in (("a", (16, 12), 1), ("b", (20, 10), 2)):
        save(tmp_path / f"{name}.bmp", picture(1, size))
        save_ids(tmp_path / f"{name}.png", block(1, 1, 4, 4, size) * value)
    line = complaint(tmp_path, object_id=1)
    assert "b.png: the object 1 is nowhere in this clip of 1 frame, only 2" in line


def test_an_empty_mask(tmp_path):
    save(tmp_path / "a.bmp", picture())
    save_ids(tmp_path / "a.png", np.zeros((HEIGHT, WIDTH)))
    assert "a.png: the mask is empty, all zero" in complaint(tmp_path)


def test_a_soft_mask_says_how_to_mend_it(tmp_path):
    save(tmp_path / "a.bmp", picture())
    save(tmp_path / "a.png", np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8))
    line = complaint(tmp_path)
    assert f"a.png: is no mask of objects but has {HEIGHT * WIDTH} grey values" in line
    assert "values above 127 as 255" in line


def test_32_grey_values_are_ids_and_33_are_soft(tmp_path):
    save(tmp_path / "a.bmp", picture())
    save(tmp_path / "a.png", (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 32).astype(np.uint8))
    assert "holds the objects 1, 2, 3" in complaint(tmp_path)
    save(tmp_path / "a.png", (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 33).astype(np.uint8))
    assert "has 33 grey values" in complaint(tmp_path)


def test_sizes_that_differ_are_both_named(tmp_path):
    save(tmp_path / "a.bmp", picture())
    save_ids(tmp_path / "a.png", block(0, 0, 2, 2, (10, 8)))
    assert "a.png: is 10x8, but its frame" in (line := complaint(tmp_path))
    assert "a.bmp is 16x12" in line


def test_pictures_without_mask_are_counted_in_one_warning(tmp_path):
    for name in "abc":
        save(tmp_path / f"{name}.bmp", picture())
    save_ids(tmp_path / "a.png", MASK)
    with pytest.warns(UserWarning, match="left out") as caught:
        (clip,) = read_support(tmp_path)
    assert [str(one.message) for one in caught] == [f"{tmp_path}: 2 pictures without mask left out"]
    assert len(clip.frames) == 1


def test_a_png_alone_is_a_mask_beside_photos_and_a_picture_beside_pngs(tmp_path):
    for folder, suffix in (("photos", ".bmp"), ("pngs", ".png")):
        save(tmp_path / folder / f"a{suffix}", picture())
        save_ids(tmp_path / folder / "a_mask.png", MASK)
        save(tmp_path / folder / "b.png", picture())
    assert "b.png: is a mask without its picture" in complaint(tmp_path / "photos")
    with pytest.warns(UserWarning, match="1 picture without mask"):
        read_support(tmp_path / "pngs")


def test_folders_that_are_not_whole(tmp_path):
    for name in ("empty", "no_masks", "no_image", "two", "doubled"):
        (tmp_path / name).mkdir()
    save(tmp_path / "no_masks/a.bmp", picture())
    save_ids(tmp_path / "no_image/a_mask.png", MASK)
    for name in ("a.bmp", "a.tif"):
        save(tmp_path / "two" / name, picture())
    save(tmp_path / "doubled/a.bmp", picture())
    for name in ("a.png", "a_mask.png"):
        save_ids(tmp_path / "doubled" / name, MASK)
    assert "empty: holds no pictures; give" in complaint(tmp_path / "empty")
    assert "no_masks: 1 picture but no mask" in complaint(tmp_path / "no_masks")
    assert "a_mask.png: is a mask without its picture" in complaint(tmp_path / "no_image")
    assert "a.tif: has the name of a.bmp" in complaint(tmp_path / "two")
    assert "is a mask of the same picture as" in complaint(tmp_path / "doubled")
    assert "only the folders doubled, empty, no_image" in complaint(tmp_path)
    assert "nowhere: no such support" in complaint(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["a.bmp", "a.png"])
@pytest.mark.parametrize("damage", ["cut", "nonsense", "nothing"])
def test_a_corrupt_file_is_named(tmp_path, name, damage):
    save(tmp_path / "a.bmp", picture())
    save_ids(tmp_path / "a.png", MASK)
    whole = (tmp_path / name).read_bytes()
    content = {"cut": whole[: len(whole) // 2], "nonsense": b"nonsense" * 40, "nothing": b""}[damage]
    (tmp_path / name).write_bytes(content)
    assert f"{tmp_path / name}: cannot be decoded (" in complaint(tmp_path)


@pytest.mark.parametrize("name", ["a.bmp", "a.png"])
def test_links_that_leave_the_folder_are_refused(tmp_path, name):
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    for folder in (inner, outer):
        save(folder / "a.bmp", picture())
        save_ids(folder / "a.png", MASK)
    (inner / name).unlink()
    os.symlink(outer / name, inner / name)
    assert f"{inner / name}: is a link that leads out of" in complaint(inner)


@pytest.mark.parametrize(
    "size", [(8001, 8000), (10000, 10000), (16000, 16000)]
)  # also where Pillow warns and fails
def test_large_pictures_are_refused_from_the_header(tmp_path, size):
    save_ids(tmp_path / "a.png", MASK)
    Image.new("1", size).save(tmp_path / "a.tif", compression="group4")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "over 64 megapixels" in complaint(tmp_path)


@pytest.mark.parametrize("suffix", [".tif", ".webp", ".png"])
def test_exif_turns_the_frame_and_the_mask_is_expected_upright(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: turn it by 90 degrees clockwise to see it upright
    pixels = picture()
    save(tmp_path / f"a{suffix}", pixels, exif=exif, **({"lossless": True} if suffix == ".webp" else {}))
    mask = tmp_path / "a_mask.png"
    save_ids(mask, block(0, 0, 5, 2, (HEIGHT, WIDTH)))
    (clip,) = read_support(tmp_path)
    np.testing.assert_array_equal(rgb_of(clip.frames, 0), np.rot90(pixels, -1))
    np.testing.assert_array_equal(clip.masks[0].numpy(), block(0, 0, 5, 2, (HEIGHT, WIDTH)))
    save_ids(mask, block(0, 0, 5, 2))
    line = complaint(tmp_path)
    assert f"{mask}: is 16x12, but its frame" in line
    assert "is 12x16 once its EXIF orientation is applied" in line


def test_grey_alpha_and_16_bit_pictures(tmp_path):
    grey_values = picture()[..., 0]
    deep = grey_values.astype(np.uint16) * 257
    save(tmp_path / "deep.tif", deep)
    save(tmp_path / "grey.tif", grey_values)
    alpha = picture(1)[..., :1]
    save(tmp_path / "alpha.tif", np.dstack([picture(), alpha]))
    for name in ("alpha", "deep", "grey"):
        save_ids(tmp_path / f"{name}.png", MASK)
    (clip,) = read_support(tmp_path)
    over_black = np.floor(picture().astype(float) * alpha / 255 + 0.5)
    np.testing.assert_array_equal(rgb_of(clip.frames, 0), over_black)
    for index in (1, 2):
        np.testing.assert_array_equal(rgb_of(clip.frames, index), np.dstack([grey_values] * 3))
