"""The progress bar of the commands that go through videos."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class VideoBar:
    """A bar on stderr that appears with its first call, so that what is refused shows none.

    Attributes:
        total: Videos in all; None before the first call.
    """

    def __init__(self, progress: Progress):
        """Takes the bar to draw on."""
        self._progress = progress
        self._task: TaskID | None = None
        self.total: int | None = None

    def __call__(self, done: int, total: int) -> None:
        """Shows that ``done`` of ``total`` videos are done."""
        if self._task is None:
            self._progress.start()
            self._task = self._progress.add_task("videos", total=total)
            self.total = total
        self._progress.update(self._task, completed=done, refresh=True)


@contextmanager
def video_bar() -> Iterator[VideoBar]:
    """A `VideoBar` for the length of a block."""
    columns = (TextColumn("videos"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # No refreshing thread: worker processes are forked before the first video is done, and perhaps after it.
    bar = VideoBar(Progress(*columns, console=Console(stderr=True), auto_refresh=False))
    try:
        yield bar
    finally:
        if bar.total is not None:
            bar._progress.stop()
