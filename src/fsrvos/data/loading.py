"""The sampler that carries the epoch in the index, and loaders that resume inside an epoch."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from fsrvos.errors import UserError
from fsrvos.structures import Batch


def leave_interrupts(_: int) -> None:
    """Lets a worker live through Ctrl-C, which goes to all processes: the step at hand still needs what it reads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class EpisodeSampler(DistributedSampler):
    """Yields (epoch, index) of this rank's share of an epoch.

    Rank r of n takes the positions r, r + n, ... The order is drawn by the episodes themselves, so nothing is
    shuffled here. It is a `DistributedSampler` so that Lightning leaves it in place and calls ``set_epoch``.

    Attributes:
        epoch: Epoch of the next pass.
        start: Global position from which the next pass over epoch ``start_epoch`` begins.
    """

    def __init__(
        self,
        num_episodes: int,
        epoch: int = 0,
        start: int = 0,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ):
        """Sets the share.

        Args:
            num_episodes: Episodes of an epoch.
            epoch: First epoch.
            start: Episodes of that epoch, counted over all ranks, that are done already.
            rank: This process.
            world_size: Number of processes.
            drop_last: Where the epoch does not divide by ``world_size``: True leaves the last episodes out;
                False repeats the first ones, so that every episode is seen and all ranks have equally many.
        """
        super().__init__(range(num_episodes), world_size, rank, shuffle=False, drop_last=drop_last)  # type: ignore[arg-type]
        self.num_episodes = num_episodes
        self.epoch = epoch
        self.start_at(epoch, start)

    def start_at(self, epoch: int, start: int) -> None:
        """Lets the passes over ``epoch`` begin after its first ``start`` episodes, counted over all ranks."""
        self.start_epoch, self.start = epoch, start

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yields the indices of the epoch that is set at the first of them."""
        epoch = self.epoch
        start = self.start if epoch == self.start_epoch else 0
        for position in range(start + self.rank, self.total_size, self.num_replicas):
            yield epoch, position % self.num_episodes


class EpisodeLoader(DataLoader):
    """A loader whose workers' bad-input errors stay one line instead of a traceback."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Yields batches.

        Raises:
            UserError: As the data set raised it.
        """
        try:
            yield from super().__iter__()
            return
        except UserError as error:
            line = str(error).strip().splitlines()[-1].removeprefix("fsrvos.errors.UserError: ")
            # torch's frame that raised it holds the error, a cycle with the iterator in it. Left to the garbage
            # collector the iterator would wait five seconds for each of its workers.
            error.__traceback__ = None
        self._iterator = None
        raise UserError(line)


class ResumableLoader(EpisodeLoader):
    """A training loader with the state that Lightning saves: the epoch and the position in it.

    The position counts episodes over all ranks, so a run may go on with another batch size or world size.

    Attributes:
        unread: How often each file could not be read, so that another episode was; by a line on it.
    """

    _epoch: int = 0
    _position: int = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.unread: dict[str, int] = {}

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Yields the rest of the epoch that the sampler is set to."""
        sampler = self.sampler
        if not isinstance(sampler, EpisodeSampler):  # Lightning's overfit_batches puts in its own
            yield from super().__iter__()
            return
        self._epoch = sampler.epoch
        self._position = sampler.start if sampler.epoch == sampler.start_epoch else 0
        for batch in super().__iter__():
            self._position += len(batch.specs) * sampler.num_replicas
            self._count(batch.unread)
            yield batch

    def _count(self, lines: list[str]) -> None:
        for line in lines:
            if line not in self.unread:
                warnings.warn(f"{line}; another episode is read instead (data.on_error=skip)", stacklevel=1)
            self.unread[line] = self.unread.get(line, 0) + 1

    def state_dict(self) -> dict[str, Any]:
        """Returns the position after the last batch that was yielded."""
        return {"epoch": self._epoch, "position": self._position, "unread": dict(self.unread)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Makes the next pass over the saved epoch go on where the state was taken."""
        self._epoch, self._position = state["epoch"], state["position"]
        self.unread = dict(state.get("unread", {}))  # checkpoints from before 2026-11-26 have none
        if isinstance(self.sampler, EpisodeSampler):
            self.sampler.start_at(self._epoch, self._position)
