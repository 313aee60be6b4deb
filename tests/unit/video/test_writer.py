"""The mp4 that is written: what players need of it, and what is left when writing fails."""

from __future__ import annotations

import resource
from pathlib import Path

import av
import numpy as np
import pytest
from made_videos import is_one_line, noise, smooth

from fsrvos.errors import UserError
from fsrvos.video import VideoWriter, open_video


def _write(path: Path, frames: np.ndarray, rate: float = 10, instants: list[float] | None = None) -> Path:
    with VideoWriter(path, frames.shape[1:3], rate) as writer:
        for index, frame in enumerate(frames):
            writer.write(frame, instants[index] if instants else None)
    return path


def test_browsers_can_play_it_while_it_loads(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.mp4", smooth(10))
    content = path.read_bytes()
    assert content[4:8] == b"ftyp"
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("rate", [5, 10, 24, 25, 30000 / 1001, 60])
def test_frames_come_back_at_their_rate(tmp_path: Path, rate: float) -> None:
    video = open_video(_write(tmp_path / "a.mp4", smooth(12), rate))
    assert video.rate == pytest.approx(rate, rel=1e-3)
    assert [f.time for f in video.frames()] == pytest.approx([i / rate for i in range(12)], abs=2e-5)


def test_a_variable_frame_rate_comes_back(tmp_path: Path) -> None:
    instants = [0, 0.01, 0.5, 0.533, 2.25, 2.3]
    frames = list(open_video(_write(tmp_path / "a.mp4", smooth(6), 25, instants)).frames())
    assert [f.time for f in frames] == pytest.approx(instants, abs=2e-5)


def test_a_frame_without_a_time_follows_the_one_before(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", (48, 64), 10) as writer:
        for frame, time in zip(smooth(4), (None, 0.5, None, None), strict=True):
            writer.write(frame, time)
    times = [f.time for f in open_video(tmp_path / "a.mp4").frames()]
    assert times == pytest.approx([0, 0.5, 0.6, 0.7], abs=2e-5)


@pytest.mark.parametrize(
    "colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (90, 120, 30)]
)
def test_colours_come_back(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    path = _write(tmp_path / "a.mp4", np.full((3, 32, 32, 3), colour, np.uint8))
    for frame in open_video(path).frames():
        assert np.abs(frame.pixels.astype(int) - colour).max() <= 4


@pytest.mark.parametrize("size", [(1, 1), (1, 8), (7, 9), (48, 65), (49, 64)])
def test_odd_sizes_get_a_copy_of_their_edge(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = np.full((3, *size, 3), 40, np.uint8)
    frames[:, -1] = frames[:, :, -1] = 220
    video = open_video(_write(tmp_path / "a.mp4", frames))
    height, width = video.size
    assert (height, width) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    for frame in video.frames():
        assert np.abs(frame.pixels[-1].astype(int) - 220).max() < 25
        assert np.abs(frame.pixels[:, -1].astype(int) - 220).max() < 25


def test_close_ends_the_video_early_and_twice_is_no_harm(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", (24, 32), 10) as writer:
        for frame in noise(3):
            writer.write(frame)
        assert not (tmp_path / "a.mp4").exists()
        writer.close()
        assert len(list(open_video(tmp_path / "a.mp4").frames())) == 3
        with pytest.raises(ValueError, match="closed"):
            writer.write(noise(1)[0])
        writer.close()
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("frames", [0, 3])
def test_an_exception_leaves_nothing_and_keeps_what_was_there(
    tmp_path: Path, error: type[BaseException], frames: int
) -> None:
    (tmp_path / "a.mp4").write_text("of before")

    def interrupted() -> None:
        with VideoWriter(tmp_path / "a.mp4", (24, 32), 10) as writer:
            for frame in noise(3)[:frames]:
                writer.write(frame)
            raise error

    with pytest.raises(error):
        interrupted()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.mp4", "of before")]


def test_no_frame_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no frame"):
        with VideoWriter(tmp_path / "a.mp4", (24, 32), 10):
            pass
    assert not list(tmp_path.iterdir())


def test_folders_are_made(tmp_path: Path) -> None:
    assert _write(tmp_path / "x" / "y" / "a.mp4", noise(2)).exists()


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.mp4").mkdir()
    for path, words in (
        (tmp_path / "file" / "a.mp4", "cannot be written"),
        (Path("/proc/a.mp4"), "cannot be written"),
        (tmp_path / "folder.mp4", "is a folder"),
        (tmp_path / "a.avi", "ends in .mp4"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            VideoWriter(path, (24, 32), 10)
        assert str(path) in str(caught.value)
        assert is_one_line(str(caught.value))


@pytest.mark.parametrize(
    ("pixels", "time", "words"),
    [
        (np.zeros((24, 30, 3), np.uint8), None, "pixels"),
        (np.zeros((24, 32), np.uint8), None, "pixels"),
        (np.zeros((24, 32, 3), np.float32), None, "pixels"),
        (np.zeros((24, 32, 3), np.uint8), 0.0, "advance"),
        (np.zeros((24, 32, 3), np.uint8), -1.0, "advance"),
    ],
)
def test_wrong_frames(tmp_path: Path, pixels: np.ndarray, time: float | None, words: str) -> None:
    with VideoWriter(tmp_path / "a.mp4", (24, 32), 10) as writer:
        writer.write(noise(1)[0])
        with pytest.raises(ValueError, match=words):
            writer.write(pixels, time)
    assert len(list(open_video(tmp_path / "a.mp4").frames())) == 1


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A limit of the size stands for the disk: the header does not fit, then frames, then the index."""
    frames = noise(30, 96, 128)
    path = _write(tmp_path / "a.mp4", frames)
    whole = path.stat().st_size
    path.unlink()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (0, 20, whole // 10, whole // 2, whole - 600, whole - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(UserError) as caught:
                _write(path, frames)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert f"{path}: cannot be written" in str(caught.value)
        assert is_one_line(str(caught.value))
        assert not list(tmp_path.iterdir()), limit
    assert _write(path, frames).stat().st_size == whole
