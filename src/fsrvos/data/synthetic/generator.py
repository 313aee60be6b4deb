"""Makes the whole benchmark: many videos at once, one folder, complete or not there at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fsrvos.data.folders import folder_beside
from fsrvos.data.json_files import read_value
from fsrvos.data.parallel import check_workers, in_order
from fsrvos.data.synthetic.categories import CATEGORIES
from fsrvos.data.synthetic.film import shoot
from fsrvos.data.synthetic.patterns import DESCRIPTIONS
from fsrvos.data.synthetic.preview import preview
from fsrvos.data.synthetic.writer import Entry, write
from fsrvos.errors import UserError

NAME = "Mini-Ref-Synthetic"
VERSION = 1
"""Goes up whenever the same parameters make other bytes."""

Progress = Callable[[int, int], None]
_Task = tuple[int, int, int, int, tuple[int, int], str]


def generate(
    out: str | Path,
    *,
    seed: int = 0,
    videos_per_category: int = 6,
    frames: int = 12,
    size: tuple[int, int] = (112, 192),
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Makes Mini-Ref-Synthetic: 48 * ``videos_per_category`` videos in the layout of Mini-Ref-YouTube-VOS.

    The bytes depend on seed, videos_per_category, frames and size alone, and on Pillow's encoders. A
    finished folder of the same parameters is left as it is. The folder appears when all of it is written.

    Args:
        out: The data root to make.
        seed: Non-negative.
        videos_per_category: Videos in which a category is the primary one, 1-999. With an even number a
            quarter to a third of the episodes, as training draws them, have a same-category distractor, and
            55 to 65 percent bear the noun alone.
        frames: Frames a video, 4-9999.
        size: Height and width of the frames in pixels, 48-2048 each, no side over 3 times the other.
        workers: Processes; None for one per available core.
        overwrite: Replace an earlier Mini-Ref-Synthetic. No other folder is ever replaced.
        progress: Told (videos done, videos in all) after every video.

    Returns:
        The data root.

    Raises:
        UserError: For parameters out of range, and when ``out`` holds something else.
    """
    root = Path(out)
    parameters = _checked(seed, videos_per_category, frames, size)
    check_workers(workers)
    if _is_there(root, parameters, overwrite):
        return root
    numbers = range(1, len(CATEGORIES) + 1)
    tasks = [(seed, n, take, frames, size) for n in numbers for take in range(videos_per_category)]
    with folder_beside(root) as partial:
        entries = []
        for entry in in_order(_make, [(*task, str(partial)) for task in tasks], workers):
            entries.append(entry)
            if progress is not None:
                progress(len(entries), len(tasks))
        _write_json(partial, entries, parameters)
        preview(partial, entries)
    return root


def _checked(seed: int, videos: int, frames: int, size: tuple[int, int]) -> dict[str, Any]:
    bounds = {
        "seed": (seed, 0, 2**63 - 1),
        "videos_per_category": (videos, 1, 999),
        "frames": (frames, 4, 9999),
        "height": (size[0], 48, 2048),
        "width": (size[1], 48, 2048),
    }
    for name, (value, low, high) in bounds.items():
        if not low <= value <= high:
            raise UserError(f"{name} must be {low}-{high}, got {value}")
    if max(size) > 3 * min(size):
        raise UserError(f"no side of a frame may be over 3 times the other one, got {size[0]}x{size[1]}")
    return {
        "version": VERSION,
        "seed": seed,
        "videos_per_category": videos,
        "frames": frames,
        "size": list(size),
    }


def _parameters_of(root: Path) -> dict[str, Any] | None:
    """What a folder was made with, None when it is no Mini-Ref-Synthetic."""
    try:
        described = read_value(root / "categories.json")
    except UserError:
        return None
    if not isinstance(described, dict) or described.get("name") != NAME:
        return None
    return described.get("parameters")


def _is_there(root: Path, parameters: dict[str, Any], overwrite: bool) -> bool:
    """Whether the folder is finished already; raises when it must not be touched."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    made_with = _parameters_of(root)
    if made_with is None:
        raise UserError(f"{root} exists and is no {NAME}: choose another folder, or move it away")
    if overwrite:
        return False
    if made_with != parameters:
        differences = [
            f"{k}={parameters.get(k)} (there: {v})" for k, v in made_with.items() if parameters.get(k) != v
        ]
        asked = ", ".join(differences)
        raise UserError(
            f"{root} was made with other parameters than {asked}: choose another folder or --overwrite"
        )
    expected = len(CATEGORIES) * parameters["videos_per_category"]
    videos = sum(1 for _ in root.glob("train/JPEGImages/*"))
    if videos != expected:
        raise UserError(f"{root} has {videos} videos left of {expected}: make it again with --overwrite")
    return True


def _make(task: _Task) -> Entry:
    seed, number, take, frames, size, root = task
    return write(shoot(seed, number, take, frames, size), Path(root))


def _write_json(root: Path, entries: list[Entry], parameters: dict[str, Any]) -> None:
    described = {c.noun: f"{c.silhouette} with {DESCRIPTIONS[c.pattern]}" for c in CATEGORIES}
    worn = {
        c.noun: {"silhouette": c.silhouette, "pattern": c.pattern, "description": described[c.noun]}
        for c in CATEGORIES
    }
    files: dict[str, dict[str, Any]] = {
        "meta_expressions/train/meta_expressions.json": {"videos": {e.video: e.expressions for e in entries}},
        "train/meta.json": {"videos": {e.video: e.objects for e in entries}},
        "scenes.json": {"videos": {e.video: e.scene for e in entries}},
        "categories.json": {
            "name": NAME,
            "parameters": parameters,
            "categories": [c.noun for c in CATEGORIES],
            "descriptions": worn,
        },
    }
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
