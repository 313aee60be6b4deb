"""Episodes: which query and which support belong together, as a pure function of (seed, epoch, index)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from fsrvos.data.annotations import Annotations
from fsrvos.data.clip_draws import draw_clip, draw_videos, evaluation_windows, query_window, support_window
from fsrvos.data.draws import generator, pick
from fsrvos.data.spread import spread
from fsrvos.errors import UserError
from fsrvos.structures import ClipSpec, EpisodeSpec

SAME_CATEGORY = 5


class TrainEpisodes:
    """Training episodes: every category equally often in an epoch, in an order drawn anew for each epoch.

    Query and support come from different videos of the category; video, object, expression and window are
    drawn independently in every episode.
    """

    def __init__(
        self,
        annotations: Annotations,
        categories: Iterable[str],
        seed: int,
        episodes_per_category: int = 100,
        query_frames: int = 5,
        support_frames: int = 5,
        support_clips: int = 1,
        pair_share: float = 0.0,
    ):
        """Sets up the episodes of the usable ones among ``categories``.

        Args:
            annotations: The data set.
            categories: Categories to train on; those with fewer than two videos are passed over.
            seed: Any integer.
            episodes_per_category: Episodes of each category in an epoch.
            query_frames: T, frames of the query window.
            support_frames: S, frames of a support clip.
            support_clips: Support clips of an episode, each of another video; fewer where a category has
                fewer videos.
            pair_share: Probability that the query video is drawn among those with several objects of the category,
                where phrases have to tell them apart; 0 (published): all videos are equally likely.

        Raises:
            UserError: If no category is usable, a count is below 1, or ``pair_share`` outside [0, 1].
        """
        if not 0 <= pair_share <= 1:
            raise UserError(f"pair_share must be in [0, 1], got {pair_share}")
        check_counts(
            episodes_per_category=episodes_per_category,
            query_frames=query_frames,
            support_frames=support_frames,
            support_clips=support_clips,
        )
        self.annotations = annotations
        self.categories = annotations.usable(categories)
        self.seed = seed
        self.episodes_per_category = episodes_per_category
        self.query_frames = query_frames
        self.support_frames = support_frames
        self.support_clips = support_clips
        self.pair_share = pair_share

    def __len__(self) -> int:
        """Number of episodes of an epoch."""
        return len(self.categories) * self.episodes_per_category

    def spec(self, epoch: int, index: int, attempt: int = 0) -> EpisodeSpec:
        """Returns episode ``index`` of an epoch; the same in every process and at every call.

        With ``attempt`` above 0 it is another one, for where the one before cannot be read: of the same category, and
        from the `SAME_CATEGORY`-th on of any, since all videos of a small category may be damaged.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"episode {index} of {len(self)}")
        place = (index + max(0, attempt - SAME_CATEGORY + 1)) % len(self)
        category = self.categories[_order(self.seed, epoch, len(self))[place] % len(self.categories)]
        rng = generator("train", self.seed, epoch, index, *([attempt] if attempt else []))
        query, support = self._clips(category, rng)
        return EpisodeSpec(index, category, query, support, seed=int(rng.integers(2**62)))

    def _clips(self, category: str, rng: np.random.Generator) -> tuple[ClipSpec, tuple[ClipSpec, ...]]:
        videos = self.annotations.category_videos[category]
        query, *others = draw_videos(videos, self.support_clips + 1, rng)
        if self.pair_share and rng.random() < self.pair_share:
            several = [video for video in videos if len(self.annotations.objects(video, category)) > 1]
            if several and query not in several:
                query = pick(rng, several)
                others = draw_videos([v for v in videos if v != query], self.support_clips, rng)
        return (
            draw_clip(self.annotations, query, category, query_window, self.query_frames, rng),
            tuple(
                draw_clip(self.annotations, video, category, support_window, self.support_frames, rng)
                for video in others
            ),
        )


class TestEpisodes:
    """Test episodes: per category one support, drawn from the sorted videos; all other videos are queries.

    Every (object, expression) of the category in those videos is one episode with all its frames; consumers
    cut windows of `window` frames. ``spec(index).seed`` is the seed of the support.
    """

    def __init__(
        self,
        annotations: Annotations,
        categories: Iterable[str],
        seed: int,
        window: int = 10,
        support_frames: int = 5,
        support_clips: int = 1,
        max_per_category: int | None = None,
    ):
        """Lists the episodes of the usable ones among ``categories``.

        Args:
            annotations: The data set.
            categories: Categories to test on; those with fewer than two videos are passed over.
            seed: Seed of the support.
            window: Frames that a network gets at once.
            support_frames: S, frames of a support clip.
            support_clips: Support videos of a category; at least one video always remains a query. The
                first is the same whatever their number.
            max_per_category: Keeps at most so many episodes of a category, spread evenly over its videos,
                then over the objects and expressions of each.

        Raises:
            UserError: If no category is usable, or a count is below 1.
        """
        check_counts(window=window, support_frames=support_frames, support_clips=support_clips)
        if max_per_category is not None:
            check_counts(max_per_category=max_per_category)
        self.annotations = annotations
        self.categories = annotations.usable(categories)
        self.seed = seed
        self.window = window
        self.support: dict[str, tuple[ClipSpec, ...]] = {}
        self._specs: list[EpisodeSpec] = []
        for category in self.categories:
            videos = annotations.category_videos[category]
            rng = generator("test", seed, category)
            drawn = draw_videos(videos, min(support_clips, len(videos) - 1), rng)
            support = tuple(
                draw_clip(annotations, video, category, support_window, support_frames, rng)
                for video in drawn
            )
            self.support[category] = support
            by_video = [self._queries(video, category) for video in videos if video not in drawn]
            for query in spread(by_video, max_per_category):
                self._specs.append(EpisodeSpec(len(self._specs), category, query, support, seed))

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._specs)

    def spec(self, index: int) -> EpisodeSpec:
        """Returns one episode."""
        return self._specs[index]

    def subset(self, count: int) -> list[EpisodeSpec]:
        """Returns ``count`` episodes (all, if there are fewer), spread evenly over categories and videos."""
        by_category = [[spec for spec in self._specs if spec.category == name] for name in self.categories]
        return spread(by_category, count)

    def one_window(self, spec: EpisodeSpec) -> EpisodeSpec:
        """Returns the episode cut to its first window of frames that shows the object."""
        query = spec.query
        visible = set(self.annotations.videos[query.video].objects[query.object_id].frames)
        windows = [query.frames[cut] for cut in evaluation_windows(len(query.frames), self.window)]
        frames = next(frames for frames in windows if not visible.isdisjoint(frames))
        return replace(spec, query=replace(query, frames=frames))

    def wrong_support(self, spec: EpisodeSpec) -> EpisodeSpec | None:
        """Returns the episode with the support of another held-out category, never from its own video.

        None where there is no such support, as when a single category is held out.
        """
        others = [category for category in self.categories if category != spec.category]
        for position in generator("wrong support", self.seed, spec.index).permutation(len(others)):
            support = self.support[others[position]]
            if all(clip.video != spec.query.video for clip in support):
                return replace(spec, support=support)
        return None

    def no_support(self, spec: EpisodeSpec) -> EpisodeSpec:
        """Returns the episode without its support."""
        return replace(spec, support=())

    def wrong_text(self, spec: EpisodeSpec) -> EpisodeSpec | None:
        """Returns the episode with a phrase that means the other object of the category; the truth stays.

        None where the annotations name no such phrase.
        """
        query = spec.query
        other = self.annotations.expression(query.video, query.expression_id).distractor
        if other is None:
            return None
        text = self.annotations.expression(query.video, other).text
        return replace(spec, query=replace(query, expression_id=other, expression=text))

    def _queries(self, video: str, category: str) -> list[ClipSpec]:
        content = self.annotations.videos[video]
        return [
            self.annotations.clip(video, object_id, expression_id, content.frames)
            for object_id in self.annotations.objects(video, category)
            for expression_id in content.expression_ids(object_id)
        ]


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, total: int) -> np.ndarray:
    return generator("order", seed, epoch).permutation(total)


def check_counts(**counts: int) -> None:
    """Raises a `UserError` that names the first of ``counts`` below 1."""
    for name, count in counts.items():
        if count < 1:
            raise UserError(f"{name} must be at least 1, got {count}")
