"""fsrvos-train: trains on episodes, then scores the held-out group."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig, OmegaConf

from fsrvos.checkpoints import LAST, check_resumable, checkpoint_file, resumable_checkpoint
from fsrvos.cli.common import build, fit_window, hydra_command, run_folder
from fsrvos.cli.progress import prepare
from fsrvos.cli.ranks import rank
from fsrvos.cli.run_log import describe_run, log_scores, opened_logger
from fsrvos.cli.scoring import score
from fsrvos.cli.search import check_direction, optimized_value
from fsrvos.engine.module import SegmentationModule
from fsrvos.errors import UserError
from fsrvos.run_folders import RESULTS


def main() -> None:
    """Entry point of the console script."""
    hydra_command("train", train)


def train(config: DictConfig) -> float | None:
    """Trains one experiment and scores it.

    Args:
        config: Composed from configs/train.yaml.

    Returns:
        What a search over settings optimises, ``config.optimized_metric``; None if this run has no such number.
    """
    folder = run_folder()
    check_direction(config.optimized_metric)
    with opened_logger(config) as logger:
        logged = train_and_score(config, folder, logger)
    return optimized_value(config.optimized_metric, logged, folder / RESULTS)


def train_and_score(config: DictConfig, folder: Path, logger: Logger | None) -> Mapping[str, Any]:
    """One experiment in its run folder.

    Args:
        config: Composed from configs/train.yaml.
        folder: Run folder.
        logger: Where curves and pictures go; closed by the caller.

    Returns:
        The last value of every metric of training.
    """
    L.seed_everything(config.seed, workers=True, verbose=False)
    resumed = find_resumed(config, folder)
    data = build(config.data)
    prepare(data)
    model = build(config.model)
    fit_window(data, model)
    data.setup("fit")
    module = SegmentationModule(model, build(config.criterion), build(config.optim))
    if config.trainer.strategy == "fsdp" and not torch.cuda.is_available():
        raise UserError("strategy=fsdp needs GPUs: Lightning runs FSDP on no CPU; say strategy=ddp")
    trainer = build(
        config.trainer,
        logger=logger or False,
        callbacks=[build(callback) for callback in config.callbacks.values()],
    )
    if trainer.is_global_zero:
        OmegaConf.save(config, folder / "config.yaml", resolve=True)
        describe_run(config, data, folder, trainer.logger)
    try:
        trainer.fit(module, data, ckpt_path=str(resumed) if resumed else None, weights_only=True)
    except SIGTERMException:
        if trainer.is_global_zero:
            print(f"fsrvos: stopped by SIGTERM; {_how_to_go_on(folder, resumed)}", file=sys.stderr)
        # Lightning ends the first process by force when another one fails, before it has told how to go on.
        sys.exit(128 + signal.SIGTERM if trainer.is_global_zero else 0)
    except SystemExit:  # how Lightning ends after Ctrl-C
        if not trainer.interrupted:
            raise
        sys.exit(f"fsrvos: interrupted; go on with ckpt_path=last, the run is in {folder}")
    if data.repeat_episodes is not None:
        learned = trainer.callback_metrics.get("val/J")
        print(
            f"by heart: J {100 * learned:.1f} -> {folder}"
            if learned is not None
            else "by heart: not validated"
        )
    if config.evaluate:
        device = module.device if module.device.type != "cpu" else trainer.strategy.root_device
        score(module.model, data, config, folder, device)
        if trainer.is_global_zero:
            log_scores(trainer.logger, folder, trainer.global_step)
    return trainer.callback_metrics


def _how_to_go_on(folder: Path, resumed: Path | None) -> str:
    if not (folder / LAST).exists():
        if resumed is None:
            return f"no checkpoint was saved yet in {folder}; start again"
        return f"no step was saved since {resumed}; the same command again starts from there"
    return f"the same command with ckpt_path=last goes on from {folder / LAST}"


def find_resumed(config: DictConfig, folder: Path) -> Path | None:
    """The checkpoint to go on from, if the config asks for one."""
    if config.ckpt_path is None:
        return None
    if config.ckpt_path != "last":
        file = checkpoint_file(config.ckpt_path)
        check_resumable(file)  # so that a damaged or foreign file is told now, in one line
        return file
    file, passed_over = resumable_checkpoint(folder.parent, exclude=folder)
    if rank() == 0:
        for reason in passed_over:
            print(f"fsrvos: {reason}; going on from {file}", file=sys.stderr)
    return file


if __name__ == "__main__":
    main()
