"""Made clips of one's own, for tests of adaptation: a bright square that drifts over noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fsrvos.data.clips import AnnotatedClip


def square_clip(
    frames: int = 10, seed: int = 0, hidden: Sequence[int] = (), size: tuple[int, int] = (48, 72)
) -> AnnotatedClip:
    """A clip whose object is a yellow square of 20 pixels; on ``hidden`` frames it is not there."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 90, (frames, 3, *size), generator=generator, dtype=torch.uint8)
    masks = torch.zeros(frames, *size, dtype=torch.bool)
    left = int(torch.randint(0, size[1] - 20 - frames, (), generator=generator))
    for t in set(range(frames)) - set(hidden):
        masks[t, 12:32, left + t : left + t + 20] = True
        pixels[t, :2, 12:32, left + t : left + t + 20] = 230
    return AnnotatedClip(pixels, masks, "the dax")
