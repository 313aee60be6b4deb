"""TensorBoard logging with pictures."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from fsrvos.engine.episode_pictures import ShownEpisode
from fsrvos.errors import UserError


class TensorBoardRun(TensorBoardLogger):
    """Lightning's TensorBoard logger, which also shows drawn episodes: ``episodes/NAME`` and ``episodes/NAME/video``.

    Args:
        save_dir: As ``TensorBoardLogger``.
        options: Its other arguments.

    Raises:
        UserError: The package tensorboard is missing.
    """

    def __init__(self, save_dir: str | Path, **options: Any) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise UserError(
                "logger=tensorboard needs the package tensorboard: pip install 'fsrvos[tensorboard]', or say logger=csv"
            )
        super().__init__(save_dir, **options)

    @rank_zero_only
    def show_episodes(self, episodes: Sequence[ShownEpisode], step: int) -> None:
        """Adds one still and one moving picture an episode; TensorBoard plays a GIF where it shows images."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = []
        for episode in episodes:
            still = io.BytesIO()
            episode.card().save(still, "PNG")
            for tag, content in (
                (episode.name, still.getvalue()),
                (f"{episode.name}/video", episode.video()),
            ):
                with Image.open(io.BytesIO(content)) as picture:
                    width, height = picture.size
                image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=content)
                values.append(Summary.Value(tag=f"episodes/{tag}", image=image))
        writer = self.experiment
        writer._get_file_writer().add_summary(Summary(value=values), step)
        writer.flush()
