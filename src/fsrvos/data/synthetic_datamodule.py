"""Mini-Ref-Synthetic as a data module that makes its own data set at first use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.data.synthetic import generate


class SyntheticDataModule(EpisodeDataModule):
    """Episodes of Mini-Ref-Synthetic.

    Args:
        root: Folder of the data set; made when it is not there yet.
        data_seed: Seed of the data set itself (``seed`` is that of the episodes).
        videos_per_category: Videos in which each category is the primary one.
        video_frames: Frames of a video.
        video_size: Height and width in pixels.
        options: Arguments of ``EpisodeDataModule``.

    Attributes:
        on_progress: Told (videos done, videos in all) while the data set is made.
    """

    def __init__(
        self,
        root: str,
        data_seed: int = 0,
        videos_per_category: int = 6,
        video_frames: int = 12,
        video_size: tuple[int, int] = (112, 192),
        **options: Any,
    ) -> None:
        super().__init__(root, **options)
        self.data_seed, self.videos_per_category = data_seed, videos_per_category
        self.video_frames, self.video_size = video_frames, video_size
        self.on_progress: Callable[[int, int], None] | None = None

    def prepare_data(self) -> None:
        """Makes the data set, unless it is there.

        Raises:
            UserError: Something else lies at ``root``.
        """
        height, width = self.video_size
        generate(
            self.root,
            seed=self.data_seed,
            videos_per_category=self.videos_per_category,
            frames=self.video_frames,
            size=(height, width),
            progress=self.on_progress,
        )
