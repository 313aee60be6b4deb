"""What the Hydra commands share: where the configs lie, and one line with exit code 2 for a user's mistake."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import fsrvos
from fsrvos.cli.jobs import Job, Once
from fsrvos.cli.mistakes import exit_on_user_error
from fsrvos.cli.ranks import started
from fsrvos.cli.settings_help import settings_help
from fsrvos.cli.sweeps import sweep_told
from fsrvos.config_files import read_config, targets
from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA

log = logging.getLogger(__name__)


def config_directory() -> str:
    """Absolute path of the configs: inside an installed package, else beside ``src`` in a checkout."""
    package = Path(fsrvos.__file__).resolve().parent
    for directory in (package / "configs", package.parent.parent / "configs"):
        if (directory / "train.yaml").is_file():
            return str(directory)
    raise FileNotFoundError(f"no configs beside the package at {package}: the installation is broken")


def build(config: DictConfig, **arguments: Any) -> Any:
    """Instantiates a node; arguments arrive as plain lists and dicts, so none of Hydra's types gets saved."""
    return instantiate(config, _convert_="all", **arguments)


def check_targets(node: Any, file: Path, part: str) -> None:
    """Refuses a part of a run's config that names a class of its own: what is built from it could be any program.

    Args:
        node: The part.
        file: The config.
        part: Name of the part, which is that of its config group.

    Raises:
        UserError: It names another ``_target_`` than the configs of this package do.
    """
    options = Path(config_directory(), part).glob("*.yaml")
    ours = {name for option in options for name in targets(read_config(option))}
    foreign = sorted(set(targets(node)) - ours)
    if foreign:
        own = f"; say {part}=OPTION, or trust_run=true if it is your own" if part == "data" else ""
        raise UserError(
            f"{file}: {part} names {foreign[0]}, which is not of this package and would be run{own}"
        )


def fit_window(data: EpisodeDataModule, model: CMA) -> None:
    """Shortens the windows of an evaluation to what the ablations take, which add support frame by frame."""
    if model.adds_frame_by_frame and data.window > data.support_frames:
        log.info(
            "model %s takes windows of at most data.support_frames=%d frames, not data.window=%d",
            model.variant, data.support_frames, data.window,
        )  # fmt: skip
        data.window = data.support_frames


def required(key: str) -> NoReturn:
    """What ``${required:KEY}`` in a config resolves to: nothing, until the user gives the key another value.

    Raises:
        UserError: Always.
    """
    raise UserError(f"{key} must be given; say {key}=VALUE")


OmegaConf.register_new_resolver("required", required, replace=True)
OmegaConf.register_new_resolver("started", started, replace=True, use_cache=True)


def run_folder() -> Path:
    """Folder of this run, made by Hydra."""
    return Path(HydraConfig.get().runtime.output_dir)


def hydra_command(
    config_name: str,
    task: Callable[[DictConfig], Any],
    *,
    explained: bool = False,
    has_run_folder: bool = True,
) -> None:
    """Runs a task as a Hydra command line; mistakes of the user end in one line and exit code 2.

    Args:
        config_name: Main config, such as ``"train"``, and name of the command's module.
        task: What to do with the composed config.
        explained: Whether the config is a list of settings, which ``--help`` explains; else it is made of groups.
        has_run_folder: Whether a call has a run folder; else its results go where the user says.
    """
    if explained and {"--help", "-h"} & set(sys.argv[1:]):
        print(settings_help(Path(config_directory()) / f"{config_name}.yaml"))
        return
    if not has_run_folder and {"--multirun", "-m"} & set(sys.argv[1:]):
        exit_on_user_error(
            UserError("this command takes one set of values at a time; leave -m (--multirun) away")
        )
    speak_plainly()
    # Hydra then raises its own errors, which are told here, instead of printing half a traceback.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    job = Job(task, module=f"fsrvos.cli.{config_name}") if has_run_folder else Once(task)
    try:
        with sweep_told():
            hydra.main(version_base="1.3", config_path=config_directory(), config_name=config_name)(job)()
    except (HydraException, OmegaConfBaseException) as error:
        exit_on_user_error(error)
        raise
    except ValueError as error:  # one of Hydra's own that is no HydraException
        if not str(error).startswith("Config group override must be"):
            raise
        exit_on_user_error(
            UserError(
                "a config group cannot be null; say ~GROUP to leave it out, such as ~logger, or GROUP=OPTION"
            )
        )
    except KeyboardInterrupt:
        raise SystemExit("fsrvos: interrupted") from None


def speak_plainly() -> None:
    """Warnings become one line; what Lightning says at every start, whatever one does, is left out."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for noise in (
        "Total length of",
        "isinstance.treespec",
        "The .+dataloader. does not have many workers",
        "Found .+ in eval mode",
        "You defined a .validation_step. but have no .val_dataloader",  # fsrvos-adapt scores by itself
    ):
        warnings.filterwarnings("ignore", message=f".*{noise}")

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        print(f"fsrvos: warning: {message}", file=sys.stderr)

    warnings.showwarning = show
