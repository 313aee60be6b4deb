"""What every backbone has: four maps of a clip, and the names of its published weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fsrvos.errors import UserError
from fsrvos.tensor_files import read_file

STRIDES = (4, 8, 16, 32)
BODY = "body."
_WRAPPERS = ("model", "state_dict", "state_dict_ema")


class Backbone(nn.Module):
    """Takes clips (B, T, 3, H, W), returns four maps (B, T, C_i, h, w) at strides 4, 8, 16, 32, finest first.

    Attributes:
        channels: C_i of the four maps.
        by_frame: Whether the maps of a frame depend on that frame alone, in evaluation mode.
    """

    channels: list[int]
    by_frame = True

    def from_published(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Published tensors, by their names below ``backbone.0.body.``, under the names of this module.

        What the module makes anew is left out; a name that is unknown comes back as it is.
        """
        return {BODY + name: tensor for name, tensor in state.items() if not is_recomputed(name)}

    def published_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every published name below ``backbone.0.body.`` with its shape, recomputed buffers included."""
        return {name.removeprefix(BODY): tuple(tensor.shape) for name, tensor in self.state_dict().items()}


def is_recomputed(name: str) -> bool:
    """Whether a published tensor is a table or a count that a network makes itself."""
    return name.rsplit(".", 1)[-1] in ("relative_position_index", "attn_mask", "num_batches_tracked")


def unavailable(name: str, source: str, error: Exception) -> UserError:
    """The one line that tells why a backbone's weights cannot be had."""
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return UserError(
        f"backbone {name!r}: its weights ({source}) could not be loaded ({reason}); go online once, or name a local "
        "file with backbone.weights=FILE, or set backbone.pretrained=false"
    )


def load_file(backbone: Backbone, file: str | Path, may_lack: tuple[str, ...] = ()) -> None:
    """Loads a file of weights, in the library's naming or the published one; classifier heads in it are ignored.

    Args:
        backbone: Where to.
        file: ``.pth`` (a bare state dict, or under ``model`` or ``state_dict``) or ``.safetensors``.
        may_lack: Beginnings of names that no such file has to hold.

    Raises:
        UserError: A bad file, one that lacks a tensor, or one with a tensor of another shape.
    """
    content, _ = read_file(file)
    load_state(backbone, _state(content, Path(file)), str(file), may_lack)


def load_state(
    backbone: Backbone, state: dict[str, Tensor], source: str, may_lack: tuple[str, ...] = ()
) -> None:
    """As ``load_file``, of a state dict that came from ``source``."""
    expected = backbone.state_dict()
    found: dict[str, Tensor] = {}
    for ours, tensor in backbone.from_published(state).items():
        if ours in expected:
            found[ours] = tensor
    lacking = [
        name
        for name in expected
        if name not in found and not is_recomputed(name) and not name.startswith(may_lack)
    ]
    if lacking:
        raise UserError(
            f"{source} does not hold this backbone: {len(lacking)} of {len(expected)} tensors are missing, the first is "
            f"{lacking[0].removeprefix(BODY)}; give weights of the same backbone"
        )
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            raise UserError(
                f"{source}: {name.removeprefix(BODY)} has shape {tuple(tensor.shape)}, but the backbone's has "
                f"{tuple(expected[name].shape)}; give weights of the same backbone"
            )
    backbone.load_state_dict(found, strict=False)


def _state(content: Any, file: Path) -> dict[str, Tensor]:
    """The tensors of a file, without wrappers and prefixes."""
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict):
        raise UserError(f"{file} holds a {type(content).__name__}, not the weights of a backbone")
    state = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    for prefix in ("module.", "backbone."):
        if any(name.startswith(prefix) for name in state):
            state = {
                name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
            }
    return state
