"""Videos of image files: a folder of them, a single one, an animated GIF, WebP or PNG."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image

from fsrvos.errors import UserError
from fsrvos.video.source import DEFAULT_RATE, Frame, Video, frame_name
from fsrvos.video.stills import UNREADABLE, image_size, is_image_name, opened_image, upright_rgb

# A TIFF of several pages or a stereo JPEG is no film.
_ANIMATED = ("GIF", "WEBP", "PNG")
# What browsers take for a frame that says 0.
_NO_DURATION = 0.1


class Pictures(Video):
    """Image files as frames, in the order given.

    Args:
        name: Name of the video.
        paths: One image a frame, all of one size.
        rate: Frames per second.

    Raises:
        UserError: The first image cannot be read.
    """

    def __init__(self, name: str, paths: Sequence[Path], rate: float = DEFAULT_RATE) -> None:
        self.name, self.rate, self.count = name, rate, len(paths)
        self._paths = list(paths)
        with opened_image(self._paths[0]) as image:
            self.size = image_size(image)

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """See ``Video.frames``; files before ``start`` are not read."""
        for index, path in enumerate(self._paths[start:], start):
            with opened_image(path) as image:
                size = image_size(image)
                if size != self.size:
                    raise UserError(
                        f"{path}: is {size[1]}x{size[0]}, but {self._paths[0].name} is"
                        f" {self.size[1]}x{self.size[0]}; all frames of a video must have one size"
                    )
                pixels = upright_rgb(image)
            yield Frame(index, path.stem, index / self.rate, pixels)


class Animation(Video):
    """An animated GIF, WebP or PNG; each frame as a viewer shows it, transparent parts over black.

    The file is read through once to know its rate.

    Raises:
        UserError: The file or its first frame cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.name, self._path = path.stem, path
        with opened_image(path) as image:
            self.size, self.count = image_size(image), _frame_count(image)
            durations = [_duration(image)]
            with suppress(*UNREADABLE):  # raised again in frames(), where the frames before it are had
                for index in range(1, self.count):
                    image.seek(index)
                    durations.append(_duration(image))
        self.rate = len(durations) / sum(durations)

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """See ``Video.frames``."""
        time = 0.0
        with opened_image(self._path) as image:
            for index in range(_frame_count(image)):
                try:
                    image.seek(index)
                    duration = _duration(image)
                    pixels = upright_rgb(image) if index >= start else None
                except UNREADABLE as error:
                    raise UserError(
                        f"{self._path}: is cut off or damaged after {index} of {self.count} frames; copy or"
                        " download it again"
                    ) from error
                if pixels is not None:
                    yield Frame(index, frame_name(index), time, pixels)
                time += duration


def open_pictures(path: Path, rate: float) -> Video:
    """An image file: a video of one frame, or of several where it is animated."""
    with opened_image(path) as image:
        animated = image.format in _ANIMATED and _frame_count(image) > 1
    return Animation(path) if animated else Pictures(path.stem, [path], rate)


def open_folder(folder: Path, rate: float) -> Video:
    """A folder of images in the order of their names, numbers by value: 1, 2, 10.

    Names padded with zeros, as in the benchmarks, have the same order as in a plain sort. Other files, hidden
    files and folders within are left out.

    Raises:
        UserError: No image, or two images of one name (their masks would have one name too).
    """
    names = sorted(
        (path for path in folder.iterdir() if is_image_name(path) and path.is_file()), key=_natural
    )
    if not names:
        raise UserError(f"{folder}: holds no image ({_content(folder)}); give a folder of JPEG or PNG frames")
    seen: dict[str, Path] = {}
    for path in names:
        if path.stem in seen:
            raise UserError(
                f"{folder}: {seen[path.stem].name} and {path.name} are two frames of one name; move one of them away"
            )
        seen[path.stem] = path
    return Pictures(folder.resolve().name, names, rate)


def _natural(path: Path) -> tuple[list[str | int], str]:
    parts = re.split(r"([0-9]+)", path.name)  # words and numbers in turn, so like is compared with like
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], path.name


def _content(folder: Path) -> str:
    """What lies in a folder, in a few words."""
    inside = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    if not inside:
        return "it is empty"
    return "it holds " + ", ".join(inside[:3]) + (f" and {len(inside) - 3} more" if len(inside) > 3 else "")


def _frame_count(image: Image.Image) -> int:
    return getattr(image, "n_frames", 1)


def _duration(image: Image.Image) -> float:
    """Seconds that the current frame is shown."""
    image.load()  # WebP knows it only then
    return image.info.get("duration", 0) / 1000 or _NO_DURATION
