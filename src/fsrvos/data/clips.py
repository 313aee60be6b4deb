"""Reads the frames and masks that a `ClipSpec` names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fsrvos.data.annotations import Annotations
from fsrvos.data.faults import fault_error
from fsrvos.data.image_files import read_frame, read_mask
from fsrvos.structures import ClipSpec


@dataclass
class AnnotatedClip:
    """The frames, masks and phrase of one object: as read, or transformed.

    Attributes:
        frames: (T, 3, H, W) uint8 as read; float32, normalised, once transformed.
        masks: (T, H, W) bool.
        expression: The phrase.
        further: Other phrases about what the frames show; they change as ``expression`` does.
    """

    frames: Tensor
    masks: Tensor
    expression: str
    further: list[str] = field(default_factory=list)


def read_clip(annotations: Annotations, spec: ClipSpec) -> AnnotatedClip:
    """Reads a clip; a frame that the spec repeats is decoded once.

    Raises:
        UserError: If a file is missing or corrupt, or sizes differ within the clip.
    """
    pixels: dict[str, np.ndarray] = {}
    masks: dict[str, np.ndarray] = {}
    for frame in dict.fromkeys(spec.frames):
        path, mask_path = (
            annotations.layout.frame(spec.video, frame),
            annotations.layout.mask(spec.video, frame),
        )
        pixels[frame] = read_frame(path)
        masks[frame] = _mask(mask_path, spec.object_id, annotations.layout.name)
        _check_size("mask-size", mask_path, masks[frame], path, pixels[frame])
        first = spec.frames[0]
        _check_size(
            "frame-size", path, pixels[frame], annotations.layout.frame(spec.video, first), pixels[first]
        )
    # Channels last, as decoded: torchvision resizes that several times faster than contiguous planes.
    frames = torch.from_numpy(np.stack([pixels[frame] for frame in spec.frames])).permute(0, 3, 1, 2)
    return AnnotatedClip(
        frames, torch.from_numpy(np.stack([masks[frame] for frame in spec.frames])), spec.expression
    )


def native_masks(annotations: Annotations, spec: ClipSpec) -> Tensor:
    """Reads the masks of a clip as they are on disk: (T, H0, W0) bool.

    Raises:
        UserError: If a file is missing or corrupt, or sizes differ within the clip.
    """
    masks = []
    for frame in spec.frames:
        path = annotations.layout.mask(spec.video, frame)
        masks.append(_mask(path, spec.object_id, annotations.layout.name))
        _check_size(
            "mask-size", path, masks[-1], annotations.layout.mask(spec.video, spec.frames[0]), masks[0]
        )
    return torch.from_numpy(np.stack(masks))


def _mask(path: Path, object_id: str, layout: str) -> np.ndarray:
    values = read_mask(path)
    if layout == "sailvos":
        values = np.minimum(values, 1)  # values above 1 mean object 1 there
    return values == int(object_id)


def _check_size(kind: str, path: Path, array: np.ndarray, other_path: Path, other: np.ndarray) -> None:
    if array.shape[:2] != other.shape[:2]:
        height, width = array.shape[:2]
        raise fault_error(
            kind,
            path,
            f"is {width}x{height}, but {other_path} is {other.shape[1]}x{other.shape[0]}",
            line_end="the frames and masks of a video must have one size",
        )
