"""Reads a config that a run left on disk, which may come from someone else."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fsrvos.errors import UserError

MAX_BYTES = 1_000_000  # those of our runs have under 10 kB
MAX_DEPTH = 100


def read_config(file: Path) -> DictConfig | ListConfig:
    """Reads a YAML file; nothing in it is run or resolved.

    Raises:
        UserError: It cannot be read, is over 1 MB, has aliases, or is no config.
    """
    try:
        with file.open("rb") as content:
            text = content.read(MAX_BYTES + 1).decode()
    except (OSError, ValueError) as error:
        raise UserError(f"{file} is no config ({' '.join(str(error).split())})") from error
    return parse_config(text, file)


def parse_config(text: str, file: Path) -> DictConfig | ListConfig:
    """Parses the text of a config that ``file`` holds; nothing in it is run or resolved.

    Aliases are refused: nested ones stand for more values than memory holds, and no run writes any.

    Raises:
        UserError: It is over 1 MB, has aliases, or is no config.
    """
    try:
        if len(text.encode()) > MAX_BYTES:
            raise UserError(f"{file} is no config: it has more than {MAX_BYTES // 1_000_000} MB")
        depth = 0
        for event in yaml.parse(
            text, yaml.SafeLoader
        ):  # one at a time: the parser's time grows with depth squared
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise UserError(f"{file} is no config (nested too deep)")
            if isinstance(event, yaml.AliasEvent):
                raise UserError(f"{file} is no config of a run: it has YAML aliases (*NAME)")
        config = OmegaConf.load(io.StringIO(text))
    except UserError:
        raise
    except (yaml.YAMLError, OmegaConfBaseException, OSError, ValueError) as error:
        raise UserError(f"{file} is no config ({' '.join(str(error).split())})") from error
    except RecursionError as error:
        raise UserError(f"{file} is no config (nested too deep)") from error
    if not isinstance(config, DictConfig | ListConfig):
        raise UserError(f"{file} is no config: it must hold keys with values")
    return config


def targets(node: Any) -> Iterator[str]:
    """The classes that a config names, at any depth: every ``_target_``."""
    content = OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node
    if isinstance(content, dict):
        if "_target_" in content:
            yield str(content["_target_"])
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from targets(part)
