"""How a sweep ends: every job that failed named in one line, and an exit code that says whether the user can mend it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from fsrvos.cli.jobs import JobFailedError, tell
from fsrvos.cli.mistakes import EXIT_USER_ERROR
from fsrvos.run_folders import JOBS, job_records


class SweepFolder(Callback):
    """Hydra callback (configs/hydra/default.yaml) that remembers where the sweep of this process keeps its records."""

    path: ClassVar[Path | None] = None

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Called once, before any job; records of an earlier sweep in the same folder go."""
        folder = Path(config.hydra.sweep.dir).absolute()
        for file in (folder / JOBS).glob("*.json"):
            file.unlink()
        SweepFolder.path = folder


@contextmanager
def sweep_told() -> Iterator[None]:
    """Around a Hydra command: if it was a sweep, tells at the end what failed.

    Raises:
        SystemExit: Jobs failed: 2 if the user can mend all of them, else 1.
    """
    SweepFolder.path = None
    try:
        yield
    except BaseException as error:
        if SweepFolder.path is None:
            raise
        code, all_failed = told(SweepFolder.path)
        # A search says that there is no best trial when all of them failed, which has just been said better.
        if isinstance(error, JobFailedError) or (isinstance(error, Exception) and all_failed):
            raise SystemExit(code or 1) from None
        raise
    if SweepFolder.path is not None:
        code, _ = told(SweepFolder.path)
        if code:
            raise SystemExit(code)


def told(folder: Path) -> tuple[int, bool]:
    """Prints what became of a sweep.

    Args:
        folder: Of the sweep.

    Returns:
        The exit code, and whether no job at all got through.
    """
    records = job_records(folder)
    if not records:
        return 0, False
    without = [record for record in records if record.state != "done"]
    here = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    sys.stdout.flush()
    if without:
        print(f"fsrvos: {len(without)} of {len(records)} jobs have no result:", file=sys.stderr)
    for record in without:
        print(tell(record), file=sys.stderr)
    print(f"{len(records) - len(without)} of {len(records)} jobs done -> fsrvos-report {here}", flush=True)
    mistakes = all(record.mistake for record in without)
    return (0 if not without else EXIT_USER_ERROR if mistakes else 1), len(without) == len(records)
