"""The logger of a job: named by its overrides, grouped by its sweep, told what ran, and closed with the job."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.loggers import CSVLogger, Logger
from omegaconf import DictConfig, OmegaConf

from fsrvos.cli.common import build
from fsrvos.cli.jobs import SWEEP
from fsrvos.code_version import code_version
from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.data.fingerprint import fingerprint
from fsrvos.engine.wandb_run import WandbRun
from fsrvos.report import replace_file

# Overrides that say where and how a job runs rather than what it is.
UNTOLD = ("experiment", "name", "logger", "callbacks", "paths", "hydra", "debug", "evaluate", "ckpt_path")


def sweep_name() -> str | None:
    """What the jobs of a sweep have in common, such as ``sweep_2026-11-26_10-20-30``; None outside a sweep."""
    sweep = os.environ.get(SWEEP)
    return f"sweep_{sweep}" if sweep else None


def run_label(overrides: Sequence[str], name: str) -> str:
    """Name of a run by its overrides, such as ``group=2,seed=1``; ``name`` where none tells anything."""
    told = [
        override
        for override in (text.lstrip("+~") for text in overrides)
        if override.partition("=")[0].partition("@")[0].split(".")[0] not in UNTOLD
    ]
    return ",".join(told) or name


@contextmanager
def opened_logger(config: DictConfig) -> Iterator[Logger | None]:
    """Makes the logger of a job, and ends its W&B run with it: finished, or failed where an error passes.

    Raises:
        UserError: W&B is wanted online, and nobody is logged in.
    """
    logger = build(config.logger) if config.get("logger") else None  # none after ~logger
    if not isinstance(logger, WandbRun):
        yield logger
        return
    logger.label(run_label(HydraConfig.get().overrides.task, config.name), sweep_name())
    exit_code = 1
    try:
        logger.check_login()
        yield logger
        exit_code = 0
    finally:
        logger.finish(exit_code)


def describe_run(config: DictConfig, data: EpisodeDataModule, folder: Path, logger: Logger | None) -> None:
    """Writes run.json, and tells the logger it and the config: code version, data, overrides, sweep."""
    facts: dict[str, Any] = {
        "overrides": list(HydraConfig.get().overrides.task),
        "sweep": sweep_name(),
        "code": code_version(),
        "data": fingerprint(data.annotations),
    }
    replace_file(folder / "run.json", lambda file: file.write(json.dumps(facts, indent=2).encode() + b"\n"))
    if logger is None:
        return
    settings: Any = OmegaConf.to_container(config, resolve=True)
    logger.log_hyperparams({**settings, "run": facts})
    if isinstance(logger, WandbRun) and logger.is_offline:
        print(f"W&B offline; to upload: wandb sync {Path(logger.experiment.dir).parent}")


def log_scores(logger: Logger | None, folder: Path, step: int) -> None:
    """Tells the logger the scores of results.json in percent; for CSV the file itself is enough."""
    if logger is None or isinstance(logger, CSVLogger):
        return
    results = json.loads((folder / "results.json").read_text())
    scores = {f"test/{name}": results["standard"][name] for name in ("J", "F", "JF")}
    scores |= {f"test/{name}_paper": results["paper"][name] for name in ("J", "F", "JF")}
    scores["controls/test_J_right"] = results["standard"]["J"]
    for control, score in results["controls"].items():
        scores[f"controls/test_J_{control}"] = score["standard"]["J"]
        scores[f"controls/test_drop_{control}"] = (
            score["right_on_same"]["standard"]["J"] - score["standard"]["J"]
        )
    logger.log_metrics(scores, step)
    logger.save()
