"""Reads episodes: the data sets that a loader's workers hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fsrvos.data import captions
from fsrvos.data.annotations import Annotations
from fsrvos.data.clips import AnnotatedClip, native_masks, read_clip
from fsrvos.data.draws import generator
from fsrvos.data.episodes import TrainEpisodes
from fsrvos.data.faults import is_of_a_file
from fsrvos.data.repeated_episodes import RepeatedEpisodes
from fsrvos.data.transforms import TestTransform, TrainTransform
from fsrvos.errors import UserError
from fsrvos.structures import ClipSpec, Episode, EpisodeSpec, SupportClip

Transform = TrainTransform | TestTransform
ATTEMPTS = 10  # episodes that are tried where files cannot be read


class TrainDataset(Dataset[Episode]):
    """Training episodes by (epoch, index): the epoch comes with the index, so workers hold no state.

    Args:
        episodes: What to read.
        transform: Augmentation.
        rivals: How many other objects of the category in the query's frames are read at most, with all that is said of
            them and of the query's own.
        on_error: What happens where a frame or mask cannot be read: "raise" says so; "skip" reads another episode
            instead, and the episode says of which files.
    """

    def __init__(
        self,
        episodes: TrainEpisodes | RepeatedEpisodes,
        transform: Transform,
        rivals: int = 0,
        on_error: str = "raise",
    ):
        self.episodes = episodes
        self.transform = transform
        self.rivals = rivals
        self.on_error = on_error

    def __len__(self) -> int:
        """Number of episodes of an epoch."""
        return len(self.episodes)

    def __getitem__(self, key: tuple[int, int] | int) -> Episode:
        """Reads one episode; a bare index (from a sampler that knows no epochs) is one of epoch 0.

        Raises:
            UserError: A file cannot be read, and with ``on_error="skip"`` neither can those of `ATTEMPTS` other episodes.
        """
        epoch, index = key if isinstance(key, tuple) else (0, key)
        unread: list[str] = []
        for attempt in range(ATTEMPTS if self.on_error == "skip" else 1):
            spec = self.episodes.spec(epoch, index, attempt)
            try:
                episode = read_episode(self.episodes.annotations, spec, self.transform, self.rivals)
            except UserError as error:
                if self.on_error != "skip" or not is_of_a_file(error):
                    raise
                unread.append(str(error))
                continue
            return replace(episode, unread=unread)
        raise UserError(f"{unread[-1]} (and so were the files of {ATTEMPTS - 1} other episodes)")


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


def read_episode(
    annotations: Annotations, spec: EpisodeSpec, transform: Transform, rivals: int = 0
) -> Episode:
    """Reads and transforms one episode; everything drawn on the way derives from ``spec.seed``.

    With ``rivals`` so many other objects of the category in the query's frames are read as well.

    Raises:
        UserError: If a file is missing or corrupt, or sizes differ within a clip.
    """
    rng = generator("rename", spec.seed)
    noun = None
    if rng.random() < transform.rename_probability:
        noun = captions.pseudo_word(rng, annotations.categories)

    def read(clip: ClipSpec) -> AnnotatedClip:
        raw = read_clip(annotations, clip)
        raw.expression = called(raw.expression)
        return raw

    def called(phrase: str) -> str:
        return phrase if noun is None else captions.rename(phrase, spec.category, noun)

    raw_query = read(spec.query)
    native_size = (raw_query.masks.shape[1], raw_query.masks.shape[2])
    known = [(spec.query.expression, 0)]
    if rivals:  # they go where the object goes: as further masks of the same frames
        others, known = read_rivals(annotations, spec, rivals)
        nothing = [torch.zeros_like(raw_query.masks)] * (rivals - len(others))
        raw_query.masks = torch.cat((raw_query.masks, *others, *nothing))
        raw_query.further = [called(phrase) for phrase, _ in known]
    query = transform(raw_query, generator("augment", spec.seed, 0))
    masks, *shown = query.masks.split(len(spec.query.frames))
    said = [(phrase, about) for phrase, (_, about) in zip(query.further, known, strict=False)]
    support = [
        # The middle frame is all that the published affinity reads of a support clip.
        transform(read(clip), generator("augment", spec.seed, 1 + position), keep=len(clip.frames) // 2)
        for position, clip in enumerate(spec.support)
    ]
    return Episode(
        spec=spec,
        frames=query.frames,
        masks=masks,
        is_visible=masks.flatten(1).any(1),
        expression=query.expression,
        support=[SupportClip(clip.frames, clip.masks, clip.expression) for clip in support],
        native_size=native_size,
        rivals=torch.stack(shown) if rivals else None,
        said=said,
    )


def read_rivals(
    annotations: Annotations, spec: EpisodeSpec, count: int
) -> tuple[list[Tensor], list[tuple[str, int]]]:
    """Reads the other objects of the category in an episode's query, and what is said of which.

    Returns:
        At most ``count`` masks (T, H0, W0) bool; and phrases, each with the object that it is about: 0 the query's own,
        1 to ``count`` a rival. Alone, the object has the query's own phrase only.
    """
    query, content = spec.query, annotations.videos[spec.query.video]
    others = [o for o in annotations.objects(query.video, spec.category) if o != query.object_id][:count]
    masks = [native_masks(annotations, replace(query, object_id=object_id)) for object_id in others]
    if not others:
        return [], [(query.expression, 0)]
    said = [
        (content.expressions[expression_id].text, about)
        for about, object_id in enumerate([query.object_id, *others])
        for expression_id in content.expression_ids(object_id)
    ]
    return masks, said
