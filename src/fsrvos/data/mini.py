"""Makes the 48-category layout of Mini-Ref-YouTube-VOS from a copy of Ref-YouTube-VOS, by links.

The published list of videos is not known here. The rule is: keep a video if an expression refers to an object of one
of the 48 categories that is visible in it. Its entries in both JSON files stay as they are, objects of the other 17
categories with them: the readers know those and never use them, and the masks hold their pixels.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsrvos.data.annotations import Annotations
from fsrvos.data.categories import YOUTUBE_VOS_CATEGORIES
from fsrvos.data.folders import folder_beside
from fsrvos.data.json_files import read_json
from fsrvos.data.layout import Layout, inside, locate
from fsrvos.errors import UserError

LINKS = ("symlink", "hard", "copy")
PUBLISHED_VIDEOS = 1668
_RECORD = "mini.json"


@dataclass(frozen=True)
class Mini:
    """What was made.

    Attributes:
        root: The data set.
        source: The copy of Ref-YouTube-VOS.
        videos: Videos that were kept.
        source_videos: Videos with expressions in the source.
        per_category: For each of the 48 categories the videos with an object of it that episodes can use.
        was_there: Whether an earlier call made it.
    """

    root: Path
    source: Path
    videos: int
    source_videos: int
    per_category: dict[str, int]
    was_there: bool


def make_mini(
    source: str | Path,
    out: str | Path,
    link: str = "symlink",
    progress: Callable[[int, int], None] | None = None,
) -> Mini:
    """Makes the data set, complete or not at all; one that the same call made is left as it is.

    Args:
        source: Ref-YouTube-VOS: train/JPEGImages, train/Annotations, train/meta.json (or meta.json) and
            meta_expressions/train/meta_expressions.json with ``obj_id``.
        out: The folder to make.
        link: "symlink" (absolute, one for each video folder), "hard" (one for each file; same file system) or "copy".
        progress: Told (videos done, videos in all).

    Returns:
        What was made.

    Raises:
        UserError: If the source has a fault, nothing of the 48 categories, or ``out`` holds something else.
    """
    if link not in LINKS:
        raise UserError(f"link must be one of {', '.join(LINKS)}, got {link!r}")
    out = Path(out).expanduser()
    layout = locate(source, "ytvos")
    if (layout.root / "categories.json").is_file():
        raise UserError(f"{layout.root}: has a categories.json of its own, so it is no Ref-YouTube-VOS")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of categories with few videos, which the counts tell
        usable = Annotations(source, "ytvos")
    kept = list(usable.videos)
    if not kept:
        raise UserError(f"{layout.meta}: no video has an object of the 48 categories with an expression")
    expressions, meta = read_json(layout.expressions)["videos"], read_json(layout.meta)["videos"]
    counts = dict.fromkeys(YOUTUBE_VOS_CATEGORIES, 0)
    for entry in usable.videos.values():
        for category in {thing.category for thing in entry.objects.values()}:
            counts[category] += 1
    record = {
        "name": "Mini-Ref-YouTube-VOS",
        "source": str(layout.root.resolve()),
        "link": link,
        "videos": kept,
    }
    was_there = _is_there(out, record)
    if not was_there:
        with folder_beside(out) as partial:
            for done, video in enumerate(kept, 1):
                _take_video(layout, video, partial, link, expressions[video]["frames"])
                if progress is not None:
                    progress(done, len(kept))
            _write(partial / "meta_expressions/train/meta_expressions.json", _only(expressions, kept))
            _write(partial / "train/meta.json", _only(meta, kept))
            _write(partial / _RECORD, record)
    return Mini(out, layout.root, len(kept), len(expressions), counts, was_there)


def _is_there(out: Path, record: dict[str, Any]) -> bool:
    """Whether the folder is finished already; raises when it holds something else."""
    if not out.exists() and not out.is_symlink():
        return False
    if out.is_dir() and not out.is_symlink() and not any(out.iterdir()):
        return False
    try:
        there = read_json(out / _RECORD)
    except UserError:
        there = {}
    if there.get("name") != record["name"]:
        raise UserError(
            f"{out} exists and was not made by `fsrvos-data mini`: choose another folder, or move it away"
        )
    if there != record:
        differing = " and other ".join(key for key, value in record.items() if there.get(key) != value)
        raise UserError(f"{out} was made with other {differing}: choose another folder, or move it away")
    return True


def _take_video(layout: Layout, video: str, root: Path, link: str, frames: list[str]) -> None:
    """Links or copies the frames and masks of a video."""
    for source, name, suffix in (
        (layout.images, "JPEGImages", layout.suffix),
        (layout.masks, "Annotations", ".png"),
    ):
        folder, target = inside(source / video, layout).resolve(), root / "train" / name / video
        if not folder.is_dir():
            raise UserError(
                f"{source / video}: missing; extract it again, `fsrvos-data validate` lists all that is"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        if link == "symlink":
            target.symlink_to(folder, target_is_directory=True)
            continue
        target.mkdir()
        for frame in sorted(set(frames)):
            _take_file(folder / f"{frame}{suffix}", target / f"{frame}{suffix}", link)


def _take_file(file: Path, target: Path, link: str) -> None:
    try:
        if link == "hard":
            os.link(file.resolve(), target)
        else:
            shutil.copy2(file, target)
    except FileNotFoundError as error:
        raise UserError(f"{file}: missing; `fsrvos-data validate` lists all that is") from error
    except OSError as error:
        advice = "; --link symlink or copy works across file systems" if link == "hard" else ""
        raise UserError(f"{file}: cannot be taken over ({error.strerror}){advice}") from error


def _only(videos: dict[str, Any], kept: list[str]) -> dict[str, Any]:
    return {"videos": {video: videos[video] for video in kept}}


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
