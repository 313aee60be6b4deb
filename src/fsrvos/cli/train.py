"""fsrvos-train: trains on episodes, then scores the held-out group."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from functools import partial
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
from fsrvos.cli.shortage import shortages_told
from fsrvos.cli.stopping import ctrl_c_as_sigterm
from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.engine.module import SegmentationModule
from fsrvos.engine.processes import gather, place
from fsrvos.engine.sharding import Sharded, check_shardable, is_sharded, whole
from fsrvos.models.compiling import check_compiler, compile_blocks
from fsrvos.predictor_checks import checked_precision
from fsrvos.run_folders import RESULTS

TEST_MEMORY = "data.window or data.test_transform.short_side"


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
    device = "cuda" if config.trainer.accelerator != "cpu" and torch.cuda.is_available() else "cpu"
    checked_precision(config.precision, device)
    if config.compile:
        check_compiler(device)
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
    if config.compile:
        compile_blocks(model)
    module = SegmentationModule(model, build(config.criterion), build(config.optim))
    trainer = build(
        config.trainer,
        logger=logger or False,
        callbacks=[build(callback) for callback in config.callbacks.values()],
    )
    if isinstance(trainer.strategy, Sharded):
        check_shardable(model, compiled=config.compile)
    if trainer.is_global_zero:
        OmegaConf.save(config, folder / "config.yaml", resolve=True)
        describe_run(config, data, folder, trainer.logger)
    with (
        shortages_told(memory_settings(config.data), partial(_how_to_go_on, folder, resumed)),
        ctrl_c_as_sigterm() as stop,
    ):
        try:
            trainer.fit(module, data, ckpt_path=str(resumed) if resumed else None, weights_only=True)
        except SystemExit as ended:
            # A SIGTERM, or what Lightning makes of a second Ctrl-C.
            if not (trainer.interrupted or isinstance(ended, SIGTERMException)):
                raise
            number = signal.SIGINT if stop or not isinstance(ended, SIGTERMException) else signal.SIGTERM
            if trainer.is_global_zero:
                print(f"fsrvos: stopped by {number.name}; {_how_to_go_on(folder, resumed)}", file=sys.stderr)
            # Lightning ends the first process by force when another one fails, before it has told how to go on.
            sys.exit(128 + number if trainer.is_global_zero else 0)
    tell_unread(data)
    if data.repeat_episodes is not None:
        learned = trainer.callback_metrics.get("val/J")
        print(
            f"by heart: J {100 * learned:.1f} -> {folder}"
            if learned is not None
            else "by heart: not validated"
        )
    if config.evaluate:
        device = module.device if module.device.type != "cpu" else trainer.strategy.root_device
        model = whole(module.model, device) if is_sharded(module.model) else module.model
        with shortages_told(TEST_MEMORY, partial(_how_to_go_on, folder, resumed)):
            score(model, data, config, folder, device)
        if trainer.is_global_zero:
            log_scores(trainer.logger, folder, trainer.global_step)
    return trainer.callback_metrics


def memory_settings(data: DictConfig) -> str:
    """What to lower where memory runs out in training, with what it is now."""
    sizes = data.train_transform
    longest = max(sizes.short_sides) if sizes.max_long_side is None else sizes.max_long_side
    name = "short_sides" if sizes.max_long_side is None else "max_long_side"
    return (
        f"data.batch_size (now {data.batch_size}), data.query_frames ({data.query_frames}), data.support_frames "
        f"({data.support_frames}) or data.train_transform.{name} ({longest})"
    )


def tell_unread(data: EpisodeDataModule) -> None:
    """Says at the end of training which files could not be read, in any process. A collective call."""
    lines = gather(list(data.unread.items()))
    if not lines or place()[0] != 0:
        return
    skipped = sum(count for _, count in lines)
    files = sorted({line for line, _ in lines})
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    print(
        f"fsrvos: {skipped} training episodes were replaced, {len(files)} files could not be read: "
        f"{' | '.join(files[:3])}{more}",
        file=sys.stderr,
    )


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
