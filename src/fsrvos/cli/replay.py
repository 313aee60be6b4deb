"""``fsrvos-replay``: runs a training step again whose loss or gradient was not finite, and says where it begins."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig

from fsrvos.cli.common import build, check_targets
from fsrvos.cli.parser import Parser, run_command
from fsrvos.config_files import parse_config
from fsrvos.engine.criterion import Criterion
from fsrvos.engine.module import SegmentationModule
from fsrvos.engine.optimizers import Recipe
from fsrvos.engine.replay import Replay, replay
from fsrvos.engine.step_dump import read_step
from fsrvos.errors import UserError
from fsrvos.weights import load_model

MOST = 5  # names on one line


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``fsrvos-replay``.

    Args:
        argv: Arguments without the program's name; those of the process when None.

    Returns:
        The exit code: 1 where the step is not finite again, 0 where it is, 2 for bad input, which is told in one line.
    """
    return run_command(_parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fsrvos-replay",
        description="Runs a training step again whose loss or gradient was not finite, and says where that begins. The "
        "file holds network and batch, so the data need not be there. Exit code 1: it is not finite again; 0: it is.",
    )
    parser.add_argument("file", metavar="RUN/nonfinite/step_K.pt", type=Path, help="what fsrvos-train named")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.set_defaults(run=_replay)
    return parser


def _replay(arguments: argparse.Namespace) -> int:
    file: Path = arguments.file
    if arguments.device != "cpu" and not torch.cuda.is_available():
        raise UserError(f"--device {arguments.device}, but there is no CUDA device here; say --device cpu")
    step = read_step(file)
    module = SegmentationModule(load_model(file), criterion_of(step["config"], file), Recipe())
    module.to(arguments.device)
    found = replay(module, step["batches"], step["seed"], step["precision"])
    tell(found)
    return 0 if found.is_finite else 1


def criterion_of(config: str, file: Path) -> Criterion:
    """The loss of the run that a step is from.

    Args:
        config: Text of the run's config, as the step holds it.
        file: The step.

    Raises:
        UserError: The config names no loss, or one that is not ours.
    """
    settings = parse_config(config, file)
    if not isinstance(settings, DictConfig) or "criterion" not in settings:
        raise UserError(f"{file} does not say what loss it was: it holds no config of fsrvos-train")
    check_targets(settings.criterion, file, "criterion")
    return build(settings.criterion)


def tell(found: Replay) -> None:
    """Prints what was found, from the cause to its consequences."""
    if found.weights:
        print(f"weights not finite before the step: {_some(found.weights)}")
    if not found.inputs:
        print("the batch itself holds numbers that are not finite")
    terms = ", ".join(f"{name} {term:.4g}" for name, term in found.terms.items())
    print(f"loss {found.loss:.6g} ({terms})")
    if found.module:
        print(f"first module whose output is not finite: {found.module}")
    if found.gradient:
        print(f"first gradient that is not finite: {found.gradient}")
    if found.parameters:
        print(f"gradients not finite: {_some(found.parameters)}")
    if found.is_finite:
        print("all finite: the step does not fail here")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more


if __name__ == "__main__":
    raise SystemExit(main())
