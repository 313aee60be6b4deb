"""What a folder of predictions holds, and which files of a folder are predictions at all.

OUT/masks/1_the_brown_dog/FRAME.png   palette PNG, 1 is the object
OUT/predictions.json                  the same as COCO RLE, with boxes and scores
OUT/overlay.mp4                       the video with masks and phrases on it
OUT/scores.png                        the score over time
OUT/.progress.jsonl                   what is done, until all is
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from fsrvos.errors import UserError

JOURNAL, PREDICTIONS, OVERLAY, CURVE, MASKS = (
    ".progress.jsonl", "predictions.json", "overlay.mp4", "scores.png", "masks",
)  # fmt: skip


def slug(number: int, phrase: str) -> str:
    """Name of the folder of a phrase's masks, such as ``1_the_brown_dog``."""
    words = re.sub(r"\W+", "_", phrase.lower()).strip("_")
    return f"{number}_{words[:40].rstrip('_')}"


def make_room(folder: Path, *, overwrite: bool) -> None:
    """Sees to it that new predictions replace nothing but earlier ones.

    Args:
        folder: Where they are to go.
        overwrite: Remove earlier ones; other files stay.

    Raises:
        UserError: There are earlier ones and they are to stay, or files that are none under the same names.
    """
    there = [name for name in (JOURNAL, PREDICTIONS, OVERLAY, CURVE, MASKS) if (folder / name).exists()]
    if not there:
        return
    masks = list(_recorded(folder))
    if not masks:
        raise UserError(
            f"{folder} holds {', '.join(there)}, but not from fsrvos-predict as it seems; give another folder"
        )
    if not overwrite:
        more = ", resume=true to go on" if JOURNAL in there else ""
        raise UserError(f"{folder} holds predictions already; give another folder{more}, or overwrite=true")
    for mask in masks:
        mask.unlink(missing_ok=True)
    for place in sorted({mask.parent for mask in masks}):
        remove_if_empty(place)
    remove_if_empty(folder / MASKS)
    for name in (JOURNAL, PREDICTIONS, OVERLAY, CURVE):
        (folder / name).unlink(missing_ok=True)


def remove_if_empty(folder: Path) -> None:
    """Removes a folder that holds nothing."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _recorded(folder: Path) -> Iterator[Path]:
    """Masks that the folder's own record names."""
    try:
        if (folder / JOURNAL).is_file():
            header, *lines = (folder / JOURNAL).read_text().splitlines()
            names = [json.loads(line)["name"] for line in lines if line.endswith("}")]
            phrases = [(phrase, names) for phrase in json.loads(header)["phrases"]]
        else:
            entries = json.loads((folder / PREDICTIONS).read_text())
            phrases = [(entry["expression"], entry["frames"]) for entry in entries]
        for number, (phrase, names) in enumerate(phrases, start=1):
            place = folder / MASKS / slug(number, phrase)
            yield from (place / f"{name}.png" for name in names if name == Path(name).name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return  # no record of ours
