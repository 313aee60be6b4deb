"""The benchmark's layout, given as data root, split or video folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from support_made import HEIGHT, WIDTH, block, complaint, picture, rgb_of, save, save_ids, save_json

from fsrvos.data.support_sources import read_support

SHARED = Path(__file__).parents[4] / "shared/data/Mini-Ref-YouTube-VOS"
DOG = {"00000": block(0, 0, 4, 4) * 1, "00010": block(1, 1, 4, 4) * 1 + block(8, 8, 9, 12) * 2}
CAT = {"00005": block(2, 2, 9, 9) * 7}


@pytest.fixture
def root(tmp_path):
    split = tmp_path / "train"
    for video, masks in (("dog", DOG), ("cat", CAT)):
        for number in range(0, 15, 5):
            save(split / f"JPEGImages/{video}/{number:05d}.jpg", picture(number), quality=100, subsampling=0)
        for name, ids in masks.items():
            save_ids(split / f"Annotations/{video}/{name}.png", ids)
    expressions = {
        "dog": {"10": {"exp": "late", "obj_id": "2"}, "2": {"exp": "the wug", "obj_id": 2}},
        "cat": {"0": {"exp": "a dax", "obj_id": "7"}},
    }
    videos = {video: {"frames": [], "expressions": entries} for video, entries in expressions.items()}
    save_json(tmp_path / "meta_expressions/train/meta_expressions.json", {"videos": videos})
    return tmp_path


@pytest.mark.parametrize("kind", ["JPEGImages", "Annotations"])
def test_a_video_folder_is_one_clip_of_the_frames_with_mask(root, kind):
    (clip,) = read_support(root / "train" / kind / "dog", object_id=2)
    assert clip.frames.shape == (2, 3, HEIGHT, WIDTH)
    np.testing.assert_array_equal(clip.masks.numpy(), [DOG["00000"] == 2, DOG["00010"] == 2])
    for index, number in enumerate((0, 10)):
        decoded = rgb_of(clip.frames, index).astype(int)
        assert np.abs(decoded - picture(number)).mean() < 5 < np.abs(decoded - picture(5)).mean()
    assert clip.expression == "the wug"
    (named,) = read_support(root / "train" / kind / "dog", "a dog", "2")
    assert named.expression == "a dog"


def test_a_video_folder_named_from_inside(root, monkeypatch):
    monkeypatch.chdir(root / "train/JPEGImages/cat")
    assert read_support(".")[0].expression == "a dax"
    monkeypatch.chdir(root / "train/JPEGImages")
    assert read_support("cat")[0].expression == "a dax"


def test_an_object_without_expression_has_no_phrase(root):
    (clip,) = read_support(root / "train/JPEGImages/dog", object_id=1)
    assert clip.expression == ""


@pytest.mark.parametrize("part", ["", "train", "train/JPEGImages", "train/Annotations"])
def test_all_videos_of_a_data_root_each_with_its_own_ids(root, part):
    ids = DOG["00010"].copy()
    ids[ids == 2] = 0
    save_ids(root / "train/Annotations/dog/00010.png", ids)
    cat, dog = read_support(root / part)
    np.testing.assert_array_equal(cat.masks[0].numpy(), CAT["00005"] == 7)
    np.testing.assert_array_equal(dog.masks[1].numpy(), ids == 1)
    assert (cat.expression, dog.expression) == ("a dax", "")


def test_where_the_two_folders_may_be(root):
    for place in ("valid", "Mini-Ref-YouTube-VOS", "other"):
        old = next(path.parent for path in root.rglob("JPEGImages"))
        old.rename(root / place)
        (clip,) = read_support(root / place / "JPEGImages/cat")
        np.testing.assert_array_equal(clip.masks[0].numpy(), CAT["00005"] == 7)
        source = root if place != "other" else root / place
        assert "holds the objects 1, 2" in complaint(source)  # the dog's, so it found the videos


def test_files_of_one_video_in_the_two_folders_themselves(tmp_path):
    save(tmp_path / "JPEGImages/a.bmp", picture())
    save_ids(tmp_path / "Annotations/a.png", CAT["00005"])
    (clip,) = read_support(tmp_path)
    np.testing.assert_array_equal(rgb_of(clip.frames, 0), picture())
    np.testing.assert_array_equal(clip.masks[0].numpy(), CAT["00005"] == 7)


def test_several_objects_are_asked_for_by_video(root):
    line = complaint(root / "train/JPEGImages/dog")
    assert line == (
        f"{root}/train/Annotations/dog/00010.png: holds the objects 1, 2; say object=1 or object=2"
    )
    assert "Annotations/cat: holds no object 1, only 7; say object=7" in complaint(root, object_id=1)


def test_links_to_the_full_data_set_are_followed(root, tmp_path_factory):
    linked = tmp_path_factory.mktemp("linked")
    for kind in ("JPEGImages", "Annotations"):
        (linked / "train" / kind).mkdir(parents=True)
        os.symlink(root / "train" / kind / "cat", linked / "train" / kind / "cat")
    (clip,) = read_support(linked)
    np.testing.assert_array_equal(clip.masks[0].numpy(), CAT["00005"] == 7)


def test_what_is_missing_is_named(root):
    frame = root / "train/JPEGImages/cat/00005.jpg"
    frame.rename(frame.with_name("00006.jpg"))
    line = complaint(root / "train/JPEGImages/cat")
    assert line.startswith(f"{root}/train/Annotations/cat/00005.png: is a mask without its frame {frame}")
    (root / "train/Annotations/cat/00005.png").unlink()
    assert "Annotations/cat: holds no masks" in complaint(root / "train/JPEGImages/cat")
    (root / "train/Annotations").rename(root / "elsewhere")
    assert "has JPEGImages but no Annotations" in complaint(root)


def test_videos_without_masks_are_counted(root):
    for path in (root / "train/Annotations/dog").iterdir():
        path.unlink()
    (root / "train/Annotations/dog").rmdir()
    with pytest.warns(UserWarning, match="1 video without masks left out"):
        (clip,) = read_support(root)
    assert clip.expression == "a dax"


def test_sizes_must_agree_within_a_video(root):
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        path = root / f"train/{kind}/dog/00010.{suffix}"
        small = picture(0, (10, 8))
        save(path, small) if suffix == "jpg" else save_ids(path, block(0, 0, 2, 2, (10, 8)))
    line = complaint(root / "train/JPEGImages/dog")
    assert "00010.png: is 10x8" in line
    assert "00000.png is 16x12" in line


def test_broken_expressions(root):
    path = root / "meta_expressions/train/meta_expressions.json"
    path.write_text('{"videos": {"cat": 3}}')
    assert f"{path}: video 'cat' must be a JSON object" in complaint(root / "train/JPEGImages/cat")
    path.write_text("{")
    assert f"{path}: not valid JSON" in complaint(root / "train/JPEGImages/cat")
    assert read_support(root / "train/JPEGImages/cat", phrase="a dax")[0].expression == "a dax"


def test_too_many_frames_are_refused_before_any_is_decoded(root):
    for number in range(1100):
        (root / f"train/Annotations/cat/x{number}.png").touch()
    assert "holds 1101 annotated frames, a support may have 1024" in complaint(root / "train/JPEGImages/cat")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real clips lie beside the workplace's checkout only")
def test_real_clips():
    clips = read_support(SHARED)
    assert [len(clip.frames) for clip in clips] == [17, 8, 12, 11, 10, 20]
    assert all(clip.expression and clip.frames.shape[1:] == (3, 480, 854) for clip in clips)
