"""Draws the clip of an object in a video of a category: object, expression and window of frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fsrvos.data.annotations import Annotations
from fsrvos.data.draws import pick
from fsrvos.structures import ClipSpec

Window = Callable[[Sequence[str], Sequence[str], int, np.random.Generator], tuple[str, ...]]


def draw_clip(
    annotations: Annotations,
    video: str,
    category: str,
    window: Window,
    length: int,
    rng: np.random.Generator,
) -> ClipSpec:
    """Draws an object of the category in a video, one of its expressions, and a window of frames."""
    content = annotations.videos[video]
    object_id = pick(rng, annotations.objects(video, category))
    expression_id = pick(rng, content.expression_ids(object_id))
    frames = window(content.frames, content.objects[object_id].frames, length, rng)
    return annotations.clip(video, object_id, expression_id, frames)


def draw_videos(videos: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """Draws ``count`` different videos, in the order drawn; fewer if there are fewer."""
    return [videos[position] for position in rng.permutation(len(videos))[:count]]


def query_window(
    frames: Sequence[str], visible: Sequence[str], length: int, rng: np.random.Generator
) -> tuple[str, ...]:
    """Draws ``length`` consecutive frames, at least one of which shows the object.

    A video that is shorter repeats its last frame.
    """
    shown = set(visible)
    windows = [_window(frames, start, length) for start in range(max(1, len(frames) - length + 1))]
    return pick(rng, [window for window in windows if not shown.isdisjoint(window)])


def support_window(
    frames: Sequence[str], visible: Sequence[str], length: int, rng: np.random.Generator
) -> tuple[str, ...]:
    """Draws ``length`` consecutive frames whose middle one (``length // 2``) shows the object.

    Among those, windows inside the video come first, then those with the most visible frames. Near an end of
    the video, where only that puts a visible frame in the middle, the first or last frame is repeated.
    """
    shown = set(visible)

    def worth(start: int) -> tuple[bool, bool, int]:
        window = _window(frames, start, length)
        inside = start >= 0 and start + length <= len(frames)
        return window[length // 2] in shown, inside, sum(frame in shown for frame in window)

    starts = range(-(length // 2), len(frames) - length // 2)
    best = max(map(worth, starts))
    return _window(frames, pick(rng, [start for start in starts if worth(start) == best]), length)


def evaluation_windows(num_frames: int, window: int) -> list[slice]:
    """Cuts a whole video into windows of ``window`` frames; the last may be shorter."""
    return [slice(start, min(start + window, num_frames)) for start in range(0, num_frames, window)]


def _window(frames: Sequence[str], start: int, length: int) -> tuple[str, ...]:
    last = len(frames) - 1
    return tuple(frames[min(max(position, 0), last)] for position in range(start, start + length))
