"""Cross-modal affinity (CMA section 3.3; model.md section 5): what the query clip finds in the annotated support.

Every query position first looks at its own clip, then at the support's object. ``AblatedAffinity`` keeps the
paper's two ablations, ``base`` and ``self``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from fsrvos.errors import UserError
from fsrvos.models.foreground import SupportLevel
from fsrvos.ops.precision import full_precision, in_float32
from fsrvos.structures import Match


@dataclass
class SupportMemory:
    """What may be attended.

    Attributes:
        keys: (B, M, C/2) of the support's positions.
        values: (B, M, C/2).
        weigh: (B, M) bool, positions that may be attended.
        frames: (B,) frames of the support that have such a position, at least 1.
    """

    keys: Tensor
    values: Tensor
    weigh: Tensor
    frames: Tensor

    def prototypes(self) -> Tensor:
        """Mean key of the positions that may be attended: (B, C/2), zeros where there is none."""
        weights = self.weigh[..., None].to(self.keys.dtype)
        return (self.keys * weights).sum(1) / weights.sum(1).clamp(min=1)

    @classmethod
    def empty(cls, like: Tensor) -> SupportMemory:
        """A memory of one position that may not be attended, for (B, n, C/2)."""
        nothing = torch.zeros_like(like[:, :1])
        weigh = torch.zeros(like.shape[0], 1, dtype=torch.bool, device=like.device)
        return cls(nothing, nothing, weigh, torch.ones_like(weigh[:, 0], dtype=torch.int64))


class Projections(nn.Module):
    """Three 3x3 convolutions C -> C/2, frame by frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (
            nn.Conv2d(channels, channels // 2, 3, padding=1) for _ in range(3)
        )


class CrossModalAffinity(nn.Module):
    """Relates query features to themselves, then to the support's object; one set of weights for all levels.

    Args:
        channels: C.
        dropout: Probability, on what attention brings.
        all_support_frames: Every support frame of every clip is memory; else the first clip's middle frame.
        mask_background: Attention gives no weight to support positions without the object. The published
            network zeroes their features but lets them take part in the softmax.
        rest: Attention over the support may rest on a learned key without a value, so that a position that
            resembles nothing there brings nothing. What does not rest is the position's match with the support,
            which a mask loss can teach. The key weighs as much as there are frames, so that frames average: further
            ones make the match surer, not larger.
    """

    def __init__(
        self,
        channels: int,
        dropout: float = 0.1,
        *,
        all_support_frames: bool = False,
        mask_background: bool = False,
        rest: bool = False,
    ) -> None:
        super().__init__()
        self.rest = nn.Parameter(torch.zeros(channels // 2)) if rest else None
        self.all_support_frames, self.mask_background = all_support_frames, mask_background
        self.of_support, self.of_query = Projections(channels), Projections(channels)
        # No path leads through the support's query branch (model.md section 6): frozen, kept for its name.
        self.of_support.query.requires_grad_(False)
        self.keep = nn.Conv2d(channels, channels // 2, 1)
        self.norm = nn.LayerNorm(channels // 2)
        self.dropout = nn.Dropout(dropout)
        if rest:
            # Query and support start in one metric: what looks alike asks for what looks alike.
            self.of_support.key.load_state_dict(self.of_query.query.state_dict())

    def forward(
        self, query: Tensor, padding_mask: Tensor, support: SupportLevel | None
    ) -> tuple[Tensor, Match | None]:
        """Relates one level.

        Args:
            query: (B, T, C, h, w).
            padding_mask: (B, T, h, w) bool.
            support: The support's foreground at this level, or None: nothing is found there then.

        Returns:
            Related features (B, T, C, h, w), and the match of an affinity that may rest.
        """
        b, t, _, h, w = query.shape
        asked = rearrange(self.of_query.query(query.flatten(0, 1)), "(b t) c h w -> b (t h w) c", b=b)
        related = self._attend(asked, self._own_memory(query, padding_mask))
        memory = self._support_memory(support, b) if support is not None else SupportMemory.empty(related)
        found, match = self._match(related, memory)
        found = rearrange(found, "b (t h w) c -> b t c h w", t=t, h=h, w=w)
        kept = self.keep(query.flatten(0, 1)).unflatten(0, (b, t))
        if match is None:
            return torch.cat((found, kept), dim=2), None
        shape = (t, h, w)
        asked, prototypes = (full_precision(x) for x in (related, memory.prototypes()))
        return torch.cat((found, kept), dim=2), Match(
            match.unflatten(1, shape), asked.unflatten(1, shape), prototypes
        )

    @property
    def reads_middle_frame(self) -> bool:
        """Whether no support frame is read but the middle one of every episode's first clip."""
        return not self.all_support_frames

    @torch.no_grad()
    def attention(self, query: Tensor, padding_mask: Tensor, support: SupportLevel) -> Tensor:
        """Where every query position looks in the support, for pictures: the weights behind ``forward``.

        Args:
            query, padding_mask, support: As for ``forward``, of one support clip an episode.

        Returns:
            (B, T, h, w, S, h', w') weights; what is missing to a sum of 1 rests. S is 1 of a network that reads the
            middle frame alone.

        Raises:
            ValueError: Several support clips of an episode, or none.
        """
        b, t, _, h, w = query.shape
        if not torch.equal(support.owner, torch.arange(b, device=support.owner.device)):
            raise ValueError("attention is drawn over one support clip an episode")
        asked = rearrange(self.of_query.query(query.flatten(0, 1)), "(b t) c h w -> b (t h w) c", b=b)
        related = self._attend(asked, self._own_memory(query, padding_mask))
        memory = self._support_memory(support, b)
        scores = related @ memory.keys.transpose(1, 2) * related.shape[-1] ** -0.5
        scores = scores.masked_fill(~memory.weigh[:, None], -torch.inf)
        if self.rest is not None:
            resting = related @ self.rest[:, None] * related.shape[-1] ** -0.5
            resting = resting + memory.frames.log()[:, None, None]
            scores = torch.cat((scores, resting), -1)
        grid = support.features.shape[1:2] if self.all_support_frames else (1,)
        weights = scores.softmax(-1).nan_to_num()[..., : memory.keys.shape[1]]
        return weights.unflatten(1, (t, h, w)).unflatten(-1, (*grid, *support.features.shape[-2:]))

    def _match(self, related: Tensor, memory: SupportMemory) -> tuple[Tensor, Tensor | None]:
        """Cross-affinity: what the support brings, and how well each position (B, n) matches it, as a logit.

        The match is made in float32: its probability comes close to 1, where fewer bits tell nothing apart.
        """
        if self.rest is None:
            return self._attend(related, memory), None
        with in_float32(related.device):
            return self._rested(full_precision(related), memory)

    def _rested(self, related: Tensor, memory: SupportMemory) -> tuple[Tensor, Tensor]:
        """As ``_match``, of an affinity that may rest."""
        assert self.rest is not None
        b = len(related)
        keys = torch.cat((full_precision(memory.keys), self.rest.expand(b, 1, -1)), 1)
        # A channel of ones beside the values adds up to the weight that did not rest.
        values = F.pad(F.pad(full_precision(memory.values), (0, 1), value=1.0), (0, 0, 0, 1))
        bias = torch.zeros_like(keys[..., 0])
        bias[:, :-1].masked_fill_(~memory.weigh, -torch.inf)
        bias[:, -1] = memory.frames.log()
        brought, weight = F.scaled_dot_product_attention(
            related, keys, values, attn_mask=bias[:, None]
        ).split([related.shape[-1], 1], dim=-1)
        return self.norm(related + self.dropout(brought)), torch.logit(weight[..., 0], eps=1e-6)

    def _own_memory(self, query: Tensor, padding_mask: Tensor) -> SupportMemory:
        middle = query[:, query.shape[1] // 2]
        keys, values = (
            rearrange(p(middle), "b c h w -> b (h w) c") for p in (self.of_query.key, self.of_query.value)
        )
        weigh = torch.ones(keys.shape[:2], dtype=torch.bool, device=keys.device)
        if self.mask_background:
            weigh = ~padding_mask[:, padding_mask.shape[1] // 2].flatten(1)
        return SupportMemory(
            keys, values, weigh, torch.ones(len(keys), dtype=torch.int64, device=keys.device)
        )

    def _support_memory(self, support: SupportLevel, batch: int) -> SupportMemory:
        """Gathers the clips of every episode into rows of equal length."""
        if not self.all_support_frames:
            support = support.middle_of_first_clips()
        n, owner = support.features.shape[0], support.owner
        keys, values = (
            rearrange(p(support.features.flatten(0, 1)), "(n s) c h w -> n (s h w) c", n=n)
            for p in (self.of_support.key, self.of_support.value)
        )
        if self.mask_background:
            weigh = support.is_object.flatten(1)
        elif support.is_cell is not None:
            weigh = support.is_cell.flatten(1)
        else:
            weigh = torch.ones_like(support.is_object).flatten(1)
        shown = weigh.unflatten(1, (support.features.shape[1], -1)).any(-1).sum(1)
        frames = (
            torch.zeros(batch, dtype=shown.dtype, device=shown.device).index_add(0, owner, shown).clamp(min=1)
        )
        if torch.equal(owner, torch.arange(batch, device=owner.device)):
            return SupportMemory(keys, values, weigh, frames)
        keys, values, weigh = (_by_owner(x, owner, batch) for x in (keys, values, weigh))
        return SupportMemory(keys, values, weigh, frames)

    def _attend(self, asked: Tensor, memory: SupportMemory) -> Tensor:
        """Single-head attention, residual, norm: (B, n, C/2). Where no position may be weighed, nothing is added."""
        mask = None
        has_any = memory.weigh.any(-1)
        if not bool(memory.weigh.all()):
            mask = (memory.weigh | ~has_any[:, None])[:, None]
        brought = F.scaled_dot_product_attention(asked, memory.keys, memory.values, attn_mask=mask)
        brought = brought * has_any[:, None, None]
        return self.norm(asked + self.dropout(brought))


class AblatedAffinity(CrossModalAffinity):
    """The paper's ablations: ``base`` adds the masked support frame by frame, ``self`` keeps self-affinity only.

    Args:
        channels: C.
        dropout: Probability.
        kind: ``"base"`` or ``"self"``.
    """

    def __init__(self, channels: int, dropout: float, kind: str) -> None:
        super().__init__(channels, dropout)
        if kind not in ("base", "self"):
            raise ValueError(f"kind must be base or self, got {kind!r}")
        self.kind = kind
        # What has no part in the ablation is kept for its name, as in the published network.
        unused = self if kind == "base" else self.of_support
        unused.requires_grad_(False)

    @property
    def reads_middle_frame(self) -> bool:
        """Never: frames meet one by one."""
        return False

    def forward(
        self, query: Tensor, padding_mask: Tensor, support: SupportLevel | None
    ) -> tuple[Tensor, Match | None]:
        """As ``CrossModalAffinity.forward``; needs at least as many support frames as query frames.

        Raises:
            UserError: Fewer support than query frames, or several support clips.
        """
        b, t, _, h, w = query.shape
        foreground = torch.zeros_like(query) if support is None else self._aligned(support, b, t)
        if self.kind == "base":
            return query + foreground, None
        asked = rearrange(self.of_query.query(query.flatten(0, 1)), "(b t) c h w -> b (t h w) c", b=b)
        related = self._attend(asked, self._own_memory(query, padding_mask))
        related = rearrange(related, "b (t h w) c -> b t c h w", t=t, h=h, w=w)
        return torch.cat((related, self.keep(foreground.flatten(0, 1)).unflatten(0, (b, t))), dim=2), None

    def _aligned(self, support: SupportLevel, batch: int, frames: int) -> Tensor:
        if support.features.shape[1] < frames:
            raise UserError(
                f"model {self.kind!r} adds support to query frame by frame: it needs at least {frames} support "
                f"frames, got {support.features.shape[1]}"
            )
        if support.features.shape[0] != batch:
            raise UserError(f"model {self.kind!r} takes one support clip an episode")
        return support.features[:, :frames]


def build_affinity(
    variant: str, channels: int, dropout: float, **switches: bool
) -> CrossModalAffinity | AblatedAffinity | None:
    """The affinity of a variant of ``CMA``; ``switches`` are those of ``CrossModalAffinity``. None reads no support."""
    if variant == "referformer":
        return None
    if variant in ("base", "self"):
        return AblatedAffinity(channels, dropout, variant)
    return CrossModalAffinity(channels, dropout, **switches)


def _by_owner(x: Tensor, owner: Tensor, batch: int) -> Tensor:
    """Rows (N, M, ...) joined per episode, zero-padded to the longest: (B, M', ...)."""
    joined = [x[owner == b].flatten(0, 1) for b in range(batch)]
    return nn.utils.rnn.pad_sequence(joined, batch_first=True)
