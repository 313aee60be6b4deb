"""fsrvos-eval: scores a checkpoint on the held-out group, with the controls, or predictions on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from fsrvos.cli.common import build, check_targets, fit_window, hydra_command, run_folder
from fsrvos.cli.processes import check_processes, run_processes
from fsrvos.cli.progress import prepare
from fsrvos.cli.scoring import score, score_predictions
from fsrvos.cli.shortage import shortages_told
from fsrvos.config_files import read_config
from fsrvos.engine.evaluation import planned
from fsrvos.engine.predictions import Predictions, told_missing
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA
from fsrvos.models.compiling import check_compiler, compile_blocks
from fsrvos.predictor_checks import checked_precision
from fsrvos.report import replace_file
from fsrvos.weights import Weights, load_model, read_weights

MEMORY = "+data.window or +data.test_transform.short_side, or take fewer processes"


def main() -> None:
    """Entry point of the console script."""
    hydra_command("eval", run)


def run(config: DictConfig) -> None:
    """Scores one checkpoint, or predictions on disk.

    Args:
        config: Composed from configs/eval.yaml.
    """
    if config.checkpoint is None and config.predictions is None:
        raise UserError(
            "checkpoint is missing; say checkpoint=PATH, a run folder or a .ckpt file, or predictions=DIR to score masks"
        )
    if config.checkpoint is not None and config.predictions is not None:
        raise UserError("checkpoint and predictions exclude each other; say one of them")
    folder = run_folder()
    if config.predictions is not None:
        return run_predictions(config, folder)
    if config.device != "cpu" and not torch.cuda.is_available():
        raise UserError(f"device={config.device}, but there is no CUDA device here; say device=cpu")
    check_processes(config.processes, config.device)
    checked_precision(config.precision, config.device)
    if config.compile:
        check_compiler(config.device)
    weights = read_weights(config.checkpoint)
    config = with_settings_of_run(config, weights.file.parent.parent / "config.yaml")
    # Here in any case, so that what is wrong is told before there are several processes, and data are made by one.
    model, data = network(weights, config), build(config.data)
    prepare(data)
    fit_window(data, model)
    data.setup("test")
    OmegaConf.save(config, folder / "config.yaml", resolve=True)
    if config.processes == 1:
        with shortages_told(MEMORY):
            return score(model, data, config, folder, torch.device(config.device))
    resolved = OmegaConf.to_container(config, resolve=True)  # hydra's resolvers are not known elsewhere
    run_processes(score_checkpoint, config.processes, config.device, resolved, folder)


def score_checkpoint(settings: dict[str, Any], folder: Path, device: torch.device) -> None:
    """What each of several processes does.

    Args:
        settings: The config, resolved.
        folder: Run folder.
        device: Where to run.
    """
    config = OmegaConf.create(settings)
    model, data = network(read_weights(config.checkpoint), config), build(config.data)
    fit_window(data, model)
    data.setup("test")
    with shortages_told(MEMORY):
        score(model, data, config, folder, device)


def network(weights: Weights, config: DictConfig) -> CMA:
    """The network to score, compiled if the config says so."""
    model = load_model(weights)
    if config.compile:
        compile_blocks(model)
    return model


def run_predictions(config: DictConfig, folder: Path) -> None:
    """Scores masks that are there already.

    Raises:
        UserError: Some are missing; all of them are listed in missing.txt of the run folder.
    """
    if config.processes != 1:
        raise UserError("predictions=DIR are scored in one process; leave processes=1")
    predictions = Predictions(config.predictions)
    source = predictions.source
    config = with_settings_of_run(config, config_beside(source))
    data = build(config.data)
    prepare(data)
    data.test_seeds = predictions.seeds(data.test_seeds)
    data.setup("test")
    lacking = predictions.missing(spec for _, spec, _ in planned(data, ["right"]))
    if lacking:
        lines = [f"{place}/{frame}\n" for place, frames in lacking.items() for frame in frames]
        replace_file(folder / "missing.txt", lambda file: file.write("".join(lines).encode()))
        raise UserError(f"{told_missing(source, lacking)}; all are listed in {folder / 'missing.txt'}")
    OmegaConf.save(config, folder / "config.yaml", resolve=True)
    score_predictions(predictions, data, config, folder)


def config_beside(source: Path) -> Path:
    """The config of the run that predictions lie in; a path where there is none, if they lie elsewhere."""
    resolved = source.resolve()
    near = [folder / "config.yaml" for folder in (resolved, *list(resolved.parents)[:3])]
    return next((file for file in near if file.is_file()), resolved.parent / "config.yaml")


def with_settings_of_run(config: DictConfig, saved_file: Path) -> DictConfig:
    """Fills in what the command line left open from the config of the run that made the checkpoint.

    Args:
        config: Composed from configs/eval.yaml.
        saved_file: Config of that run; weights and predictions from elsewhere have none.

    Raises:
        UserError: Nothing says what data to test on, or the config of the run names classes that are not ours.
    """
    saved = read_config(saved_file) if saved_file.is_file() else OmegaConf.create()
    if not isinstance(saved, DictConfig):
        raise UserError(f"{saved_file} is no config of a run: it must hold keys with values, not a list")
    chosen = OmegaConf.select(config, "data")  # no key at all while the group is null
    names_data = chosen is not None and "_target_" in chosen
    if not names_data and "data" not in saved:
        raise UserError(f"{saved_file} does not exist, so nothing says what to test on; say data=OPTION")
    filled = config.copy()
    OmegaConf.set_struct(filled, False)
    for key, fallback in (("group", 1), ("seed", 0)):
        if filled[key] is None:
            filled[key] = saved.get(key, fallback)
    if not names_data:
        if not config.trust_run:
            check_targets(saved.data, saved_file, "data")
        filled.data = OmegaConf.merge(saved.data, {"group": filled.group, "seed": filled.seed}, chosen or {})
        if filled.name == "eval":
            filled.name = saved.name
    return filled


if __name__ == "__main__":
    main()
