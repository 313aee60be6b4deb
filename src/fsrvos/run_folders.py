"""What a run and a sweep leave on disk beside their results: why a run failed, and which runs a sweep started."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from fsrvos.data.json_files import read_value
from fsrvos.errors import UserError
from fsrvos.report import replace_file

CONFIG, RESULTS, FAILED = "config.yaml", "results.json", "failed.txt"
MISTAKE = "(a mistake of the user)"
JOBS = "jobs"  # folder of job records in the folder of a sweep
STATES = ("running", "done", "failed", "interrupted")


def note_failure(folder: Path, message: str, *, mistake: bool = False) -> None:
    """Leaves in a run folder why there are no results: one line in ``failed.txt``, written whole.

    Args:
        folder: Run folder.
        message: One line.
        mistake: Whether the user can mend it; a second line then tells the other processes of the run.
    """
    text = f"{message}\n{MISTAKE}\n" if mistake else f"{message}\n"
    replace_file(Path(folder) / FAILED, lambda file: file.write(text.encode()))


def failed_by_mistake(folder: Path) -> bool:
    """Whether a run says that it failed by a mistake of the user."""
    file = Path(folder) / FAILED
    return file.is_file() and file.read_text().splitlines()[1:] == [MISTAKE]


def failure(folder: Path) -> str | None:
    """The line in ``failed.txt`` of a run folder; None if the run did not say that it failed."""
    file = Path(folder) / FAILED
    return file.read_text().removesuffix(f"{MISTAKE}\n").strip() if file.is_file() else None


@dataclass(frozen=True)
class JobRecord:
    """One job of a sweep, as its folder ``jobs/NUMBER.json`` tells it.

    Attributes:
        number: Position in the sweep, from 0.
        overrides: The job's own part of the command line.
        folder: Its run folder.
        state: One of ``STATES``. A job that was killed stays "running".
        message: What went wrong, in one line.
        mistake: Whether the user can mend it.
    """

    number: int
    overrides: list[str]
    folder: Path
    state: str = "running"
    message: str | None = None
    mistake: bool = False

    def save(self, sweep: Path) -> None:
        """Writes the record below the folder of the sweep, whole or not at all."""
        content = asdict(self) | {"folder": os.path.relpath(self.folder, sweep)}
        text = json.dumps(content, indent=1) + "\n"
        replace_file(sweep / JOBS / f"{self.number}.json", lambda file: file.write(text.encode()))


def job_records(sweep: Path) -> list[JobRecord]:
    """The jobs that a sweep started, in order.

    Args:
        sweep: Folder of the sweep, with multirun.yaml.

    Raises:
        UserError: A record is damaged.
    """
    records = []
    for file in (Path(sweep) / JOBS).glob("*.json"):
        try:
            content = read_value(file)
            folder = Path(os.path.normpath(Path(sweep) / content.pop("folder")))
            records.append(JobRecord(folder=folder, **content))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{file} is no record of a sweep's job ({error}); delete it") from error
    return sorted(records, key=lambda record: record.number)
