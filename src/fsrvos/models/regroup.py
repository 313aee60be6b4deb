"""Makes padding not matter: every clip goes through the network at its own size, rounded up to whole cells of stride 32.

Backbones, group norms and spatial reductions see padding, so masking alone cannot hide it. Instead a batch is cut
into groups of one tight size and number of frames, and what the network says of each is put back in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from fsrvos.structures import Clip, Match, Movable, Prediction, Support

AnyClip = TypeVar("AnyClip", bound=Clip)
CELL = 32
NOTHING = -50.0
"""Logit of a cell or frame that is none."""


@dataclass
class Group(Movable):
    """Clips of one tight size.

    Attributes:
        rows: (n,) int64, their places in the batch.
        frames: (n, T') int64, which frames of theirs are real.
        size: (H', W') tight size.
    """

    rows: Tensor
    frames: Tensor
    size: tuple[int, int]

    def cut(self, clip: AnyClip) -> AnyClip:
        """These clips of a batch, without frames that are none and without needless padding."""
        taken = rows_of(clip, self.rows)
        each = torch.arange(len(self.rows), device=self.rows.device)[:, None]
        taken.frames = fit(taken.frames[each, self.frames], self.size)
        taken.padding_mask = fit(taken.padding_mask[each, self.frames], self.size, True)
        if isinstance(taken, Support):
            taken.masks = fit(taken.masks[each, self.frames], self.size, False)
        return taken


def rows_of(clip: AnyClip, rows: Tensor) -> AnyClip:
    """Some clips of a batch, in the order of ``rows`` (n,)."""
    tokens = clip.tokens
    taken = replace(
        clip,
        frames=clip.frames[rows],
        padding_mask=clip.padding_mask[rows],
        sizes=clip.sizes[rows],
        expressions=[clip.expressions[row] for row in rows.tolist()],
        tokens=tokens and replace(tokens, ids=tokens.ids[rows], padding_mask=tokens.padding_mask[rows]),
    )
    if isinstance(clip, Support) and isinstance(taken, Support):
        taken.masks, taken.owner = clip.masks[rows], clip.owner[rows]
    return taken


def groups_of(clip: Clip) -> list[Group]:
    """The groups of a batch of clips, in the order of their first clips; a clip without any real frame is in none."""
    is_frame = ~clip.padding_mask.flatten(2).all(-1)
    found: dict[tuple[int, int, int], list[int]] = {}
    for row, ((height, width), count) in enumerate(
        zip(clip.sizes.tolist(), is_frame.sum(1).tolist(), strict=True)
    ):
        if count:
            found.setdefault((_whole(height), _whole(width), count), []).append(row)
    groups = []
    for (height, width, count), members in found.items():
        rows = torch.tensor(members, device=clip.frames.device)
        frames = is_frame[rows].nonzero()[:, 1].view(len(members), count)
        groups.append(Group(rows, frames, (height, width)))
    return groups


def is_tight(clip: Clip, groups: list[Group]) -> bool:
    """Whether a batch is one group already, and padded no more than that."""
    if len(groups) != 1:
        return False
    (group,) = groups
    return (*group.frames.shape, *group.size) == (*clip.frames.shape[:2], *clip.frames.shape[-2:])


def owned_by(support: Support | None, rows: Tensor) -> Support | None:
    """The support clips of some episodes, whose places in their batch become 0, 1, ..."""
    if support is None:
        return None
    place = {row: index for index, row in enumerate(rows.tolist())}
    owners = support.owner.tolist()
    kept = [number for number, owner in enumerate(owners) if owner in place]
    if not kept:
        return None
    owned = rows_of(support, torch.tensor(kept, device=support.owner.device))
    owned.owner = torch.tensor([place[owners[number]] for number in kept], device=support.owner.device)
    return owned


def group_by_group(
    network: Callable[[Clip, Support | None], Prediction],
    query: Clip,
    support: Support | None,
    groups: list[Group],
) -> Prediction:
    """What a network says of every group, put together in the order and on the grids of the batch.

    Args:
        network: Takes tight clips.
        query: B clips.
        support: Their support.
        groups: Those of the query.

    Raises:
        ValueError: A query clip without a single frame.
    """
    if sum(len(group.rows) for group in groups) != len(query.frames):
        raise ValueError("every query clip must have a frame that is not padded whole")
    parts = [network(group.cut(query), owned_by(support, group.rows)) for group in groups]
    return _together(parts, groups, query)


def _together(parts: list[Prediction], groups: list[Group], query: Clip) -> Prediction:
    b, t = query.frames.shape[:2]

    def place(values: Iterator[Tensor], fill: float, stride: int | None = None) -> Tensor:
        """Values (n, T', ...) of the groups at (B, T, ...); of a stride, with their last axes on its grid."""
        pieces = list(values)
        if stride is not None:
            grid = tuple(-(-side // stride) for side in query.frames.shape[-2:])
            pieces = [fit(piece, (grid[0], grid[1]), fill) for piece in pieces]
        whole = pieces[0].new_full((b, t, *pieces[0].shape[2:]), fill)
        for piece, group in zip(pieces, groups, strict=True):
            whole[group.rows[:, None], group.frames] = piece.to(whole.dtype)
        return whole

    def layer(of_groups: Sequence[Prediction]) -> Prediction:
        return Prediction(
            place((p.logits for p in of_groups), NOTHING),
            place((p.boxes for p in of_groups), 0.0),
            place((p.masks for p in of_groups), NOTHING, stride=4),
        )

    prediction = layer(parts)
    prediction.auxiliary = [layer(each) for each in zip(*(p.auxiliary for p in parts), strict=True)]
    for i in range(len(parts[0].matches)):
        stride = 8 * 2**i
        asked = place((p.matches[i].asked.movedim(-1, 2) for p in parts), 0.0, stride).movedim(2, -1)
        logits = place((p.matches[i].logits for p in parts), NOTHING, stride)
        prototypes = parts[0].matches[i].prototypes.new_zeros(b, asked.shape[-1])
        for part, group in zip(parts, groups, strict=True):
            prototypes[group.rows] = part.matches[i].prototypes.to(prototypes.dtype)
        prediction.matches.append(Match(logits, asked, prototypes))
    return prediction


def fit(x: Tensor, size: tuple[int, int], fill: float = 0.0) -> Tensor:
    """Cuts or fills the last two axes at the bottom and the right."""
    x = x[..., : size[0], : size[1]]
    missing = (0, size[1] - x.shape[-1], 0, size[0] - x.shape[-2])
    return F.pad(x, missing, value=fill) if any(missing) else x


def _whole(side: int) -> int:
    return -(-side // CELL) * CELL
