"""A network's arguments as plain values, from which it can be built again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def build_encoder(build: Callable[..., Any], choice: str | Mapping[str, Any]) -> tuple[Any, bool]:
    """An encoder, and whether it is frozen, from its name or from a mapping of its arguments."""
    options: dict[str, Any] = {"name": choice} if isinstance(choice, str) else dict(choice)
    frozen = bool(options.pop("frozen", True))
    return build(**options), frozen


def without_loading(choice: str | dict[str, Any]) -> dict[str, Any]:
    """The arguments of an encoder but for where its weights come from."""
    options = {"name": choice} if isinstance(choice, str) else choice
    return {key: value for key, value in options.items() if key not in ("weights", "pretrained")}


def primitive(value: Any) -> Any:
    """Plain containers in place of whatever mapping or sequence came in (Hydra's, say)."""
    if isinstance(value, Mapping):
        return {str(k): primitive(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [primitive(v) for v in value]
    return value


def described_encoders(config: Mapping[str, Any], text_architecture: dict[str, Any]) -> dict[str, Any]:
    """The entries of a network's config for its encoders, from which they are built without loading anything."""
    text = {
        **without_loading(config["text_encoder"]),
        "pretrained": False,
        "config": text_architecture,
    }
    return {"backbone": without_loading(config["backbone"]), "text_encoder": text}
