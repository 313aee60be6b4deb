"""Weights & Biases: one run a job, with a table of episodes, and nothing outside the run folder.

The only module that imports wandb, and only once a run is opened.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from fsrvos.contact_sheet import PREDICTION, TRUTH
from fsrvos.engine.episode_pictures import ShownEpisode
from fsrvos.errors import UserError
from fsrvos.pictures import overlay

COLUMNS = ("step", "episode", "category", "phrase", "J", "support", "query", "truth", "prediction", "video")
CLASSES = {1: "truth", 2: "prediction", 3: "support"}
# Where wandb keeps what it would else put into the home folder; below save_dir/wandb.
PLACES = {"WANDB_CACHE_DIR": "cache", "WANDB_DATA_DIR": "data", "WANDB_ARTIFACT_DIR": "artifacts"}
NOT_ONLINE = ("offline", "dryrun", "disabled")


class WandbRun(WandbLogger):
    """Lightning's W&B logger for jobs: never asks, keeps its files in the run folder, ends with the job.

    Args:
        save_dir: Run folder; all files go below ``save_dir/wandb``.
        project: W&B project.
        name: Name of the run; ``label`` gives one where it is None.
        group: Runs of one group stand together; ``label`` gives one where it is None.
        entity: User or team; your own for None.
        tags: Tags of the run.
        offline: Keeps the run on disk; ``wandb sync`` uploads it.
        init_timeout: Seconds to wait for W&B at the start.
        options: Further arguments of ``WandbLogger`` and ``wandb.init``.
    """

    def __init__(
        self,
        save_dir: str | Path,
        project: str = "fsrvos",
        name: str | None = None,
        group: str | None = None,
        entity: str | None = None,
        tags: Sequence[str] = (),
        offline: bool = False,
        init_timeout: float = 60,
        **options: Any,
    ) -> None:
        # Lightning's own offline=True would set WANDB_MODE for the rest of the process, the next jobs included.
        super().__init__(
            name=name, save_dir=save_dir, project=project, group=group, entity=entity, tags=list(tags), **options,
        )  # fmt: skip
        self._wandb_init.pop("anonymous", None)  # Lightning gives it, wandb warns of it
        self.is_offline = offline or os.environ.get("WANDB_MODE") in NOT_ONLINE
        if offline:
            self._wandb_init["mode"] = "offline"
        self.init_timeout = init_timeout
        self._given: dict[str, str] = {}

    def label(self, name: str, group: str | None) -> None:
        """Names the run and its group, where the config did not."""
        self._wandb_init["name"] = self._name = self._wandb_init["name"] or name
        self._wandb_init["group"] = self._wandb_init["group"] or group

    @rank_zero_only
    def check_login(self) -> None:
        """Tells early, without a prompt, that nobody is logged in.

        Raises:
            UserError: Not logged in, and not offline.
        """
        if self.is_offline:
            return
        self._settle()
        import wandb

        try:
            logged_in = wandb.login(prompt=False)
        except wandb.errors.Error as error:
            raise _unreachable(error) from error
        if not logged_in:
            raise UserError(
                "logger=wandb: not logged in to W&B; run `wandb login` once, or say logger.offline=true to keep"
                " the run on disk"
            )

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run, opened at first use.

        Raises:
            UserError: W&B cannot be reached.
        """
        if self._experiment is None:
            self._settle()
            import wandb

            self._wandb_init["settings"] = wandb.Settings(
                init_timeout=self.init_timeout,
                console="off",  # run.log is in the run folder
                disable_git=True,  # that of the working directory, which may be of something else; run.json has ours
                disable_code=True,
                silent=self.is_offline,
                quiet=True,
            )
            try:
                return super().experiment
            except wandb.errors.Error as error:
                raise _unreachable(error) from error
        return super().experiment

    @rank_zero_only
    def show_episodes(self, episodes: Sequence[ShownEpisode], step: int) -> None:
        """Logs ``episodes/table``, a row an episode, and for each a still and a moving picture of its own."""
        import wandb

        classes = wandb.data_types.Classes([{"id": number, "name": name} for number, name in CLASSES.items()])
        table = wandb.Table(columns=list(COLUMNS))
        media: dict[str, Any] = {"episodes/table": table}
        for episode in episodes:
            video = episode.video()
            table.add_data(step, *_cells(episode, classes, _video(video)))
            media[f"episodes/{episode.name}"] = wandb.Image(episode.card(), caption=episode.row.phrase)
            media[f"episodes/{episode.name}_video"] = _video(video)
        self.log_metrics(media, step)

    @rank_zero_only
    def finish(self, exit_code: int = 0) -> Path | None:
        """Ends the run and stops wandb's process, so that the next job of this process starts afresh.

        Args:
            exit_code: What W&B shows: 0 for finished, else failed.

        Returns:
            Folder of the run's files, if one was opened.
        """
        folder = None
        if self._experiment is not None:
            folder = Path(self._experiment.dir).parent
            self._id = self._experiment.id
            self._experiment.finish(exit_code=exit_code)
            self._experiment = None
        if self._given:
            import wandb

            wandb.teardown()
        for key in self._given:
            os.environ.pop(key, None)
        self._given = {}
        return folder

    def _settle(self) -> None:
        """Gives wandb's files a place in the run folder, unless the user gave them one."""
        # Read when wandb is imported. Reports of its own errors are not part of the run.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        base = Path(self._wandb_init["dir"]).resolve() / "wandb"
        for key, folder in PLACES.items():
            if key not in os.environ:
                os.environ[key] = self._given[key] = str(base / folder)


def _cells(episode: ShownEpisode, classes: Any, video: Any) -> list[Any]:
    """One row of the table, after the step."""
    import wandb

    row, t = episode.row, episode.middle()
    frame, truth, prediction = row.query_frames[t], row.truth[t], row.prediction[t]
    support = None
    if row.support_frames:
        middle = len(row.support_frames) // 2
        masks = {"support": _mask(row.support_masks[middle], 3)}
        support = wandb.Image(row.support_frames[middle], masks=masks, classes=classes)
    masks = {"truth": _mask(truth, 1), "prediction": _mask(prediction, 2)}
    return [
        episode.name,
        row.category,
        row.phrase,
        row.J,
        support,
        wandb.Image(frame, masks=masks, classes=classes),
        wandb.Image(overlay(frame, truth, [TRUTH])),
        wandb.Image(overlay(frame, prediction, [PREDICTION])),
        video,
    ]


def _mask(mask: np.ndarray, number: int) -> dict[str, Any]:
    return {"mask_data": mask.astype(np.uint8) * number, "class_labels": {number: CLASSES[number]}}


def _video(content: bytes) -> Any:
    import wandb

    return wandb.Video(io.BytesIO(content), format="gif")


def _unreachable(error: Exception) -> UserError:
    reason = " ".join(str(error).split()).rstrip(".")
    return UserError(
        f"logger=wandb: {reason}; run `wandb login` again, or say logger.offline=true and upload later"
    )
