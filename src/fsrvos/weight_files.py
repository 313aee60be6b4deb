"""Reads weights of any kind, published and ours, without running anything in them.

A published checkpoint is a dict with ``model``, or the bare state dict, under the names of model.md section 11. Ours
are Lightning's ``.ckpt``, the ``.safetensors`` of ``fsrvos-weights import`` and the folders of
``CMA.save_pretrained``; all of ours say which network they hold.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from fsrvos.checkpoints import DESCRIPTION, PREFIX, checkpoint_file
from fsrvos.data.json_files import read_json
from fsrvos.errors import UserError
from fsrvos.models.hub import CONFIG, TENSORS
from fsrvos.published_config import UnknownNetwork, infer_config
from fsrvos.tensor_files import read_file, reason

PUBLISHED, OURS = "published", "fsrvos"


@dataclass
class Weights:
    """A file of weights, read.

    Attributes:
        file: Where it lies.
        origin: Whose names its tensors bear: ``"published"`` or ``"fsrvos"``.
        config: Constructor arguments of the ``CMA`` that it holds; its encoders load nothing.
        tensors: The state dict.
        layout: What kind of file it is, in words.
    """

    file: Path
    origin: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    layout: str


def read_weights(path: str | Path) -> Weights:
    """Reads weights of any kind, without running anything in them.

    Args:
        path: A published checkpoint, ``.safetensors``, ``.ckpt``, a folder of ``save_pretrained``, or a run folder.

    Raises:
        UserError: No such file, a damaged or foreign one, or one that would run code.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(
            f"{path} does not exist; give a file of weights (.pth, .safetensors, .ckpt), a run folder, or a folder of "
            "save_pretrained"
        )
    if (path / TENSORS).is_file():
        return _read_pretrained(path)
    file = checkpoint_file(path)
    content, metadata = read_file(file)
    if "fsrvos" in metadata:
        return Weights(file, OURS, _json(metadata["fsrvos"], file), content, "safetensors of fsrvos-weights")
    if not isinstance(content, dict):
        raise UserError(f"{file} holds a {type(content).__name__}, not the weights of a network")
    if DESCRIPTION in content:
        try:
            config, whole = content[DESCRIPTION]["model"], content["state_dict"]
            state = {k.removeprefix(PREFIX): v for k, v in whole.items() if k.startswith(PREFIX)}
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{file} is a damaged checkpoint: it lacks its network ({reason(error)})"
            ) from error
        return Weights(file, OURS, config, state, "checkpoint of fsrvos-train")
    layout = "published checkpoint" if "model" in content else "bare state dict"
    state = _published_state(content.get("model", content), file)
    try:
        config = infer_config({name: tuple(tensor.shape) for name, tensor in state.items()})
    except UnknownNetwork as error:
        raise UserError(
            f"{file} is neither a ReferFormer or CMA checkpoint nor one of ours: {error}"
        ) from error
    return Weights(file, PUBLISHED, config, state, layout)


def _published_state(content: Any, file: Path) -> dict[str, Tensor]:
    """The tensors of a published checkpoint, without the prefix that DistributedDataParallel adds."""
    if not isinstance(content, dict) or not content:
        raise UserError(f"{file} is no state dict: under 'model' there must be tensors by name")
    wrong = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if wrong:
        raise UserError(f"{file} is no state dict: {some(wrong)} are no tensors")
    wrapped = all(name.startswith("module.") for name in content)
    return {name.removeprefix("module.") if wrapped else name: tensor for name, tensor in content.items()}


def _read_pretrained(folder: Path) -> Weights:
    tensors, _ = read_file(folder / TENSORS)
    config = folder / CONFIG
    if not config.is_file():
        raise UserError(f"{config} does not exist; give a folder that CMA.save_pretrained wrote")
    return Weights(folder / TENSORS, OURS, read_json(config), tensors, "save_pretrained folder")


def _json(text: str, file: Path) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: the description of its network is no JSON ({error})") from error
    if not isinstance(config, dict):
        raise UserError(f"{file}: the description of its network is no JSON object")
    return config


def some(names: list[str], most: int = 3) -> str:
    """A few of many names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "nothing") + more
