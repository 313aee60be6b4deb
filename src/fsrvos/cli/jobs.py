"""One run of a Hydra command: by itself or as a job of a sweep, where it may fail without ending the others."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, flag_override

from fsrvos.cli.mistakes import EXIT_USER_ERROR, exit_on_user_error, user_message
from fsrvos.cli.ranks import rank
from fsrvos.errors import UserError
from fsrvos.run_folders import FAILED, JobRecord, failed_by_mistake, failure, note_failure

SWEEP = "FSRVOS_SWEEP"
"""Environment variable that names the sweep of a job, for all processes of the job."""


class JobFailedError(Exception):
    """A job of a sweep failed and has said so; for sweepers that want to know."""


@dataclass(frozen=True)
class Once:
    """What Hydra calls for a command whose results go where the user says: it has no run folder.

    Args:
        task: What to do with the composed config.
    """

    task: Callable[[DictConfig], Any]

    def __call__(self, config: DictConfig) -> Any:
        """Runs the task."""
        try:
            return self.task(config)
        except BaseException as error:
            exit_on_user_error(error)
            raise


@dataclass(frozen=True)
class Job:
    """What Hydra calls for every run; can be pickled, for launchers that start other processes.

    Args:
        task: What to do with the composed config.
        module: The command as ``python -m`` takes it.
    """

    task: Callable[[DictConfig], Any]
    module: str

    def __call__(self, config: DictConfig) -> Any:
        """Runs the task; a failure leaves ``failed.txt`` in the run folder."""
        folder = Path(HydraConfig.get().runtime.output_dir)
        if rank() == 0:  # another process of DDP may have begun to fail
            (folder / FAILED).unlink(missing_ok=True)
        if not in_sweep():
            return self._alone(config, folder)
        os.environ[SWEEP] = Path(HydraConfig.get().sweep.dir).name
        try:
            return self._in_sweep(config, folder)
        finally:
            os.environ.pop(SWEEP, None)

    def _alone(self, config: DictConfig, folder: Path) -> Any:
        try:
            return self.task(config)
        except BaseException as error:
            # With several processes the first says why; the others would say only that it has gone.
            if not isinstance(error, SystemExit) and failure(folder) is not None:
                raise SystemExit(EXIT_USER_ERROR if failed_by_mistake(folder) else 1) from None
            if failure(folder) is None:
                note_failure(folder, in_one_line(error), mistake=user_message(error) is not None)
            # Inside the job, so that Hydra adds no line of its own; SystemExit passes through it.
            exit_on_user_error(error)
            raise

    def _in_sweep(self, config: DictConfig, folder: Path) -> Any:
        hydra = HydraConfig.get()
        sweep, overrides = Path(hydra.sweep.dir).absolute(), list(hydra.overrides.task)
        record = JobRecord(int(hydra.job.num), overrides, folder)
        record.save(sweep)
        try:
            if wants_process(config):
                self._in_process(folder)
                value = None
            else:
                with own_command(self.module), own_process_state():
                    value = self.task(config)
        except Exception as error:
            mistake, message = user_message(error) is not None, in_one_line(error)
            if not mistake and not isinstance(error, JobFailedError):
                traceback.print_exc()
            note_failure(folder, message)
            record = replace(record, state="failed", message=message, mistake=mistake)
            record.save(sweep)
            print(tell(record), file=sys.stderr, flush=True)
            if in_search():
                raise JobFailedError(message) from None
            return None  # raised, it would drop what comes after this batch of jobs
        except BaseException as error:  # Ctrl-C, or what a library makes of it
            note_failure(folder, in_one_line(error))
            replace(record, state="interrupted", message=in_one_line(error)).save(sweep)
            raise
        replace(record, state="done").save(sweep)
        return value

    def _in_process(self, folder: Path) -> None:
        with own_command(self.module):
            command = [sys.executable, "-m", self.module, *sys.argv[1:], f'hydra.run.dir="{folder}"']
        code = subprocess.run(command, check=False).returncode
        if code == EXIT_USER_ERROR:
            raise UserError(failure(folder) or "see above")
        if code:
            how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
            raise JobFailedError(failure(folder) or how)


def in_sweep() -> bool:
    """Whether the run at hand is a job of a sweep."""
    return HydraConfig.get().mode is RunMode.MULTIRUN


def in_search() -> bool:
    """Whether a sweeper waits for what the run returns; Hydra's own, over lists of values, does not."""
    basic = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
    return HydraConfig.initialized() and in_sweep() and HydraConfig.get().sweeper._target_ != basic


def wants_process(config: DictConfig) -> bool:
    """Whether a job of a sweep in this process needs one of its own: where one process of DDP dies, Lightning kills all.

    A search takes the risk, since it wants what the job returns; other launchers start processes anyway.
    """
    basic = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
    trainer = config.get("trainer")
    several = trainer is not None and (trainer.devices != 1 or trainer.strategy != "auto")
    return several and not in_search() and HydraConfig.get().launcher._target_ == basic


def in_one_line(error: BaseException) -> str:
    """What a failed run says of itself: the user's mistake, or the type and first line of anything else."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "interrupted"
    message = str(error) if isinstance(error, JobFailedError) else user_message(error)
    if message is not None:
        return " ".join(message.split())
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def tell(record: JobRecord) -> str:
    """The line that names a job which has no results."""
    told = {"failed": f"failed: {record.message}", "running": "did not finish"}.get(
        record.state, record.state
    )
    return f"fsrvos: job {record.number} ({' '.join(record.overrides)}) {told}"


@contextmanager
def own_command(module: str) -> Iterator[None]:
    """Makes the process look as if it had been started for one job of a sweep alone.

    Lightning starts the other processes of DDP with this process's ``sys.argv`` and Hydra's ``run.dir``. In a sweep the
    first would start the whole sweep again, in each of them, and the second is no job's folder.

    Args:
        module: The command as ``python -m`` takes it, for launchers whose processes run a program of their own.
    """
    import __main__

    hydra = cast(DictConfig, HydraConfig.get())
    flags = [f"--config-name={hydra.job.config_name}"]
    flags += [
        f"--config-dir={source.path}"
        for source in hydra.runtime.config_sources
        if source.provider == "command-line"
    ]
    argv, spec, folder = sys.argv, __main__.__spec__, hydra.run.dir
    sys.argv = [argv[0], *flags, *hydra.overrides.task]
    if spec is not None and spec.name != module:
        __main__.__spec__ = find_spec(module)
    try:
        with flag_override(hydra, ["readonly", "struct"], [False, False]):
            hydra.run.dir = hydra.runtime.output_dir
        yield
    finally:
        sys.argv, __main__.__spec__ = argv, spec
        with flag_override(hydra, ["readonly", "struct"], [False, False]):
            hydra.run.dir = folder


@contextmanager
def own_process_state() -> Iterator[None]:
    """Takes back what DDP leaves in a process, which the next job would take for a group that it belongs to."""
    environment, threads = dict(os.environ), torch.get_num_threads()
    try:
        yield
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        torch.set_num_threads(threads)
        os.environ.clear()
        os.environ.update(environment)
