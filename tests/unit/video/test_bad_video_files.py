"""What is wrong with a video file costs one line that names it; frames before the fault are delivered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_videos import is_one_line, noise, read_until_error, smooth, write_sound, write_video

from fsrvos.errors import UserError
from fsrvos.video import open_video


def _message(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        open_video(path)
    message = str(caught.value)
    assert is_one_line(message)
    assert str(path) in message
    return message


def test_no_such_file(tmp_path: Path) -> None:
    assert "no such file" in _message(tmp_path / "none.mp4")


@pytest.mark.parametrize("name", ["text.mp4", "text.avi", "text.mkv", "text"])
def test_text_is_no_video(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("hello\n" * 100)
    assert "not a video" in _message(tmp_path / name)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert "empty" in _message(tmp_path / "a.mp4")


def test_a_device_is_no_video() -> None:
    assert "no regular file" in _message(Path("/dev/null"))


def test_sound_alone(tmp_path: Path) -> None:
    assert "no video stream" in _message(write_sound(tmp_path / "a.m4a"))


def test_playlists_do_not_open_other_files(tmp_path: Path) -> None:
    write_video(tmp_path / "secret.mov", noise(2))
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{tmp_path}/secret.mov\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {tmp_path}/secret.mov\n",
    ):
        (tmp_path / "list.mp4").write_text(text)
        assert "not a video" in _message(tmp_path / "list.mp4")


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    content = write_video(tmp_path / "a.mp4", smooth(10), "libx264", "yuv420p").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: content.index(b"moov") - 10])
    assert "moov" in _message(tmp_path / "cut.mp4")


@pytest.mark.parametrize("suffix", ["mov", "mkv", "avi"])
def test_a_cut_file_delivers_what_precedes_and_says_so(tmp_path: Path, suffix: str) -> None:
    truth = noise(10)
    whole = write_video(tmp_path / f"a.{suffix}", truth, index_first=suffix == "mov").read_bytes()
    path = tmp_path / f"cut.{suffix}"
    counts = []
    for part in (0.35, 0.5, 0.7, 0.9):
        path.write_bytes(whole[: int(len(whole) * part)])
        got, message = read_until_error(path)
        assert is_one_line(message)
        assert f"after {len(got)} " in message
        assert np.array_equal([frame.pixels for frame in got], truth[: len(got)])
        counts.append(len(got))
    assert counts == sorted(counts)
    assert counts[0] >= 1
    assert counts[-1] >= 7


def test_the_promised_number_is_named_where_the_header_has_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", smooth(40), "libx264", "yuv420p", index_first=True)
    path.write_bytes(path.read_bytes()[:-500])
    assert open_video(path).count == 40
    got, message = read_until_error(path)
    assert f"after {len(got)} of 40 frames" in message
    assert 20 < len(got) < 40


def test_blank_data_in_a_file_of_full_length_is_found_too(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", smooth(40), "libx264", "yuv420p")
    content = bytearray(path.read_bytes())
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    content[(start + end) // 2 : end] = bytes([255]) * (end - (start + end) // 2)
    path.write_bytes(content)
    got, message = read_until_error(path)
    assert f"damaged after {len(got)} of 40 frames" in message
    assert 10 < len(got) < 40


@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv", "avi", "webm"])
def test_damage_anywhere_is_a_user_error_or_none(tmp_path: Path, kind: str) -> None:
    codec = {"webm": "libvpx", "avi": "mpeg4"}.get(kind, "libx264")
    whole = write_video(tmp_path / f"a.{kind}", smooth(20), codec, "yuv420p").read_bytes()
    rng = np.random.default_rng(1)
    path = tmp_path / f"b.{kind}"
    refused = 0
    for trial in range(24):
        content = bytearray(whole)
        if trial % 2:
            content = content[: rng.integers(1, len(whole))]
        else:
            for place in rng.integers(0, len(content), 20):
                content[place] = rng.integers(256)
        path.write_bytes(content)
        got, message = read_until_error(path)
        assert all(frame.pixels.shape == (48, 64, 3) for frame in got) or trial % 2 == 0
        assert not message or is_one_line(message)
        assert message or trial % 2 == 0, "a cut file passed for a whole one"
        refused += bool(message)
    assert refused >= 12


def test_frames_that_are_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fsrvos.video.source.MAX_MEGAPIXELS", 0.0001)
    path = write_video(tmp_path / "a.mov", noise(1))
    assert "megapixels" in _message(path)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_rates_must_be_positive(rate: float) -> None:
    with pytest.raises(UserError, match="rate"):
        open_video(np.zeros((1, 4, 4, 3), np.uint8), rate=rate)
