"""What data_path.py measures on, and against: a made data set, and the training transform by Pillow and numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fsrvos.data.annotations import Annotations
from fsrvos.data.draws import generator, pick
from fsrvos.data.photometric import colour_map
from fsrvos.data.resizing import resized_size
from fsrvos.data.transforms import IMAGENET_MEAN, IMAGENET_STD, TrainTransform
from fsrvos.structures import ClipSpec, EpisodeSpec

VIDEOS, FRAMES, SIZE = 3, 6, (480, 854)


def made(root: Path) -> Path:
    """Writes videos of two objects each that drift over noise of all scales, as photographs have it."""
    rng = np.random.default_rng(0)
    expressions: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    height, width = SIZE
    for number in range(VIDEOS):
        name = f"video{number}"
        names = [f"{5 * frame:05d}" for frame in range(FRAMES)]
        spoken = {"0": {"exp": "the dog on the left", "obj_id": "1"}, "1": {"exp": "a person", "obj_id": "2"}}
        expressions[name] = {"frames": names, "expressions": spoken}
        meta[name] = {
            "objects": {i: {"category": c, "frames": names} for i, c in (("1", "dog"), ("2", "person"))}
        }
        ground = np.zeros((height, width, 3))
        for cells in (4, 16, 64, 240):
            grid = rng.integers(0, 256, (cells, 2 * cells, 3), dtype=np.uint8)
            ground += np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)) / (
                4 + cells / 30
            )
        rows, columns = np.mgrid[:height, :width]
        for folder in ("JPEGImages", "Annotations"):
            (root / "train" / folder / name).mkdir(parents=True)
        for frame in range(FRAMES):
            mask = np.zeros(SIZE, np.uint8)
            for value, centre in ((1, 250), (2, 600)):
                wave = 90 + 25 * np.sin(np.arctan2(rows - 240, columns - centre - 8 * frame) * 5 + number)
                mask[np.hypot(rows - 240, columns - centre - 8 * frame) < wave] = value
            pixels = (
                np.roll(ground, 3 * frame, 1)
                + np.array([0, 40, -40])[mask][..., None]
                + rng.normal(0, 3, (*SIZE, 1))
            )
            picture = Image.fromarray(mask)
            picture.putpalette([0, 0, 0, 236, 95, 103, 249, 145, 87])
            picture.save(root / "train" / "Annotations" / name / f"{names[frame]}.png")
            picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            picture.save(root / "train" / "JPEGImages" / name / f"{names[frame]}.jpg", quality=90)
    (root / "meta_expressions" / "train").mkdir(parents=True)
    (root / "meta_expressions/train/meta_expressions.json").write_text(json.dumps({"videos": expressions}))
    (root / "train/meta.json").write_text(json.dumps({"videos": meta}))
    return root


def by_pillow(annotations: Annotations, spec: EpisodeSpec, transform: TrainTransform) -> None:
    """Reads and augments an episode with Pillow and numpy, one frame after the other, in the published order."""
    for place, clip in enumerate((spec.query, *spec.support)):
        rng = generator("augment", spec.seed, place)
        clip_by_pillow(annotations, clip, transform, rng, len(clip.frames) // 2 if place else None)


def clip_by_pillow(
    annotations: Annotations,
    clip: ClipSpec,
    transform: TrainTransform,
    rng: np.random.Generator,
    keep: int | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One clip: flip, resize and crop half of the time, resize, colours, to a tensor, normalise."""
    layout = annotations.layout
    frames = [Image.open(layout.frame(clip.video, name)).convert("RGB") for name in clip.frames]
    masks = [
        Image.fromarray(
            np.uint8(255) * (np.array(Image.open(layout.mask(clip.video, name))) == int(clip.object_id))
        )
        for name in clip.frames
    ]

    def resized(size: tuple[int, int]) -> None:
        frames[:] = [frame.resize(size[::-1], Image.Resampling.BILINEAR) for frame in frames]
        masks[:] = [mask.resize(size[::-1], Image.Resampling.NEAREST) for mask in masks]

    if rng.random() < transform.flip:
        frames[:] = [frame.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for frame in frames]
        masks[:] = [mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for mask in masks]
    if transform.crop and rng.random() < 0.5:
        width, height = frames[0].size
        size = resized_size(height, width, pick(rng, transform.crop_short_sides))
        resized(size)
        for _ in range(10):
            rows, columns = (transform._side(side, rng) for side in size)
            box = (columns.start, rows.start, columns.stop, rows.stop)
            if keep is None or masks[keep].crop(box).getbbox() is not None:
                frames[:] = [frame.crop(box) for frame in frames]
                masks[:] = [mask.crop(box) for mask in masks]
                break
    width, height = frames[0].size
    resized(resized_size(height, width, pick(rng, transform.short_sides), transform.max_long_side))
    shift, matrix = colour_map(rng)
    mean, std = np.float32(IMAGENET_MEAN), np.float32(IMAGENET_STD)
    tensors = []
    for frame in frames:
        pixels = np.asarray(frame).astype(np.float32) / 255
        pixels = np.clip(pixels @ matrix.T.astype(np.float32) + shift.astype(np.float32), 0, 1)
        tensors.append(torch.from_numpy((pixels - mean) / std).permute(2, 0, 1).contiguous())
    return torch.stack(tensors), torch.stack([torch.from_numpy(np.array(mask) > 0) for mask in masks])
