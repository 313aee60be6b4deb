"""Support in the benchmark's layout: folders of frames below JPEGImages, of masks below Annotations."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

from fsrvos.data.json_files import mapping, read_json
from fsrvos.data.layout import FOLDERS
from fsrvos.data.support_labelled import (
    LabelledClip,
    LabelledFrame,
    check_count,
    check_same_size,
    counted,
    natural_order,
)
from fsrvos.data.support_masks import read_labels
from fsrvos.data.support_stills import SUFFIXES, find_still
from fsrvos.errors import UserError

_FRAMES, _MASKS = "JPEGImages", "Annotations"


def is_benchmark(folder: Path) -> bool:
    """Whether a folder is a data root of the benchmark's layout, a split of one, or a video folder in it."""
    return _split(folder) is not None or _video_parent(folder) in (_FRAMES, _MASKS)


def read_benchmark(folder: Path) -> list[LabelledClip]:
    """Reads every video that has masks, each as one clip of the frames that have one.

    Object ids are those of the video, so they mean nothing across clips. Links are followed: ``fsrvos-data mini`` makes
    a data set of them, and no name comes out of a file.

    Args:
        folder: A folder for which `is_benchmark` holds.

    Raises:
        UserError: If there are no masks, a mask has no frame, or sizes differ within a video.
    """
    split = _split(folder)
    if split is None:
        video = Path(os.path.abspath(folder))
        split, videos = video.parent.parent, [video.name]
    elif not (split / _MASKS).is_dir():
        raise UserError(
            f"{split}: has {_FRAMES} but no {_MASKS}; a support needs masks, as a training split has"
        )
    else:
        videos = sorted(
            (path.name for path in (split / _MASKS).iterdir() if path.is_dir()), key=natural_order
        )
        _warn_of_videos_without_masks(split, set(videos))
        videos = videos or [""]  # the files of a single video lie in both folders themselves
    masks = {video: _masks(split / _MASKS / video) for video in videos}
    if not any(masks.values()):
        where = split / _MASKS if len(videos) != 1 else split / _MASKS / videos[0]
        raise UserError(f"{where}: holds no masks; put a palette PNG there for each annotated frame")
    check_count(sum(map(len, masks.values())), folder)
    return [_clip(split, video, paths) for video, paths in masks.items() if paths]


def _split(folder: Path) -> Path | None:
    """The folder that has frames and masks: this one or one of those usual in it; else one with frames alone."""
    if folder.name in (_FRAMES, _MASKS):
        folder = folder.parent
    roots = [folder, *(folder / name for name in FOLDERS["ytvos"])]
    candidates = [root / part for root in roots for part in ("", "train", "valid")]
    with_frames = [path for path in candidates if (path / _FRAMES).is_dir()]
    with_both = [path for path in with_frames if (path / _MASKS).is_dir()]
    return next(iter(with_both + with_frames), None)


def _video_parent(folder: Path) -> str:
    return Path(os.path.abspath(folder)).parent.name


def _masks(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = [
        path for path in folder.iterdir() if path.suffix.lower() == ".png" and not path.name.startswith(".")
    ]
    return sorted(found, key=lambda path: natural_order(path.name))


def _clip(split: Path, video: str, masks: list[Path]) -> LabelledClip:
    frames = [_frame(split / _FRAMES / video, mask) for mask in masks]
    for frame in frames:
        if frame.size != frames[0].size:
            (width, height), (first_width, first_height) = frame.size, frames[0].size
            raise UserError(
                f"{frame.annotation}: is {width}x{height}, but {frames[0].annotation} is {first_width}x{first_height};"
                " the frames and masks of a video must have one size"
            )
    return LabelledClip(str(split / _MASKS / video), frames, _phrase_of(split, video))


def _frame(folder: Path, mask: Path) -> LabelledFrame:
    names = [mask.stem + suffix for suffix in SUFFIXES]
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise UserError(
            f"{mask}: is a mask without its frame {folder / names[0]}; restore it, or take the mask away"
        )
    still, labels = find_still(path), read_labels(mask)
    check_same_size(mask, labels.size, still)
    return LabelledFrame(str(mask), still.size, still.read, labels.objects())


def _warn_of_videos_without_masks(split: Path, videos: set[str]) -> None:
    without = sum(path.is_dir() and path.name not in videos for path in (split / _FRAMES).iterdir())
    if without:
        warnings.warn(f"{split / _FRAMES}: {counted(without, 'video')} without masks left out", stacklevel=2)


def _phrase_of(split: Path, video: str) -> Callable[[str], str]:
    name = "meta_expressions.json"
    candidates = [
        split.parent / "meta_expressions" / split.name / name,
        split / name,
        split / "meta_expressions/train" / name,
    ]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    return lambda object_id: "" if path is None else _first_expression(path, video, object_id)


def _first_expression(path: Path, video: str, object_id: str) -> str:
    videos = mapping(read_json(path).get("videos"), path, '"videos"')
    if video not in videos:
        return ""
    entry = mapping(videos[video], path, f"video {video!r}")
    where = f'video {video!r}, "expressions"'
    expressions = mapping(entry.get("expressions"), path, where)
    for eid in sorted(expressions, key=natural_order):
        expression = mapping(expressions[eid], path, f"{where}, {eid!r}")
        text = expression.get("exp")
        if str(expression.get("obj_id")) == object_id and isinstance(text, str) and text.strip():
            return text
    return ""
