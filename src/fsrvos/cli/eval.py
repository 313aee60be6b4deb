"""fsrvos-eval: scores a checkpoint on the held-out group, with the controls."""

from __future__ import annotations

from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from fsrvos.cli.common import build, fit_window, hydra_command, run_folder
from fsrvos.cli.progress import prepare
from fsrvos.cli.scoring import score
from fsrvos.errors import UserError
from fsrvos.weights import load_model, read_weights


def main() -> None:
    """Entry point of the console script."""
    hydra_command("eval", run)


def run(config: DictConfig) -> None:
    """Scores one checkpoint.

    Args:
        config: Composed from configs/eval.yaml.
    """
    if config.checkpoint is None:
        raise UserError("checkpoint is missing; say checkpoint=PATH, a run folder or a .ckpt file")
    if config.device != "cpu" and not torch.cuda.is_available():
        raise UserError(f"device={config.device}, but there is no CUDA device here; say device=cpu")
    weights = read_weights(config.checkpoint)
    model = load_model(weights)
    config = with_settings_of_run(config, weights.file)
    data = build(config.data)
    prepare(data)
    fit_window(data, model)
    data.setup("test")
    folder = run_folder()
    OmegaConf.save(config, folder / "config.yaml", resolve=True)
    score(model, data, config, folder, torch.device(config.device))


def with_settings_of_run(config: DictConfig, file: Path) -> DictConfig:
    """Fills in what the command line left open from the config of the run that made the checkpoint.

    Args:
        config: Composed from configs/eval.yaml.
        file: The checkpoint; weights from elsewhere have no run.

    Raises:
        UserError: Nothing says what data to test on.
    """
    saved_file = file.parent.parent / "config.yaml"
    saved = OmegaConf.load(saved_file) if saved_file.is_file() else OmegaConf.create()
    assert isinstance(saved, DictConfig)
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
        filled.data = OmegaConf.merge(saved.data, {"group": filled.group, "seed": filled.seed}, chosen or {})
        if filled.name == "eval":
            filled.name = saved.name
    return filled


if __name__ == "__main__":
    main()
