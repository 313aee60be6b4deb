"""What every format of support is read into: clips of frames, each with all of its annotated objects."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np

from fsrvos.data.support_stills import Still
from fsrvos.errors import UserError

MAX_FRAMES = 1024
MAX_TOTAL_PIXELS = 1_000_000_000  # 4 GB of frames and masks


@dataclass(frozen=True)
class LabelledFrame:
    """A frame and its objects; pixels and masks are made when they are asked for.

    Attributes:
        annotation: What error lines call the mask or the entry.
        size: (width, height).
        pixels: Reads the frame: (H, W, 3) uint8.
        objects: What draws the mask of each object, (H, W) bool, by the object's name.
    """

    annotation: str
    size: tuple[int, int]
    pixels: Callable[[], np.ndarray]
    objects: dict[str, Callable[[], np.ndarray]]


@dataclass(frozen=True)
class LabelledClip:
    """Frames of one size.

    Attributes:
        name: What error lines call it.
        frames: One or more.
        phrase: The phrase that the annotations have for an object, "" for none.
    """

    name: str
    frames: list[LabelledFrame]
    phrase: Callable[[str], str] = lambda name: ""


def clips_by_size(frames: Iterable[LabelledFrame], phrase: Callable[[str], str]) -> list[LabelledClip]:
    """Makes a clip of all frames of one size; the order is that of the frames."""
    by_size: dict[tuple[int, int], list[LabelledFrame]] = {}
    for frame in frames:
        by_size.setdefault(frame.size, []).append(frame)
    return [LabelledClip(clip[0].annotation, clip, phrase) for clip in by_size.values()]


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Sorting key: runs of digits by value, so that a9 comes before a10."""
    parts = re.split(r"([0-9]+)", name)
    return [(1, int(part), "") if part.isdigit() and part.isascii() else (0, 0, part) for part in parts]


def check_count(count: int, where: Path | str) -> None:
    """Refuses what cannot be meant as a few examples, before hours of decoding.

    Raises:
        UserError: If there are more than `MAX_FRAMES` frames.
    """
    if count > MAX_FRAMES:
        raise UserError(
            f"{where}: holds {count} annotated frames, a support may have {MAX_FRAMES}; give a part of it"
        )


def check_pixels(clips: Iterable[LabelledClip], where: Path | str) -> None:
    """Refuses what would not fit into memory, before a frame is decoded.

    Raises:
        UserError: If all frames together have more than `MAX_TOTAL_PIXELS`.
    """
    total = sum(frame.size[0] * frame.size[1] for clip in clips for frame in clip.frames)
    if total > MAX_TOTAL_PIXELS:
        raise UserError(
            f"{where}: its annotated frames have {total / 1e6:.0f} megapixels together, a support may have"
            f" {MAX_TOTAL_PIXELS // 1_000_000}; give fewer frames, or save them smaller"
        )


def check_same_size(annotation: Path | str, size: tuple[int, int], still: Still) -> None:
    """Compares an annotation's (width, height) with its picture's.

    Raises:
        UserError: If they differ.
    """
    if size == still.size:
        return
    (width, height), (frame_width, frame_height) = size, still.size
    line = f"{annotation}: is {width}x{height}, but its frame {still.name} is {frame_width}x{frame_height}"
    if size == still.stored:
        raise UserError(
            f"{line} once its EXIF orientation is applied; annotate the upright picture, or turn the mask with it"
        )
    raise UserError(f"{line}; save both in one size")


def inside(root: Path, name: object, file: Path, where: str) -> Path:
    """The path of a file that an annotation names, which may be in a folder below the root.

    Args:
        root: Where it must be.
        name: What the annotation says.
        file: The annotation file.
        where: The place in it.

    Raises:
        UserError: If it is no name, or leads out of the root, be it by a symbolic link.
    """
    if not isinstance(name, str) or not name.strip() or not _can_be_path(name):
        raise UserError(f"{file}: {where} must be the name of a picture, got {name!r}")
    pure = PureWindowsPath(name)  # knows both separators; LabelMe on Windows writes backslashes
    path = root.joinpath(*pure.parts)
    if pure.anchor or ".." in pure.parts or not is_below(path, root):
        raise UserError(
            f"{file}: {where} {name!r} leads out of {root}; put the picture there and name it by its file name"
        )
    return path


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is no error."""
    return os.path.isfile(path)


def is_below(path: Path, root: Path) -> bool:
    """Whether a path, with symbolic links followed, is below a folder."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def shown(name: str) -> str:
    """A name out of an annotation as it can stand in one line."""
    return name if name.isprintable() and name.strip() else repr(name)


def counted(count: int, noun: str) -> str:
    """Such as "1 image" and "3 images"."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _can_be_path(name: str) -> bool:
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False
