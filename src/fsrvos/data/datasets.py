"""Reads episodes: the data sets that a loader's workers hold."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.utils.data import Dataset

from fsrvos.data import captions
from fsrvos.data.annotations import Annotations
from fsrvos.data.clips import AnnotatedClip, native_masks, read_clip
from fsrvos.data.draws import generator
from fsrvos.data.episodes import TrainEpisodes
from fsrvos.data.repeated_episodes import RepeatedEpisodes
from fsrvos.data.transforms import TestTransform, TrainTransform
from fsrvos.structures import ClipSpec, Episode, EpisodeSpec, SupportClip

Transform = TrainTransform | TestTransform


class TrainDataset(Dataset[Episode]):
    """Training episodes by (epoch, index): the epoch comes with the index, so workers hold no state."""

    def __init__(self, episodes: TrainEpisodes | RepeatedEpisodes, transform: Transform):
        self.episodes = episodes
        self.transform = transform

    def __len__(self) -> int:
        """Number of episodes of an epoch."""
        return len(self.episodes)

    def __getitem__(self, key: tuple[int, int] | int) -> Episode:
        """Reads one episode; a bare index (from a sampler that knows no epochs) is one of epoch 0."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        return read_episode(self.episodes.annotations, self.episodes.spec(epoch, index), self.transform)


class TestDataset(Dataset[Episode]):
    """Any list of episodes: those of a test, some of them, or their controls."""

    def __init__(self, annotations: Annotations, specs: Sequence[EpisodeSpec], transform: Transform):
        self.annotations = annotations
        self.specs = list(specs)
        self.transform = transform

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.specs)

    def __getitem__(self, index: int) -> Episode:
        """Reads one episode."""
        return read_episode(self.annotations, self.specs[index], self.transform)

    def native_masks(self, spec: EpisodeSpec) -> Tensor:
        """Reads the truth of an episode's query at native size: (T, H0, W0) bool."""
        return native_masks(self.annotations, spec.query)


def read_episode(annotations: Annotations, spec: EpisodeSpec, transform: Transform) -> Episode:
    """Reads and transforms one episode; everything drawn on the way derives from ``spec.seed``.

    Raises:
        UserError: If a file is missing or corrupt, or sizes differ within a clip.
    """
    rng = generator("rename", spec.seed)
    noun = None
    if rng.random() < transform.rename_probability:
        noun = captions.pseudo_word(rng, annotations.categories)

    def read(clip: ClipSpec) -> AnnotatedClip:
        raw = read_clip(annotations, clip)
        if noun is not None:
            raw.expression = captions.rename(raw.expression, spec.category, noun)
        return raw

    raw_query = read(spec.query)
    query = transform(raw_query, generator("augment", spec.seed, 0))
    support = [
        # The middle frame is all that the published affinity reads of a support clip.
        transform(read(clip), generator("augment", spec.seed, 1 + position), keep=len(clip.frames) // 2)
        for position, clip in enumerate(spec.support)
    ]
    return Episode(
        spec=spec,
        frames=query.frames,
        masks=query.masks,
        is_visible=query.masks.flatten(1).any(1),
        expression=query.expression,
        support=[SupportClip(clip.frames, clip.masks, clip.expression) for clip in support],
        native_size=(raw_query.masks.shape[1], raw_query.masks.shape[2]),
    )
