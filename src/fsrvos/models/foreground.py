"""The annotated support as the affinity reads it: features of its object, level by level (model.md section 5, step 1)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from fsrvos.models.features import Pyramid
from fsrvos.models.regroup import Group, fit
from fsrvos.structures import Movable, Support


@dataclass
class SupportLevel:
    """Foreground of the support clips at one level.

    Attributes:
        features: (N, S, C, h, w), zero where the mask is.
        is_object: (N, S, h, w) bool, cells that hold some of the object.
        owner: (N,) episode of each clip.
        is_cell: (N, S, h, w) bool, False where a clip is padded, or a smaller or shorter one of the batch ends;
            None in the published way, where padding takes part.
    """

    features: Tensor
    is_object: Tensor
    owner: Tensor
    is_cell: Tensor | None = None

    def middle_of_first_clips(self) -> SupportLevel:
        """The middle frame of the first clip of every episode: what the published affinity reads."""
        is_first = torch.cat((self.owner.new_ones(1, dtype=torch.bool), self.owner[1:] != self.owner[:-1]))
        rows = is_first.nonzero()[:, 0]
        middle = torch.full_like(rows, self.features.shape[1] // 2)
        if self.is_cell is not None:
            middle = self.is_cell[rows].flatten(2).any(-1).sum(1) // 2
        features, is_object = self.features[rows, middle, None], self.is_object[rows, middle, None]
        is_cell = None if self.is_cell is None else self.is_cell[rows, middle, None]
        return SupportLevel(features, is_object, self.owner[rows], is_cell)


@dataclass
class EncodedSupport(Movable):
    """Support clips after backbone, words and early fusion: what windows, phrases and videos share.

    Attributes:
        clips: The clips, in groups of one size where padding is not to matter.
        levels: Of each group, the four levels (n, S, C, h, w).
        groups: Which clips these are; none where all are one group.
        owner: (N,) episode of each clip.
        pad_masks: As for ``foreground``.
    """

    clips: list[Support]
    levels: list[list[Tensor]]
    groups: list[Group]
    owner: Tensor
    pad_masks: bool

    def foreground(self, query: Pyramid) -> list[SupportLevel]:
        """What a query clip reads, level by level."""
        parts = [
            [
                foreground(s, clips, (q.shape[-2], q.shape[-1]), pad_masks=self.pad_masks)
                for s, q in zip(levels, query.levels, strict=True)
            ]
            for clips, levels in zip(self.clips, self.levels, strict=True)
        ]
        if not self.groups:
            return parts[0]
        return [join(list(levels), self.groups, self.owner) for levels in zip(*parts, strict=True)]


def middle_frames(support: Support) -> Support:
    """The same clips, of their middle frames alone."""
    middle = support.frames.shape[1] // 2
    frames, padding_mask, masks = (
        x[:, middle, None] for x in (support.frames, support.padding_mask, support.masks)
    )
    return replace(support, frames=frames, padding_mask=padding_mask, masks=masks)


def foreground(
    features: Tensor, support: Support, size: tuple[int, int], *, pad_masks: bool = False
) -> SupportLevel:
    """Masked support features: the support's object at one level.

    Published, both are brought to the size of the query's level, the *unpadded* masks stretched over the padded
    features.

    Args:
        features: (N, S, C, h', w') of the padded support frames.
        support: Its masks and sizes.
        size: (h, w) of the query's level; read in the published way only.
        pad_masks: Masks are padded with their frames instead, and both stay on the support's own grid: nothing
            is stretched.
    """
    n, s = features.shape[:2]
    if pad_masks:
        # Mean over the cell: an object smaller than a cell still leaves a trace at the coarse levels.
        coverage = F.adaptive_avg_pool2d(
            support.masks.to(features.dtype), (features.shape[-2], features.shape[-1])
        )
        is_cell = ~F.interpolate(
            support.padding_mask.float(), size=features.shape[-2:], mode="nearest"
        ).bool()
        return SupportLevel(features * coverage[:, :, None], coverage > 0, support.owner, is_cell)
    resized = F.interpolate(features.flatten(0, 1), size=size, mode="bilinear", align_corners=True).unflatten(
        0, (n, s)
    )
    masks = torch.stack(
        [
            F.interpolate(
                m[None, :, :height, :width].to(features.dtype), size=size, mode="bilinear", align_corners=True
            )[0]
            for m, (height, width) in zip(support.masks, support.sizes.tolist(), strict=True)
        ]
    )
    return SupportLevel(resized * masks[:, :, None], masks > 0, support.owner)


def join(parts: list[SupportLevel], groups: list[Group], owner: Tensor) -> SupportLevel:
    """One level of groups of clips, each of its own size and number of frames, in the order of the batch.

    Args:
        parts: The level of every group.
        groups: Which clips these are; a clip in none has no cells.
        owner: (N,) episode of every clip of the batch.
    """
    shapes = [part.features.shape for part in parts]
    frames, height, width = (max(shape[axis] for shape in shapes) for axis in (1, 3, 4))
    grid = (len(owner), frames, height, width)
    features = parts[0].features.new_zeros(*grid[:2], shapes[0][2], *grid[2:])
    is_object, is_cell = (torch.zeros(grid, dtype=torch.bool, device=owner.device) for _ in range(2))
    for part, group in zip(parts, groups, strict=True):
        own = slice(part.features.shape[1])
        features[group.rows, own] = fit(part.features, (height, width)).to(features.dtype)
        is_object[group.rows, own] = fit(part.is_object, (height, width), False)
        assert part.is_cell is not None  # of masks that are padded with their frames it is always known
        is_cell[group.rows, own] = fit(part.is_cell, (height, width), False)
    return SupportLevel(features, is_object, owner, is_cell)
