"""The Lightning data module: from a data root and a group to loaders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule

from fsrvos.data.annotations import Annotations
from fsrvos.data.categories import held_out, training
from fsrvos.data.collate import collate
from fsrvos.data.datasets import TestDataset, TrainDataset
from fsrvos.data.episodes import TestEpisodes, TrainEpisodes, check_counts
from fsrvos.data.loading import EpisodeLoader, EpisodeSampler, ResumableLoader, leave_interrupts
from fsrvos.data.repeated_episodes import RepeatedEpisodes
from fsrvos.data.support_episodes import SupportEpisodes
from fsrvos.data.transforms import TestTransform, TrainTransform
from fsrvos.errors import UserError
from fsrvos.structures import EpisodeSpec

VALIDATED = ("right", "wrong_support", "no_support")
"""Conditions of the validation loaders, in order."""


class EpisodeDataModule(LightningDataModule):
    """Training, validation and test episodes of one group of one data set.

    Training batches are padded to multiples of 32. Test batches hold one whole video each, at test size and
    unpadded: the consumer cuts windows of ``window`` frames. Test episodes of all seeds come in one loader,
    told apart by ``spec.seed``.

    With ``layout="sailvos"`` there are no groups: all three categories are tested, and training is the
    published fine-tuning on the support videos of ``seed``.
    """

    def __init__(
        self,
        root: str | Path,
        layout: str = "ytvos",
        group: int = 1,
        seed: int = 0,
        batch_size: int = 1,
        num_workers: int = 0,
        query_frames: int = 5,
        support_frames: int = 5,
        support_clips: int = 1,
        episodes_per_category: int = 100,
        window: int = 10,
        val_episodes: int = 24,
        max_test_per_category: int | None = None,
        test_seeds: Sequence[int] = (0, 1, 2, 3, 4),
        repeat_episodes: int | None = None,
        pair_share: float = 0.0,
        rivals: int = 0,
        train_transform: TrainTransform | None = None,
        test_transform: TestTransform | None = None,
        on_error: str = "raise",
    ):
        """Sets the module up without touching the disk.

        Args:
            root: Folder of the data set, or the folder that holds it under its published name.
            layout: "ytvos" (also the synthetic set) or "sailvos".
            group: 1-4, the group whose categories are held out.
            seed: Seed of the training episodes, of the validation support and of fine-tuning.
            batch_size: Training episodes of a batch, per device.
            num_workers: Processes that read; 0 reads in this one. No result depends on it.
            query_frames: T in training.
            support_frames: S of a support clip.
            support_clips: Support clips of an episode, each of another video.
            episodes_per_category: Training episodes of each category in an epoch.
            window: Query frames that a network gets at once in evaluation.
            val_episodes: Test episodes that validate, spread over categories and videos.
            max_test_per_category: At most so many test episodes of a category and seed; None for all.
            test_seeds: Seeds of the test, each with its own support.
            repeat_episodes: Train on so many episodes again and again, and validate on them; None for all.
            pair_share: Probability that a training query is drawn among the videos with several objects of its
                category, where phrases have to tell them apart; 0 (published): all videos are equally likely.
            rivals: Other objects of the category in a training query that are read at most, with all that is said of
                them: what phrases are learned against (``criterion.phrase_weight``).
            train_transform: Augmentation; the published one for None.
            test_transform: Test size; the published one for None.
            on_error: What happens where a frame or mask of a training episode cannot be read: "raise" ends training;
                "skip" reads another episode instead, tells of every file once, and counts. Validation
                and test never skip: scores over fewer episodes would not be the benchmark's.

        Raises:
            UserError: If ``group`` is not 1-4, a count is below 1, or ``on_error`` something else.
        """
        super().__init__()
        root, test_seeds = str(root), [int(test_seed) for test_seed in test_seeds]
        held_out(group)
        check_counts(batch_size=batch_size, val_episodes=val_episodes, test_seeds=len(test_seeds))
        if on_error not in ("raise", "skip"):
            raise UserError(f"data.on_error must be raise or skip, got {on_error!r}")
        self.save_hyperparameters(ignore=["train_transform", "test_transform"], logger=False)
        self.root = root
        self.layout = layout
        self.group = group
        self.seed = seed
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.query_frames = query_frames
        self.support_frames = support_frames
        self.support_clips = support_clips
        self.episodes_per_category = episodes_per_category
        self.window = window
        self.val_episodes = val_episodes
        self.max_test_per_category = max_test_per_category
        self.test_seeds = tuple(test_seeds)
        self.repeat_episodes = repeat_episodes
        self.pair_share = pair_share
        self.rivals = rivals
        self.on_error = on_error
        self.train_transform = train_transform or TrainTransform()
        self.test_transform = test_transform or TestTransform()
        self._train_loader: ResumableLoader | None = None
        self._resumed_at: dict[str, Any] | None = None

    @cached_property
    def annotations(self) -> Annotations:
        """The annotations, read at first use."""
        return Annotations(self.root, self.layout)

    @property
    def group_tested(self) -> int | None:
        """The group whose categories are tested; None where the benchmark has none."""
        return None if self.layout == "sailvos" else self.group

    @property
    def test_categories(self) -> tuple[str, ...]:
        """Categories of the test: the group's held-out ones, or all of SAIL-VOS."""
        categories = self.annotations.categories
        return categories if self.layout == "sailvos" else held_out(self.group, categories)

    @cached_property
    def train_episodes(self) -> TrainEpisodes:
        """Training episodes; of SAIL-VOS those of fine-tuning.

        Raises:
            UserError: If SAIL-VOS is to be fine-tuned with one seed and tested with others.
        """
        categories: tuple[str, ...] = training(self.group, self.annotations.categories)
        kind = TrainEpisodes
        if self.layout == "sailvos":
            if self.test_seeds != (self.seed,):
                raise UserError(
                    f"test_seeds must be [{self.seed}], got {list(self.test_seeds)}: fine-tuning takes the"
                    f" support videos of seed {self.seed}, and under other seeds these are test queries;"
                    " experiment=sailvos_finetune sets it so"
                )
            categories, kind = self.test_categories, SupportEpisodes
        return kind(
            self.annotations,
            categories,
            self.seed,
            episodes_per_category=self.episodes_per_category,
            query_frames=self.query_frames,
            support_frames=self.support_frames,
            support_clips=self.support_clips,
            pair_share=self.pair_share,
        )

    @cached_property
    def repeated_episodes(self) -> RepeatedEpisodes | None:
        """The episodes to learn by heart, if that is what the training is for."""
        if self.repeat_episodes is None:
            return None
        return RepeatedEpisodes(self.train_episodes, self.repeat_episodes)

    def test_episodes(self, seed: int) -> TestEpisodes:
        """Returns the test episodes of one seed, with their controls."""
        return TestEpisodes(
            self.annotations,
            self.test_categories,
            seed,
            window=self.window,
            support_frames=self.support_frames,
            support_clips=self.support_clips,
            max_per_category=self.max_test_per_category,
        )

    def setup(self, stage: str | None = None) -> None:
        """Reads the annotations, so that bad input is told before anything starts.

        Raises:
            UserError: One line on what is wrong with the data set or the group.
        """
        self.annotations.usable(self.test_categories)
        if stage == "fit":
            _ = self.train_episodes

    def train_dataloader(self) -> ResumableLoader:
        """Returns the loader of training batches, this rank's share."""
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        dataset = TrainDataset(
            self.repeated_episodes or self.train_episodes, self.train_transform, self.rivals, self.on_error
        )
        loader = ResumableLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=EpisodeSampler(len(dataset), rank=rank, world_size=world_size),
            collate_fn=collate,
            **self._reading(),
        )
        if self._resumed_at is not None:
            loader.load_state_dict(self._resumed_at)
            self._resumed_at = None
        self._train_loader = loader
        return loader

    @property
    def unread(self) -> dict[str, int]:
        """How often each file could not be read in training, by a line on it; this rank's."""
        return self._train_loader.unread if self._train_loader is not None else {}

    def state_dict(self) -> dict[str, Any]:
        """Returns where in which epoch training stands.

        Lightning saves the state of the loader itself as well. But it does not restore it where the loader is made
        before the loops are restored, as it is when a schedule asks how many steps ``max_epochs`` are.
        """
        return self._train_loader.state_dict() if self._train_loader is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lets the loader go on there: the next one, or the one that is made, as where a network is spread (FSDP)."""
        if self._train_loader is not None and state_dict:
            self._train_loader.load_state_dict(state_dict)
        else:
            self._resumed_at = dict(state_dict)

    def val_dataloader(self) -> list[EpisodeLoader]:
        """Returns a loader for each of ``VALIDATED``: a few held-out episodes, one window of each.

        Of repeated episodes there is one loader, of these themselves.
        """
        if self.repeated_episodes is not None:
            return [self.episode_loader(self.repeated_episodes.specs)]
        episodes = self.test_episodes(self.seed)
        right = [episodes.one_window(spec) for spec in episodes.subset(self.val_episodes)]
        wrong = [spec for spec in map(episodes.wrong_support, right) if spec is not None]
        return [
            self.episode_loader(specs) for specs in (right, wrong, [episodes.no_support(s) for s in right])
        ]

    def test_dataloader(self) -> EpisodeLoader:
        """Returns the loader of the test episodes of all seeds, seed after seed, each a whole video."""
        specs = []
        for seed in self.test_seeds:
            episodes = self.test_episodes(seed)
            specs += [episodes.spec(index) for index in range(len(episodes))]
        return self.episode_loader(specs)

    def episode_loader(self, specs: Sequence[EpisodeSpec]) -> EpisodeLoader:
        """Returns a loader of any episodes at test size, one in a batch, such as a test's controls."""
        return EpisodeLoader(
            TestDataset(self.annotations, specs, self.test_transform),
            batch_size=1,
            collate_fn=partial(collate, pad_to_multiple_of=1),
            **self._reading(),
        )

    def _reading(self) -> dict:
        options: dict[str, Any] = {"num_workers": self.num_workers, "pin_memory": torch.cuda.is_available()}
        if self.num_workers:
            options |= {"persistent_workers": True, "prefetch_factor": 2, "worker_init_fn": leave_interrupts}
        return options
