"""Pixels of a scene: frames and exact masks, composed by the painter, and what is visible of each object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fsrvos.data.synthetic.actor import SAMPLES, Patch, draw
from fsrvos.data.synthetic.backgrounds import background
from fsrvos.data.synthetic.scene import Post, Scene

_FULL = SAMPLES**2


@dataclass(frozen=True)
class Footage:
    """A rendered scene.

    Attributes:
        frames: (T, H, W, 3) uint8.
        masks: (T, H, W) uint8: the id of the topmost object that covers at least half the pixel, 0 where that
            is no object or the post.
        whole: (T, K) int64: mask pixels of object k + 1 in an endless frame with nothing before it.
    """

    frames: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    whole: NDArray[np.int64]

    def visible(self) -> NDArray[np.int64]:
        """(T, K) mask pixels of every object."""
        count = self.whole.shape[1] + 1
        return np.stack([np.bincount(mask.ravel(), minlength=count)[1:] for mask in self.masks])


def render(scene: Scene) -> Footage:
    """Draws a scene: background, objects from far to near, post."""
    height, width = scene.size
    length = len(scene.camera)
    frames = np.empty((length, height, width, 3), dtype=np.uint8)
    masks = np.zeros((length, height, width), dtype=np.uint8)
    whole = np.zeros((length, len(scene.actors)), dtype=np.int64)
    for t, frame in enumerate(_grounds(scene)):
        for actor in scene.actors:
            patch = draw(actor.look, actor.poses[t])
            whole[t, actor.object_id - 1] = np.count_nonzero(patch.solid)
            _lay(patch, frame, masks[t], actor.object_id, actor.look.body, actor.look.ink)
        if scene.post is not None:
            _raise(scene.post, t, frame, masks[t])
        frames[t] = frame
    return Footage(frames, masks, whole)


def _grounds(scene: Scene) -> list[NDArray[np.int32]]:
    """The background seen by the camera in every frame, (H, W, 3) each."""
    height, width = scene.size
    kind, seed = scene.background
    xs, ys = zip(*scene.camera, strict=True)
    left, top = min(xs), min(ys)
    canvas = background(kind, seed, 2 * height + max(ys) - top, 2 * width + max(xs) - left).astype(np.int32)
    grounds = []
    for x, y in scene.camera:
        view = canvas[y - top :, x - left :][: 2 * height, : 2 * width]
        grounds.append((view[::2, ::2] + view[1::2, ::2] + view[::2, 1::2] + view[1::2, 1::2] + 2) // 4)
    return grounds


def _lay(
    patch: Patch,
    frame: NDArray[np.int32],
    mask: NDArray[np.uint8],
    object_id: int,
    body: tuple[int, int, int],
    ink: tuple[int, int, int],
) -> None:
    """Lays a patch over a frame (H, W, 3) and its mask (H, W), in place."""
    height, width = mask.shape
    rows, columns = patch.body.shape
    top, bottom = max(patch.top, 0), min(patch.top + rows, height)
    left, right = max(patch.left, 0), min(patch.left + columns, width)
    if top >= bottom or left >= right:
        return
    seen = (slice(top - patch.top, bottom - patch.top), slice(left - patch.left, right - patch.left))
    shown, inked = (count[seen][..., None].astype(np.int32) for count in (patch.body, patch.ink))
    under = frame[top:bottom, left:right]
    layer = shown * np.array(body, dtype=np.int32) + inked * np.array(ink, dtype=np.int32)
    under[:] = (layer + (_FULL - shown - inked) * under + _FULL // 2) // _FULL
    mask[top:bottom, left:right][patch.solid[seen]] = object_id


def _raise(post: Post, t: int, frame: NDArray[np.int32], mask: NDArray[np.uint8]) -> None:
    """Puts the post before a frame (H, W, 3) and its mask (H, W), in place."""
    quarters = np.arange(4 * mask.shape[1]).reshape(-1, 4) - post.lefts[t]
    covered = ((quarters >= 0) & (quarters < post.width)).sum(axis=1).astype(np.int32)
    # Lighter in the middle, as something round.
    bulge = 24 - 48 * np.abs(2 * (quarters[:, 1] + 1) - post.width) // max(post.width, 1)
    shade = post.shade + np.where(covered > 0, bulge, 0)
    frame[:] = ((covered * shade)[None, :, None] + (4 - covered)[None, :, None] * frame + 2) // 4
    mask[:, covered >= 2] = 0
