"""The same few episodes again and again: what a network must be able to learn by heart."""

from __future__ import annotations

from fsrvos.data.episodes import TrainEpisodes, check_counts
from fsrvos.structures import EpisodeSpec


class RepeatedEpisodes:
    """The first episodes of epoch 0, repeated through every epoch.

    Args:
        episodes: Where they come from; an epoch stays as long as theirs.
        count: How many of them.

    Raises:
        UserError: A count below 1.
    """

    def __init__(self, episodes: TrainEpisodes, count: int) -> None:
        check_counts(repeat_episodes=count)
        self.annotations = episodes.annotations
        self.length = len(episodes)
        self.specs = [episodes.spec(0, index) for index in range(min(count, len(episodes)))]

    def __len__(self) -> int:
        """Number of episodes of an epoch, repetitions counted."""
        return self.length

    def spec(self, epoch: int, index: int, attempt: int = 0) -> EpisodeSpec:
        """Returns an episode, or the one after it at the next attempt; ``epoch`` changes nothing."""
        return self.specs[(index + attempt) % len(self.specs)]
