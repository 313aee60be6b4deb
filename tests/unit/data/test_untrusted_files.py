"""Files one does not trust: links, huge pictures, huge and deep JSON, odd names, and trees damaged at random."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import zlib
from pathlib import Path

import fuzz
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image, ImageFile
from zoo import frame_name, read_quietly, write, zoo

from fsrvos.data import json_files
from fsrvos.data.annotation_checks import is_empty
from fsrvos.data.clips import read_clip
from fsrvos.data.image_files import check_end, read_frame, read_mask
from fsrvos.data.json_files import read_json
from fsrvos.data.validation import validate
from fsrvos.errors import UserError

EXPRESSIONS, META = "meta_expressions/train/meta_expressions.json", "train/meta.json"
FRAMES, MASKS = "train/JPEGImages", "train/Annotations"
TREES = int(os.environ.get("FSRVOS_FUZZ_TREES", "60"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    films = {name: film for name, film in zoo().items() if name.startswith("plant")}
    return write(tmp_path / "set", films)


def read_plant(root: Path) -> object:
    annotations = read_quietly(root)
    return read_clip(annotations, annotations.clip("plant_0", "1", "0", (frame_name(0),)))


def line_of(call, *arguments) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert str(caught.value).isprintable()
    return str(caught.value)


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content["videos"])
    path.write_text(json.dumps(content))


# ---------------------------------------------------------------- trees damaged at random


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return fuzz.write_small_root(tmp_path_factory.mktemp("fuzz") / "whole")


def test_the_tree_is_whole_before_it_is_damaged(whole, tmp_path):
    ended = fuzz.outcomes(whole, tmp_path / "copy", [])
    assert {name: outcome for name, (outcome, _) in ended.items()} == dict.fromkeys(fuzz.STEPS, "success")


@settings(max_examples=TREES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(drawn=fuzz.damages)
def test_reading_a_damaged_tree_ends_in_success_or_in_one_line(whole, drawn):
    ended = fuzz.outcomes(whole, whole.parent / "damaged", drawn)
    assert not [told for told in ended.values() if told[0] == "escaped"]


# ---------------------------------------------------------------- links


@pytest.mark.parametrize("folder", [FRAMES, MASKS])
@pytest.mark.parametrize("level", ["file", "video"])
def test_a_link_out_of_the_set_is_refused(root, tmp_path, folder, level):
    video = root / folder / "plant_0"
    outside = tmp_path / "private"
    shutil.copytree(video, outside)
    linked = video
    if level == "video":
        shutil.rmtree(video)
        video.symlink_to(outside)
    else:
        linked = next(iter(sorted(video.iterdir())))
        linked.unlink()
        linked.symlink_to(outside / linked.name)
    assert re.search(
        f"{re.escape(str(linked))}.* is a link that leaves the data set", line_of(read_plant, root)
    )
    assert "unsafe-id" in [one.kind for result in validate(root, workers=1) for one in result.faults]


def test_a_chain_of_links_is_followed_to_its_end(root, tmp_path):
    file = root / FRAMES / "plant_0/00000.jpg"
    file.rename(tmp_path / "private.jpg")
    (root / "inside.jpg").symlink_to(tmp_path / "private.jpg")
    file.symlink_to("../../../inside.jpg")
    assert "is a link that leaves" in line_of(read_plant, root)


def test_links_inside_the_set_are_read(root):
    file = root / FRAMES / "plant_0/00000.jpg"
    file.rename(root / "moved.jpg")
    file.symlink_to(root / "moved.jpg")
    read_plant(root)


def test_the_sets_own_folders_may_be_links_and_the_root_too(root, tmp_path):
    (root / FRAMES).rename(tmp_path / "frames_on_a_large_disk")
    (root / FRAMES).symlink_to(tmp_path / "frames_on_a_large_disk")
    (tmp_path / "link").symlink_to(root)
    read_plant(tmp_path / "link")


def test_a_video_may_be_a_link_to_the_same_video_of_another_set(root, tmp_path):
    other = shutil.copytree(root, tmp_path / "other")
    for folder in (FRAMES, MASKS):
        shutil.rmtree(root / folder / "plant_0")
        (root / folder / "plant_0").symlink_to(other / folder / "plant_0")
    read_plant(root)
    (root / FRAMES / "plant_0").unlink()
    (root / FRAMES / "plant_0").symlink_to(other / FRAMES / "plant_1")
    assert "is a link that leaves" in line_of(read_plant, root)


# ---------------------------------------------------------------- names and texts


@pytest.mark.parametrize("name", ["two\nlines", "\u2028", "\ud800", "\x1b[2J"])
def test_names_that_no_line_or_no_file_name_can_hold_are_refused(root, name):
    edit(root / EXPRESSIONS, lambda videos: videos.update({name: videos.pop("plant_0")}))
    assert "an id must be a plain name" in line_of(read_quietly, root)


def test_a_name_that_is_too_long_for_a_file_is_a_missing_one(root):
    edit(root / EXPRESSIONS, lambda videos: videos["plant_0"]["frames"].append("1" * 300))
    annotations = read_quietly(root)
    clip = annotations.clip("plant_0", "1", "0", ("1" * 300,))
    assert "cannot be decoded" in line_of(read_clip, annotations, clip)
    assert is_empty(root / ("x" * 300))
    assert is_empty(root / "\ud800")


def test_a_category_is_one_line(root):
    edit(root / META, lambda videos: videos["plant_0"]["objects"]["1"].update(category="a\nb"))
    assert "one line" in line_of(read_quietly, root)
    (root / "categories.json").write_text(json.dumps({"categories": ["a\nb", "plant"]}))
    assert "must be a list of names" in line_of(read_quietly, root)


def test_a_phrase_with_half_a_character_is_refused(root):
    edit(
        root / EXPRESSIONS, lambda videos: videos["plant_0"]["expressions"]["0"].update(exp="a \ud83d plant")
    )
    assert "half a character" in line_of(read_quietly, root)


def test_object_ids_of_two_lines_are_told_in_one(root):
    # Found by the fuzzing: the id was told of, and then named as it is where an expression misses its object.
    edit(root / META, lambda videos: videos["plant_0"].update(objects={"two\nlines": {}}))
    found = [one.problem for result in validate(root, workers=1) for one in result.faults]
    assert any("it lists 'two" in problem for problem in found)
    assert all(map(str.isprintable, found))
    edit(root / EXPRESSIONS, lambda videos: videos["plant_0"]["expressions"]["0"].update(obj_id="two\nlines"))
    assert "is no object id" in line_of(read_quietly, root)


def test_a_kind_that_is_no_text_is_none(root):
    edit(root / EXPRESSIONS, lambda videos: videos["plant_0"]["expressions"]["0"].update(kind=["color"]))
    assert read_quietly(root).expression("plant_0", "0").kind is None


# ---------------------------------------------------------------- JSON


@pytest.mark.parametrize("depth", [200, 900, 5000, 100_000])
@pytest.mark.parametrize("place", ["frame", "distractor", "kind", "videos"])
def test_json_of_any_depth_ends_in_success_or_in_one_line(root, depth, place):
    entries = json.loads((root / EXPRESSIONS).read_text())
    plant = entries["videos"]["plant_0"]
    if place == "frame":
        plant["frames"][0] = "DEEP"
    elif place == "videos":
        entries["videos"] = "DEEP"
    else:
        key = "distractor_expression" if place == "distractor" else "kind"
        plant["expressions"]["0"][key] = "DEEP"
    text = json.dumps(entries).replace('"DEEP"', "[" * depth + "]" * depth)
    (root / EXPRESSIONS).write_text(text)
    if place == "kind" and depth == 200:
        read_quietly(root)  # what is in it is not looked at
    elif place != "kind" or depth == 100_000:
        assert EXPRESSIONS in line_of(read_quietly, root)


def test_json_of_a_gigabyte_is_refused_by_its_size(root):
    with (root / META).open("r+b") as file:
        file.truncate(1_000_000_000)  # takes no room on the disk
    line = line_of(read_quietly, root)
    assert str(root / META) in line
    assert f"more than {json_files.MAX_MEGABYTES} MB" in line
    assert "json" in [one.kind for result in validate(root, workers=1) for one in result.faults]


def test_the_limit_is_for_what_is_larger(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('{"a": "' + "x" * (1_000_000 - 9) + '"}')
    assert file.stat().st_size == 1_000_000
    assert list(read_json(file, max_megabytes=1)) == ["a"]
    file.write_text(file.read_text() + " ")
    assert "more than 1 MB" in line_of(lambda: read_json(file, max_megabytes=1))


def test_json_that_does_not_fit_in_memory_is_told_in_one_line(root, monkeypatch):
    def no_room(*_, **__):
        raise MemoryError

    monkeypatch.setattr(json_files.json, "loads", no_room)
    assert "does not fit in memory" in line_of(read_json, root / META)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    assert "is no file" in line_of(read_json, tmp_path / "pipe.json")
    assert "is no file" in line_of(read_json, tmp_path / "zero.json")
    assert "is no file" in line_of(read_mask, tmp_path / "pipe.png")


# ---------------------------------------------------------------- pictures


def png_of(path: Path, width: int, height: int) -> Path:
    """Writes a PNG whose header tells of so many grey pixels, and which has none."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IEND\xaeB`\x82")
    return path


@pytest.mark.parametrize("size", [(8001, 8000), (60_000, 60_000), (2**31 - 1, 2)])
@pytest.mark.parametrize("read", [read_frame, read_mask])
def test_pictures_over_64_megapixels_are_refused_by_their_header(tmp_path, read, size, recwarn):
    line = line_of(read, png_of(tmp_path / "a.png", *size))
    assert "over 64 megapixels" in line
    assert not recwarn.list


def test_a_header_of_64_megapixels_is_decoded(tmp_path):
    # 64 million pixels pass the header; that there are none is found by decoding.
    line = line_of(read_mask, png_of(tmp_path / "a.png", 8000, 8000))
    assert "over 64" not in line


@pytest.mark.parametrize("format", ["GIF", "TIFF", "EPS"])
def test_only_the_benchmarks_formats_are_decoded(tmp_path, format):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", format=format)
    assert "cannot be decoded" in line_of(read_frame, tmp_path / "a.jpg")


def test_whatever_a_decoder_raises_is_one_line(root, monkeypatch):
    def fails(*_, **__):
        raise struct.error("unpack requires\na buffer")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fails)
    assert "cannot be decoded (unpack requires a buffer)" in line_of(read_plant, root)


def test_of_a_large_file_only_the_end_is_read_for_its_marker(tmp_path):
    file = tmp_path / "a.jpg"
    with file.open("wb") as picture:
        picture.truncate(1 << 36)  # 64 GB of nothing, none of it on the disk
        picture.seek(0, os.SEEK_END)
        picture.write(b"\xff\xd9")
    check_end(file, "frame")
