"""Stills of every mode become upright RGB of 8 bits."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from made_videos import is_one_line, noise
from PIL import Image

from fsrvos.errors import UserError
from fsrvos.video import open_video, read_image

COLOURS = noise(1, 6, 8)[0]
GREY = COLOURS[..., 0]


def _saved(path: Path, pixels: np.ndarray, mode: str | None = None, **how: object) -> Path:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **how)
    return path


def test_rgb(tmp_path: Path) -> None:
    got = read_image(_saved(tmp_path / "a.png", COLOURS))
    assert got.dtype == np.uint8
    assert np.array_equal(got, COLOURS)


def test_grey_is_repeated(tmp_path: Path) -> None:
    got = read_image(_saved(tmp_path / "a.png", GREY))
    assert np.array_equal(got, np.stack([GREY] * 3, -1))


def test_black_and_white(tmp_path: Path) -> None:
    got = read_image(_saved(tmp_path / "a.png", np.array([[0, 255, 0]], np.uint8), "1"))
    assert got[0].tolist() == [[0] * 3, [255] * 3, [0] * 3]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_of_grey_are_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    got = read_image(_saved(tmp_path / f"a.{suffix}", values))
    assert got[0, :, 0].tolist() == [0, 1, 128, 255]
    assert got.shape == (1, 4, 3)


def test_floats_are_from_zero_to_one(tmp_path: Path) -> None:
    got = read_image(_saved(tmp_path / "a.tif", np.array([[0, 0.2, 1]], np.float32)))
    assert got[0, :, 0].tolist() == [0, 51, 255]
    with pytest.raises(UserError, match=r"\[0, 1\]"):
        read_image(_saved(tmp_path / "b.tif", np.array([[0, 2.5]], np.float32)))


def test_alpha_is_laid_over_black(tmp_path: Path) -> None:
    pixels = np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 51]]], np.uint8)
    got = read_image(_saved(tmp_path / "a.png", pixels))
    assert got[0].tolist() == [[200, 100, 50], [0, 0, 0], [40, 20, 10]]


def test_palette_with_and_without_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 210, 220])
    image.putdata([0, 1])
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.png", transparency=1)
    assert read_image(tmp_path / "a.png")[0].tolist() == [[10, 20, 30], [200, 210, 220]]
    assert read_image(tmp_path / "b.png")[0].tolist() == [[10, 20, 30], [0, 0, 0]]


def test_cmyk(tmp_path: Path) -> None:
    inks = np.zeros((8, 16, 4), np.uint8)
    inks[:, 8:, 0] = 255  # cyan
    Image.fromarray(inks, "CMYK").save(tmp_path / "a.jpg", quality=95)
    got = read_image(tmp_path / "a.jpg").astype(int)
    assert np.abs(got[4, 2] - (255, 255, 255)).max() < 12
    assert np.abs(got[4, 13] - (0, 255, 255)).max() < 12


# What a viewer does to the stored pixels, by the EXIF standard's table of orientations.
ORIENTATIONS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    path = _saved(tmp_path / f"a.{suffix}", COLOURS, exif=exif, **options)
    expected = ORIENTATIONS[orientation](COLOURS)
    assert np.array_equal(read_image(path), expected)
    assert open_video(path).size == expected.shape[:2]


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp", "gif"])
def test_a_still_is_a_video_of_one_frame(tmp_path: Path, suffix: str) -> None:
    path = _saved(tmp_path / f"still.{suffix}", COLOURS)
    video = open_video(path)
    frames = list(video.frames())
    assert (video.name, video.size, video.count, video.rate) == ("still", (6, 8), 1, 10.0)
    assert [(f.index, f.name, f.time) for f in frames] == [(0, "still", 0.0)]
    assert np.array_equal(frames[0].pixels, read_image(path))


def _header_alone(path: Path, width: int, height: int) -> Path:
    """A PNG of that size whose data is missing: whoever decodes it fails otherwise."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
        + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    )  # fmt: skip
    return path


@pytest.mark.parametrize("size", [(20_000, 20_000), (10_000, 10_000), (8_001, 8_000)])
def test_images_over_64_megapixels_are_refused_by_their_header(tmp_path: Path, size: tuple[int, int]) -> None:
    path = _header_alone(tmp_path / "big.png", *size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for opened in (read_image, open_video):
            with pytest.raises(UserError, match="64 megapixels") as caught:
                opened(path)
            assert is_one_line(str(caught.value))


def test_exactly_64_megapixels_pass_the_limit(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="truncated"):  # it went on to the data
        read_image(_header_alone(tmp_path / "a.png", 8_000, 8_000))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.jpg", b"hello" * 50, "not an image"),
        ("empty.png", b"", "not an image"),
        ("page.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not an image"),
    ],
)
def test_what_is_no_image(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        read_image(tmp_path / name)
    assert name in str(caught.value)
    assert is_one_line(str(caught.value))


@pytest.mark.filterwarnings("ignore:Truncated File Read")  # Pillow on TIFF, beside the error
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_damaged_images(tmp_path: Path, suffix: str) -> None:
    whole = _saved(tmp_path / f"a.{suffix}", noise(1, 64, 64)[0]).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    for part in (0.01, 0.2, 0.6):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(UserError) as caught:
            read_image(path)
        assert str(path) in str(caught.value)
        assert is_one_line(str(caught.value))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_image(tmp_path / "a.png")
    with pytest.raises(UserError, match="is a folder"):
        read_image(tmp_path)
