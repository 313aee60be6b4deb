"""Progress bars of the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.data.synthetic_datamodule import SyntheticDataModule


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is told (done, total); it appears with the first call."""
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(title, total=None, visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=True)


def prepare(data: EpisodeDataModule) -> None:
    """Prepares the data on disk, with a bar where that takes long."""
    if isinstance(data, SyntheticDataModule):
        with progress_bar("making data", "videos") as data.on_progress:
            data.prepare_data()
        data.on_progress = None
    else:
        data.prepare_data()
