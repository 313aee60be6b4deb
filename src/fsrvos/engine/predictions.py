"""Predictions on disk: written once, scored later, ours or any other method's.

    DIR/Annotations/VIDEO/EXPRESSION/FRAME.png    the field's submission layout; any pixel but 0 is the object
    DIR/predictions.json                          the same as COCO RLE, with a score for each expression

With several seeds of support each has a folder of its own, DIR/seed0, DIR/seed1, ...
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fsrvos.data.json_files import MAX_SUPPORT_MEGABYTES, read_value
from fsrvos.errors import UserError
from fsrvos.pictures import save_masks
from fsrvos.report import replace_file
from fsrvos.rle import decode_mask, encode_mask
from fsrvos.structures import EpisodeSpec
from fsrvos.video.source import MAX_MEGAPIXELS, too_large

RLE_FILE = "predictions.json"
LISTED = 5  # expressions named in one line


def save_prediction(folder: Path, spec: EpisodeSpec, masks: Tensor) -> None:
    """Writes the masks (T, H0, W0) of an episode as palette PNG, below the folder of its seed."""
    query = spec.query
    place = seed_folder(folder, spec.seed) / "Annotations" / query.video / query.expression_id
    save_masks(masks, place, query.frames)


def seed_folder(folder: Path, seed: int) -> Path:
    """Where the predictions of one seed lie."""
    return folder / f"seed{seed}"


def rle_entry(spec: EpisodeSpec, masks: Tensor, score: float) -> dict[str, Any]:
    """One expression as COCO RLE: ``segmentations`` follow ``frames``, null where the object is in none.

    Args:
        spec: The episode.
        masks: (T, H0, W0) bool.
        score: Confidence in [0, 1].
    """
    segmentations = [encode_mask(mask) for mask in masks.numpy()]
    query = spec.query
    return {
        "seed": spec.seed, "video": query.video, "expression_id": query.expression_id, "expression": query.expression,
        "category": spec.category, "object_id": query.object_id, "score": round(score, 6), "size": list(masks.shape[-2:]),
        "frames": list(query.frames), "segmentations": segmentations,
    }  # fmt: skip


def save_rle(folder: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Writes predictions.json into the folder of each seed, whole or not at all."""
    by_seed: dict[int, list[dict[str, Any]]] = {}
    for entry in sorted(entries, key=lambda entry: (entry["video"], entry["expression_id"])):
        by_seed.setdefault(entry["seed"], []).append(entry)
    for seed, of_seed in by_seed.items():
        content = f"{json.dumps(of_seed)}\n".encode()
        replace_file(seed_folder(folder, seed) / RLE_FILE, partial(_write, content))


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


class Predictions:
    """Masks of one or several seeds, as PNG files or as one predictions.json.

    Args:
        source: Folder with PNG files (or with folders seed0, seed1, ... of them), a run folder with such a folder
            ``predictions``, or a predictions.json.

    Raises:
        UserError: There is no such folder or file, or it holds no predictions.
    """

    def __init__(self, source: str | Path) -> None:
        self.source = Path(source)
        if (self.source / "predictions").is_dir():
            self.source /= "predictions"
        self._entries = _read_rle(self.source) if self.source.is_file() else None
        if self._entries is None and not self.source.is_dir():
            raise UserError(f"{source}: no such folder of predictions, and no {RLE_FILE} either")
        if self._entries is None and next(self.source.rglob("*.png"), None) is None:
            raise UserError(f"{source}: holds no mask; expected Annotations/VIDEO/EXPRESSION/FRAME.png")

    def seeds(self, asked: Sequence[int]) -> tuple[int, ...]:
        """The seeds that can be scored: of a folder seed3 only that one, else those that the test asks for."""
        named = re.fullmatch(
            r"seed(\d+)", (self.source if self._entries is None else self.source.parent).name
        )
        return (int(named[1]),) if named else tuple(asked)

    def missing(self, specs: Iterable[EpisodeSpec]) -> dict[str, list[str]]:
        """Frames that are not there, for each expression that lacks some, by its place."""
        lacking: dict[str, list[str]] = {}
        for spec in specs:
            query = spec.query
            if self._entries is not None:
                found = self._entries.get((query.video, query.expression_id), {})
                frames, place = (
                    [f for f in query.frames if f not in found],
                    f"{query.video}/{query.expression_id}",
                )
            else:
                folder = self._folder(spec)
                frames = [frame for frame in query.frames if not (folder / f"{frame}.png").is_file()]
                place = str(folder.relative_to(self.source))
            if frames:
                lacking[place] = frames
        return lacking

    def read(self, spec: EpisodeSpec, size: tuple[int, int]) -> Tensor:
        """Reads the masks of an episode.

        Args:
            spec: The episode.
            size: (H0, W0) of the video.

        Returns:
            (T, H0, W0) bool.

        Raises:
            UserError: A mask cannot be read, or has another size than the video.
        """
        query = spec.query
        if self._entries is not None:
            found = self._entries[query.video, query.expression_id]
            where = [f"{self.source}: {query.video}/{query.expression_id}/{frame}" for frame in query.frames]
            masks = [_decode(found[f], size, place) for f, place in zip(query.frames, where, strict=True)]
        else:
            where = [str(self._folder(spec) / f"{frame}.png") for frame in query.frames]
            masks = [_read_png(Path(place)) for place in where]
        for mask, place in zip(masks, where, strict=True):
            if mask.shape != size:
                raise UserError(
                    f"{place} is {mask.shape[1]}x{mask.shape[0]}, but the video is {size[1]}x{size[0]}; predictions "
                    "must be at the native size of the video"
                )
        return torch.from_numpy(np.stack(masks))

    def _folder(self, spec: EpisodeSpec) -> Path:
        of_seed = seed_folder(self.source, spec.seed)
        root = of_seed if any(self.source.glob("seed[0-9]*")) else self.source
        root = root / "Annotations" if (root / "Annotations").is_dir() else root
        return root / spec.query.video / spec.query.expression_id


def told_missing(source: Path, lacking: dict[str, list[str]]) -> str:
    """One line on what is missing; the rest of a long list is for a file."""
    count = sum(map(len, lacking.values()))
    named = [f"{place} ({_in_short(frames)})" for place, frames in list(lacking.items())[:LISTED]]
    more = f" and {len(lacking) - LISTED} more expressions" if len(lacking) > LISTED else ""
    return f"{source}: {count} frames of {len(lacking)} expressions are missing: {', '.join(named)}{more}"


def _in_short(frames: Sequence[str]) -> str:
    return ", ".join(frames) if len(frames) <= 3 else f"{frames[0]} to {frames[-1]}, {len(frames)} frames"


def _read_rle(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """By (video, expression): frame -> RLE or None."""
    content = read_value(path, MAX_SUPPORT_MEGABYTES)  # a whole test of large masks has tens of megabytes
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    for number, entry in enumerate(content if isinstance(content, list) else [None]):
        try:
            key = str(entry["video"]), str(entry["expression_id"])
            frames, segmentations = entry["frames"], entry["segmentations"]
            entries[key] = dict(zip(frames, segmentations, strict=True))
        except (TypeError, KeyError, ValueError) as error:
            raise UserError(
                f"{path}: entry {number} must have video, expression_id, frames and as many segmentations "
                f"(COCO RLE or null), as fsrvos-eval save_masks=true writes them"
            ) from error
    return entries


def _decode(rle: Any, size: tuple[int, int], place: str) -> np.ndarray:
    try:
        return decode_mask(rle, size)
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{place}: must be COCO RLE, with size and counts, or null") from error


def _read_png(path: Path) -> np.ndarray:
    """(H, W) bool; palette and grey by value, colours by brightness."""
    try:
        # Some of the other decoders start programs, whatever the suffix.
        with Image.open(path, formats=("PNG",)) as image:
            if too_large(image.width, image.height):
                raise UserError(
                    f"{path}: has over {MAX_MEGAPIXELS} megapixels; a mask has the size of its video"
                )
            flat = image if image.mode in ("1", "L", "P", "I", "I;16") else image.convert("RGB")
            values = np.asarray(flat) != 0
    except UserError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: cannot be decoded as a PNG; write it again") from error
    return values.any(-1) if values.ndim == 3 else values
