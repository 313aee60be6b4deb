"""Folders of images and animations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_videos import is_one_line, noise, read_until_error
from PIL import Image

from fsrvos.errors import UserError
from fsrvos.video import open_video

RED, BLUE, CLEAR = (255, 0, 0, 255), (0, 0, 255, 255), (0, 0, 0, 0)


def _folder(folder: Path, names: list[str], pixels: np.ndarray | None = None) -> Path:
    folder.mkdir()
    for name, frame in zip(names, noise(len(names)) if pixels is None else pixels, strict=True):
        Image.fromarray(frame).save(folder / name)
    return folder


def test_frames_carry_the_names_of_their_files(tmp_path: Path) -> None:
    truth = noise(3)
    video = open_video(_folder(tmp_path / "dog", ["00000.png", "00005.png", "00010.png"], truth), rate=5)
    frames = list(video.frames())
    assert (video.name, video.size, video.rate, video.count) == ("dog", (24, 32), 5, 3)
    assert [f.name for f in frames] == ["00000", "00005", "00010"]
    assert [f.time for f in frames] == pytest.approx([0, 0.2, 0.4])
    assert np.array_equal([f.pixels for f in frames], truth)
    assert [f.name for f in video.frames(2)] == ["00010"]
    assert next(video.frames(2)).index == 2


def test_numbers_go_by_value_and_padded_names_as_in_a_plain_sort(tmp_path: Path) -> None:
    plain = _folder(tmp_path / "a", ["1.png", "10.png", "2.png", "100.png"])
    assert [f.name for f in open_video(plain).frames()] == ["1", "2", "10", "100"]
    padded = ["b_0009.png", "a_0010.png", "b_0010.png", "a_0001.png"]
    names = [f.name + ".png" for f in open_video(_folder(tmp_path / "b", padded)).frames()]
    assert names == sorted(padded)


def test_other_files_are_left_out(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a", ["0.png", "1.JPG"])
    (folder / "Thumbs.db").write_text("x")
    (folder / "._0.png").write_text("x")
    (folder / "masks.png").mkdir()
    (folder / "more").mkdir()
    assert [f.name for f in open_video(folder).frames()] == ["0", "1"]


def test_only_one_frame_is_read_at_a_time(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a", ["0.png", "1.png", "2.png"])
    frames = open_video(folder).frames()
    next(frames)
    Image.fromarray(np.full((24, 32, 3), 7, np.uint8)).save(folder / "1.png")
    assert (next(frames).pixels == 7).all()


@pytest.mark.parametrize(
    ("names", "words"), [([], "empty"), (["notes.txt", "b.csv", "c", "d", "e"], "b.csv.* and 2 more")]
)
def test_folders_without_images_say_what_they_hold(tmp_path: Path, names: list[str], words: str) -> None:
    for name in names:
        (tmp_path / name).write_text("x")
    with pytest.raises(UserError, match=words) as caught:
        open_video(tmp_path)
    assert is_one_line(str(caught.value))


def test_two_images_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"0\.bmp and 0\.png"):
        open_video(_folder(tmp_path / "a", ["0.png", "0.bmp"]))


def test_a_frame_of_another_size_is_named_after_those_before_it(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a", ["0.png", "1.png"])
    Image.new("RGB", (30, 24)).save(folder / "2.png")
    got, message = read_until_error(folder)
    assert "2.png: is 30x24, but 0.png is 32x24" in message
    assert [frame.name for frame in got] == ["0", "1"]


def test_a_corrupt_frame_is_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a", ["0.png", "1.png"])
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:200])
    with pytest.raises(UserError, match=r"1\.png"):
        list(open_video(folder).frames())


def _animation(path: Path, duration: list[int], **how: object) -> Path:
    images = [Image.new("RGBA", (4, 4), c) for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))]
    images[0].save(path, save_all=True, append_images=images[1:], duration=duration, **how)
    return path


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animations_keep_their_times(tmp_path: Path, suffix: str) -> None:
    how = {"lossless": True} if suffix == "webp" else {}
    video = open_video(_animation(tmp_path / f"a.{suffix}", [100, 300, 50, 550], **how))
    frames = list(video.frames())
    assert (video.name, video.size, video.count) == ("a", (4, 4), 4)
    assert video.rate == pytest.approx(4)
    assert [f.time for f in frames] == pytest.approx([0, 0.1, 0.4, 0.45])
    assert [f.pixels[2, 2].tolist() for f in frames] == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255] * 3]
    assert [(f.index, f.pixels[0, 0].tolist()) for f in video.frames(2)] == [(2, [0, 0, 255]), (3, [255] * 3)]


def test_a_duration_of_zero_counts_as_a_tenth_of_a_second(tmp_path: Path) -> None:
    assert open_video(_animation(tmp_path / "a.gif", [0, 0, 0, 0])).rate == pytest.approx(10)


@pytest.mark.parametrize(("disposal", "left"), [(1, [255, 0, 0]), (2, [0, 0, 0]), (3, [0, 0, 0])])
def test_gif_disposal_decides_what_stays_under_a_transparent_frame(
    tmp_path: Path, disposal: int, left: list[int]
) -> None:
    """Frame 0 leaves the right half clear; frame 1 draws red left; frame 2 draws blue right and no more."""
    images = []
    for part, colour in (((0, 0, 0, 0), RED), ((0, 0, 2, 4), RED), ((2, 0, 4, 4), BLUE)):
        image = Image.new("RGBA", (4, 4), CLEAR)
        if part[2]:
            image.paste(colour, part)
        images.append(image)
    images[0].save(
        tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=100, disposal=[1, disposal, 1],
        optimize=False,
    )  # fmt: skip
    frames = [f.pixels for f in open_video(tmp_path / "a.gif").frames()]
    assert frames[0].max() == 0
    assert frames[1][1, 0].tolist() == [255, 0, 0]
    assert frames[2][1, 3].tolist() == [0, 0, 255]
    assert frames[2][1, 0].tolist() == left


def test_a_cut_gif_delivers_what_precedes(tmp_path: Path) -> None:
    images = [Image.fromarray(frame) for frame in noise(5, 40, 40)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=100)
    whole = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "cut.gif").write_bytes(whole[: int(len(whole) * 0.7)])
    got, message = read_until_error(tmp_path / "cut.gif")
    assert f"cut.gif: is cut off or damaged after {len(got)} of" in message
    assert 1 <= len(got) <= 4
