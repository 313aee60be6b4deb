"""Fine-tuning on nothing but the videos that a test uses as support."""

from __future__ import annotations

import numpy as np

from fsrvos.data.clip_draws import draw_clip, draw_videos, query_window, support_window
from fsrvos.data.draws import generator, pick
from fsrvos.data.episodes import TrainEpisodes
from fsrvos.structures import ClipSpec


class SupportEpisodes(TrainEpisodes):
    """Fine-tuning episodes: query and support are windows of the support videos of a test with this seed.

    As published for SAIL-VOS: a category's support video is all that is known of it, so it serves as query,
    too, and no query of the test is seen. With several support clips they come from different videos.
    """

    def _clips(self, category: str, rng: np.random.Generator) -> tuple[ClipSpec, tuple[ClipSpec, ...]]:
        videos = self.annotations.category_videos[category]
        count = min(self.support_clips, len(videos) - 1)
        known = draw_videos(videos, count, generator("test", self.seed, category))
        return (
            draw_clip(self.annotations, pick(rng, known), category, query_window, self.query_frames, rng),
            tuple(
                draw_clip(self.annotations, video, category, support_window, self.support_frames, rng)
                for video in known
            ),
        )
