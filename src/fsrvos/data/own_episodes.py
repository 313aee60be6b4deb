"""Episodes within and across a few annotated clips in memory, as a pure function of (seed, index)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from fsrvos.data.draws import generator, pick
from fsrvos.data.episodes import check_counts
from fsrvos.data.held_back import OwnClip, check_clips, cut
from fsrvos.data.transforms import TestTransform, TrainTransform
from fsrvos.errors import UserError
from fsrvos.structures import ClipSpec, Episode, EpisodeSpec, SupportClip


class OwnEpisodes(Dataset[Episode]):
    """Training episodes of an adaptation: query and support from the training frames of the user's clips.

    Across clips the support is of another clip of the category; within a clip no frame is both query and support. All
    queries have ``query_frames`` frames; a clip with fewer to give repeats its last one, as in training.
    """

    def __init__(
        self,
        clips: Sequence[OwnClip],
        transform: TrainTransform,
        *,
        length: int,
        seed: int = 0,
        query_frames: int = 2,
        support_frames: int = 2,
        within: float = 0.3,
    ) -> None:
        """Sets the episodes up.

        Args:
            clips: The clips; those without training frames are passed over.
            transform: Augmentation.
            length: Number of episodes.
            seed: Any integer.
            query_frames: T.
            support_frames: S at most.
            within: Probability that query and support are of one clip where both ways are open.

        Raises:
            UserError: Clips that no episode can be made of, a count below 1, or ``within`` outside [0, 1].
        """
        check_counts(length=length, query_frames=query_frames, support_frames=support_frames)
        if not 0 <= within <= 1:
            raise UserError(f"within must be a probability in [0, 1], got {within}")
        check_clips(clips)
        self.clips = list(clips)
        self.transform = transform
        self.length = length
        self.seed = seed
        self.query_frames = query_frames
        self.support_frames = support_frames
        self.within = within
        self.pairs = [pairs for own in clips if own.train and (pairs := self._supports(own))]

    def __len__(self) -> int:
        """Number of episodes."""
        return self.length

    def __getitem__(self, index: int) -> Episode:
        """Reads and transforms one episode."""
        if not 0 <= index < self.length:
            raise IndexError(f"episode {index} of {self.length}")
        query, shown, positions, shown_positions = self.draw(index)
        rng = generator("adapt, augment", self.seed, index)
        return made_episode(
            index, query, shown, positions, shown_positions, self.transform, rng, seed=self.seed
        )

    def draw(self, index: int) -> tuple[OwnClip, OwnClip, list[int], list[int]]:
        """Query clip, support clip, and the positions of their frames in episode ``index``."""
        rng = generator("adapt", self.seed, index)
        pairs = pick(rng, self.pairs)
        inside = [pair for pair in pairs if pair[0] is pair[1]]
        across = [pair for pair in pairs if pair[0] is not pair[1]]
        chosen = inside if across and inside and rng.random() < self.within else across or inside
        query, support = pick(rng, chosen)
        if query is not support:
            return query, support, self._window(query.train, rng), self._shown(support.shown, rng)
        kept = pick(rng, support.shown)  # so that there is support, whatever the query takes
        window = self._window([position for position in query.train if position != kept], rng)
        return query, support, window, self._shown([p for p in support.shown if p not in window], rng)

    def _supports(self, own: OwnClip) -> list[tuple[OwnClip, OwnClip]]:
        """The clip with each that can support it, itself among them."""
        return [
            (own, other)
            for other in self.clips
            if other.category == own.category and other.shown and (other is not own or len(own.train) > 1)
        ]

    def _window(self, positions: Sequence[int], rng: np.random.Generator) -> list[int]:
        """Neighbours among the positions; the last is repeated where there are too few."""
        start = int(rng.integers(max(1, len(positions) - self.query_frames + 1)))
        return [positions[min(start + step, len(positions) - 1)] for step in range(self.query_frames)]

    def _shown(self, positions: Sequence[int], rng: np.random.Generator) -> list[int]:
        count = int(rng.integers(1, min(self.support_frames, len(positions)) + 1))
        return sorted(positions[place] for place in rng.permutation(len(positions))[:count])


def made_episode(
    index: int,
    query: OwnClip,
    support: OwnClip,
    positions: Sequence[int],
    shown_positions: Sequence[int],
    transform: TrainTransform | TestTransform,
    rng: np.random.Generator,
    seed: int = 0,
) -> Episode:
    """Cuts query and support out of two clips and transforms them, one after the other with the same ``rng``."""
    raw = cut(query.clip, positions)
    seen = transform(raw, rng)
    shown = transform(cut(support.clip, shown_positions), rng, keep=len(shown_positions) // 2)
    return Episode(
        spec=EpisodeSpec(
            index,
            query.category,
            _spec(query, positions),
            (_spec(support, shown_positions),),
            seed,
        ),
        frames=seen.frames,
        masks=seen.masks,
        is_visible=seen.masks.flatten(1).any(1),
        expression=seen.expression,
        support=[SupportClip(shown.frames, shown.masks, shown.expression)],
        native_size=(raw.masks.shape[1], raw.masks.shape[2]),
    )


def _spec(own: OwnClip, positions: Sequence[int]) -> ClipSpec:
    return ClipSpec(own.name, "1", "0", own.clip.expression, tuple(str(position) for position in positions))
