"""Frames of video files: all of them, in order, upright, at their instants."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from made_videos import noise, smooth, write_video

from fsrvos.video import open_video

SHARED = Path(__file__).parents[4] / "shared" / "video"


@pytest.mark.parametrize("suffix", ["mov", "mkv", "avi"])
def test_lossless_files_give_their_pixels_in_order_as_often_as_asked(tmp_path: Path, suffix: str) -> None:
    truth = noise(12)
    video = open_video(str(write_video(tmp_path / f"clip.{suffix}", truth)))
    assert (video.name, video.size, video.count) == ("clip", (24, 32), 12)
    assert video.rate == pytest.approx(10, rel=1e-3)
    for _ in range(2):
        frames = list(video.frames())
        assert np.array_equal([frame.pixels for frame in frames], truth)
        assert [frame.index for frame in frames] == list(range(12))
        assert [frame.name for frame in frames][:2] == ["00000", "00001"]
        assert [frame.time for frame in frames] == pytest.approx([i / 10 for i in range(12)])


@pytest.mark.parametrize("start", [0, 1, 7, 11, 12, 40])
def test_a_start_gives_the_same_frames_as_skipping(tmp_path: Path, start: int) -> None:
    instants = [0, 30, 100, 400, 410, 500, 900, 1000, 1500, 1510, 1520, 2000]
    path = write_video(
        tmp_path / "a.mp4", smooth(12), "libx264", "yuv420p", instants, options={"g": "5", "bf": "2"}
    )
    video = open_video(path)
    expected, got = list(islice(video.frames(), start, None)), list(video.frames(start))
    assert [(f.index, f.name, f.time) for f in got] == [(f.index, f.name, f.time) for f in expected]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_variable_frame_rate_is_kept(tmp_path: Path, container: str) -> None:
    instants = [500, 533, 600, 1100, 1101, 3000]
    truth = smooth(6)
    path = write_video(tmp_path / f"v.{container}", truth, "libx264", "yuv420p", instants)
    frames = list(open_video(path).frames())
    assert [frame.time for frame in frames] == pytest.approx([(i - 500) / 1000 for i in instants], abs=1e-4)
    for frame, expected in zip(frames, truth, strict=True):  # in order: blue tells the frames apart
        assert abs(frame.pixels[..., 2].mean() - expected[..., 2].mean()) < 3


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_display_matrix_turns_frames_upright(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    truth = noise(3, 20, 30)
    turn = {"degrees": degrees, "hflip": mirrored}  # counter-clockwise, then left and right swapped
    video = open_video(write_video(tmp_path / "phone.mov", truth, turn=turn))
    expected = np.rot90(truth, degrees // 90, axes=(1, 2))
    expected = expected[:, :, ::-1] if mirrored else expected
    assert video.size == expected.shape[1:3]
    assert np.array_equal([frame.pixels for frame in video.frames()], expected)


def test_pixels_of_a_turned_file_are_contiguous(tmp_path: Path) -> None:
    video = open_video(write_video(tmp_path / "phone.mov", noise(1), turn={"degrees": 90}))
    assert next(video.frames()).pixels.flags.c_contiguous


def test_avi_with_reordered_frames_has_growing_times(tmp_path: Path) -> None:
    path = write_video(tmp_path / "b.avi", smooth(20), "libx264", "yuv420p", options={"bf": "3"})
    with av.open(str(path)) as container:
        by_file = [frame.pts for frame in container.decode(video=0)]
    assert by_file != sorted(by_file), "AVI began to carry timestamps; this test has lost its case"
    video = open_video(path)
    times = [frame.time for frame in video.frames()]
    assert len(times) == video.count == 20
    assert times == sorted(set(times))
    assert times[-1] == pytest.approx(1.9, abs=0.3)
    assert 8 < video.rate < 12.5  # its header says 1000


def test_odd_sizes_keep_their_last_row_and_column(tmp_path: Path) -> None:
    truth = noise(2, 17, 23)
    video = open_video(write_video(tmp_path / "odd.mov", truth))
    assert np.array_equal([frame.pixels for frame in video.frames()], truth)


def test_titles_may_be_of_any_bytes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "t.mkv", noise(2))
    content = path.read_bytes()
    assert b"Lavf" in content
    path.write_bytes(content.replace(b"Lavf", b"L\xe4vf"))
    assert len(list(open_video(path).frames())) == 2


def test_a_suffix_may_be_in_capitals_or_missing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mov", noise(2))
    for name in ("CLIP.MOV", "clip", "100%03d.mov"):
        path = path.rename(tmp_path / name)
        assert len(list(open_video(path).frames())) == 2


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    still = smooth(10, 240, 320)
    path = write_video(tmp_path / "long.mp4", [still[i % 10] for i in range(600)], "libx264", "yuv420p",
                       options={"preset": "ultrafast"})  # fmt: skip
    sizes = {frame.index: _resident() for frame in open_video(path).frames() if frame.index in (100, 599)}
    # All frames would be 138 MB.
    assert sizes[599] - sizes[100] < 40e6


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("name", ["made.mp4", "made.webm", "street_640x480.mp4", "nasa_13013.mp4"])
def test_decord_gives_the_same_frames(tmp_path: Path, name: str) -> None:
    decord = pytest.importorskip("decord")
    path = SHARED / name
    if name.startswith("made"):
        codec = "libx264" if name.endswith("mp4") else "libvpx"
        path = write_video(tmp_path / name, smooth(25, 96, 128), codec, "yuv420p")
    elif not path.exists():
        pytest.skip("needs ../shared/video")
    reader = decord.VideoReader(str(path), num_threads=1)
    count = 0
    for frame in open_video(path).frames():
        assert np.array_equal(frame.pixels, reader.next().asnumpy()), frame.index
        assert frame.time == pytest.approx(reader.get_frame_timestamp(frame.index)[0], abs=1e-3)
        count += 1
    assert count == len(reader)


def test_of_several_streams_the_largest_is_shown() -> None:
    path = SHARED / "nasa_13013.mp4"
    if not path.exists():
        pytest.skip("needs ../shared/video")
    with av.open(str(path)) as container:
        sizes = [(stream.height, stream.width) for stream in container.streams.video]
    video = open_video(path)
    assert len(set(sizes)) > 1
    assert video.size == max(sizes)
    assert video.count == 390
