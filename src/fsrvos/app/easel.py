"""What the painting tool is given and gives back: a frame at a size that one can paint on, and the painted mask.

The tool works in pixels of the picture that it is given: a frame of 192x112 would be a stamp on the screen, one of 4K
slow. So frames are shown with a long side of ``LONG_SIDE``, and masks are brought back to the frame's own size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

LONG_SIDE = 768
# Strokes are this opaque, so that one sees what lies beneath; their edges are softer.
OPACITY = 0.6
COLOUR = (255, 120, 0)
# From this alpha on a pixel counts as painted: half of a stroke.
_PAINTED = round(255 * OPACITY / 2)
_PRINT = (32, 32)


def shown_size(height: int, width: int) -> tuple[int, int]:
    """(H, W) at which a frame is painted on."""
    scale = LONG_SIDE / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def background(frame: np.ndarray) -> np.ndarray:
    """A frame (H, W, 3) uint8 at the size at which it is painted on."""
    height, width = shown_size(*frame.shape[:2])
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))


def fingerprint(picture: np.ndarray) -> np.ndarray:
    """What tells one background (H, W, 3 or 4) uint8 from another, in short: (32, 32, 3) int16."""
    small = Image.fromarray(np.ascontiguousarray(picture[..., :3])).resize(_PRINT, Image.Resampling.BOX)
    return np.asarray(small).astype(np.int16)


def editor_value(frame: np.ndarray, mask: np.ndarray | None = None) -> dict[str, Any]:
    """A frame (H, W, 3) uint8, and what is painted on it already, (H, W) bool, in the form of gradio's ImageEditor."""
    height, width = shown_size(*frame.shape[:2])
    layer = np.zeros((height, width, 4), np.uint8)
    if mask is not None:
        layer[np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))] = (
            *COLOUR,
            round(255 * OPACITY),
        )
    return {"background": background(frame), "layers": [layer], "composite": None}


def painted_mask(value: dict[str, Any] | None, size: tuple[int, int]) -> np.ndarray | None:
    """What was painted.

    Args:
        value: What gradio's ImageEditor gives: layers (H', W', 4) uint8 whose alpha says where there is paint.
        size: (H, W) of the frame.

    Returns:
        (H, W) bool: pixels of which at least half is painted; None if none is.
    """
    painted = [np.asarray(layer)[..., 3] >= _PAINTED for layer in (value or {}).get("layers") or []]
    if not painted:
        return None
    covered = Image.fromarray(np.logical_or.reduce(painted).astype(np.float32))
    height, width = size
    mask = np.asarray(covered.resize((width, height), Image.Resampling.BOX)) >= 0.5
    return mask if mask.any() else None
