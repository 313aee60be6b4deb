"""fsrvos-eval: scores a checkpoint on the held-out group, with the controls."""

from __future__ import annotations

import torch
from omegaconf import DictConfig, OmegaConf

from fsrvos.cli.common import build, hydra_command, run_folder
from fsrvos.cli.progress import prepare
from fsrvos.cli.scoring import score
from fsrvos.engine.checkpoints import load_model
from fsrvos.errors import UserError


def main() -> None:
    """Entry point of the console script."""
    hydra_command("eval", run)


def run(config: DictConfig) -> None:
    """Scores one checkpoint.

    Args:
        config: Composed from configs/eval.yaml.
    """
    if OmegaConf.is_missing(config, "checkpoint"):
        raise UserError(
            "checkpoint is missing; say fsrvos-eval checkpoint=FILE, a .ckpt file or a run folder"
        )
    model = load_model(config.checkpoint)
    data = build(config.data)
    prepare(data)
    data.setup("test")
    folder = run_folder()
    OmegaConf.save(config, folder / "config.yaml", resolve=True)
    score(model, data, config, folder, torch.device(config.device))
