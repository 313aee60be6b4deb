"""CSV logging with pictures beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

from fsrvos.engine.episode_pictures import ShownEpisode
from fsrvos.pictures import save_image
from fsrvos.report import replace_file


class CSVRun(CSVLogger):
    """Lightning's CSV logger, which also keeps drawn episodes: ``save_dir/pictures/step_000200/NAME.png`` and ``.gif``.

    Arguments are those of ``CSVLogger``.
    """

    @rank_zero_only
    def show_episodes(self, episodes: Sequence[ShownEpisode], step: int) -> None:
        """Writes one still and one moving picture an episode."""
        folder = Path(self.save_dir) / "pictures" / f"step_{step:06d}"
        for episode in episodes:
            save_image(episode.card(), folder / f"{episode.name}.png")
            video = episode.video()
            replace_file(folder / f"{episode.name}.gif", lambda file, video=video: file.write(video))  # type: ignore[misc]
