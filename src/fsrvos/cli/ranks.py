"""What a process that torchrun or SLURM started shares with the others before they form a group: the run's time stamp."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

from torch.distributed import TCPStore

from fsrvos.errors import UserError
from fsrvos.report import replace_file

WAIT = 300.0
"""Seconds to wait for the first process."""


def rank() -> int:
    """Rank over all nodes, by torchrun's, Lightning's or SLURM's environment; 0 for a process by itself."""
    if "RANK" in os.environ:
        return int(os.environ["RANK"])
    if by_slurm():
        return int(os.environ["SLURM_PROCID"])
    return int(os.environ.get("LOCAL_RANK", "0"))


def by_torchrun() -> bool:
    """Whether torchrun started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def by_slurm() -> bool:
    """Whether ``srun`` started this process as one of several."""
    several = int(os.environ.get("SLURM_NTASKS", "1")) > 1
    return several and "SLURM_PROCID" in os.environ and os.environ.get("SLURM_JOB_NAME") != "bash"


def started(outputs: str, form: str) -> str:
    """What ``${started:FOLDER,FORMAT}`` in a config resolves to: when the run began, the same for all its processes.

    Each process that torchrun or SLURM starts would else take a run folder by its own clock.

    Args:
        outputs: Folder that all nodes share; SLURM's processes agree by a file in it.
        form: As ``strftime`` takes it.

    Raises:
        UserError: The first process has not said it in five minutes.
    """
    now = datetime.now().strftime(form)
    if by_torchrun():
        return _by_store(now)
    return _by_file(Path(outputs), now) if by_slurm() else now


def _by_store(now: str) -> str:
    """Through the store that torchrun's agent keeps; a restarted group has a stamp of its own."""
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(address, port, is_master=False, timeout=timedelta(seconds=WAIT))
    key = f"fsrvos/started/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    if rank() == 0:
        store.set(key, now)
    return str(store.get(key).decode())


def _by_file(outputs: Path, now: str) -> str:
    """Through a file named by the job, its step, and how often it was requeued."""
    names = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
    file = outputs / ".slurm" / "-".join(os.environ.get(name, "0") for name in names)
    if rank() == 0:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, lambda opened: opened.write(now.encode()))
        return now
    end = time.monotonic() + WAIT
    while not file.is_file():
        if time.monotonic() > end:
            raise UserError(
                f"{file} was not written by the first process; paths.outputs must be shared by all nodes"
            )
        time.sleep(0.1)
    return file.read_text()
