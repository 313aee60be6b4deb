"""Weights in: published checkpoints and our own, into networks that hold them or start from them."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fsrvos.encoders.build import canonical_name
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA
from fsrvos.models.hub import take_tokenizer
from fsrvos.published_names import (
    ALIASED,
    CLASS_HEADS,
    OUR_BACKBONE,
    PUBLISHED_ALIAS,
    PUBLISHED_BACKBONE,
    our_name,
    published_name,
)
from fsrvos.tensor_files import reason, write_safetensors
from fsrvos.weight_files import OURS, PUBLISHED, Weights, read_weights, some

__all__ = [
    "PUBLISHED", "ImportReport", "Weights", "convert", "create_model", "load_model", "match_weights", "published_shapes",
    "read_weights",
]  # fmt: skip

log = logging.getLogger(__name__)

# What a published text encoder's older library saved beside its weights, and makes anew.
_RECOMPUTED = ("text_encoder.embeddings.position_ids", "text_encoder.embeddings.token_type_ids")


@dataclass
class ImportReport:
    """What became of the tensors of a file, by their names in the file.

    Attributes:
        mapped: Our names of each tensor that has a place: one, or three where one was split.
        dropped: Tensors left out on purpose, and why.
        unexpected: Tensors that the network has no place for.
        missing: Our names of tensors that the network has and the file has not.
    """

    mapped: dict[str, list[str]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = {k: len(v) for k, v in vars(self).items()}
        return ", ".join(f"{count} {name}" for name, count in counts.items())


def match_weights(
    weights: Weights, model: CMA, *, drop_class_heads: bool = False
) -> tuple[dict[str, Tensor], ImportReport]:
    """Finds the place in a network of every tensor of a file.

    Args:
        weights: The file.
        model: The network; its own values are not read, so it may lie on the meta device.
        drop_class_heads: Leave the class heads out, as published when training starts from ReferFormer.

    Returns:
        The tensors that fit, under our names, and the report.

    Raises:
        UserError: A tensor has another shape than its place; both are named.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    matched: dict[str, Tensor] = {}
    report = ImportReport()
    for name, tensor in weights.tensors.items():
        places = {name: tensor} if weights.origin == OURS else _places(name, tensor, weights, model)
        if not places:
            alias = name.startswith(PUBLISHED_ALIAS)
            report.dropped[name] = "the same as " + _unaliased(name) if alias else "made anew by the network"
        elif drop_class_heads and all(ours.startswith(CLASS_HEADS) for ours in places):
            report.dropped[name] = "class head"
        elif any(ours not in expected for ours in places):
            report.unexpected.append(name)
        else:
            report.mapped[name] = list(places)
            matched |= places
    report.missing = [name for name in expected if name not in matched]
    _check_shapes(matched, expected, report, weights.file)
    return matched, report


def load_model(source: str | Path | Weights) -> CMA:
    """The network that a file of weights holds, on the CPU in evaluation mode.

    Args:
        source: Whatever ``read_weights`` reads, or what it read.

    Raises:
        UserError: No such file, or one that does not hold a whole network.
    """
    weights = source if isinstance(source, Weights) else read_weights(source)
    model = _built(weights)
    matched, report = match_weights(weights, model)
    if report.missing or report.unexpected:
        raise UserError(
            f"{weights.file} does not hold a whole network: missing {some(report.missing)}; "
            f"no place for {some(report.unexpected)}"
        )
    model.load_state_dict(matched)
    take_tokenizer(model, weights.file.parent)
    return model.eval()


def create_model(
    variant: str = "cma",
    *,
    init_from: str | Path | None = None,
    drop_class_heads: bool = True,
    **options: Any,
) -> CMA:
    """A network for training: fresh, or started from weights (protocol.md section 3).

    Args:
        variant: As for ``CMA``.
        init_from: Whatever ``read_weights`` reads. Tensors go by name; what only one side has is told in the log.
            Encoders that the file holds are not loaded from anywhere else.
        drop_class_heads: The class heads start fresh all the same, as published.
        options: Further arguments of ``CMA``.

    Raises:
        UserError: A bad file; another backbone; a tensor of another shape; an encoder that is not all there.
    """
    if init_from is None:
        return CMA(variant, **options)
    weights = read_weights(init_from)
    model = CMA(variant, **_with_encoders_of(weights, options))
    matched, report = match_weights(weights, model, drop_class_heads=drop_class_heads)
    if lacking := [name for name in report.missing if name.startswith(("backbone.", "text_encoder."))]:
        raise UserError(f"{weights.file}: its encoders are not all there, missing {some(lacking)}")
    model.load_state_dict(matched, strict=False)
    if model.text_encoder.name == weights.config["text_encoder"]["name"]:
        take_tokenizer(model, weights.file.parent)
    log.info("started from %s (%s): %s", weights.file, weights.layout, report)
    for kind in ("missing", "unexpected"):
        if names := getattr(report, kind):
            log.info("%s: %s", kind, some(names, 12))
    return model


def convert(
    source: str | Path, target: str | Path, *, drop_class_heads: bool = False
) -> tuple[Weights, ImportReport]:
    """Writes the weights of a file as ``.safetensors`` under our names, with the description of their network.

    Args:
        source: Whatever ``read_weights`` reads.
        target: The file to write; written beside, then renamed.
        drop_class_heads: Leave the class heads out.

    Returns:
        What was read and what became of it.

    Raises:
        UserError: A bad file, a tensor of the wrong shape, or a target that cannot be written.
    """
    target = Path(target)
    if target.suffix != ".safetensors":
        raise UserError(f"{target}: the file to write must end in .safetensors")
    weights = read_weights(source)
    with torch.device("meta"):
        model = _built(weights)
    matched, report = match_weights(weights, model, drop_class_heads=drop_class_heads)
    write_safetensors(matched, target, {"fsrvos": json.dumps(model.config), "source": weights.file.name})
    return weights, report


def published_shapes(model: CMA) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published state dict of a network of a published variant, aliases included."""
    shapes = {
        PUBLISHED_BACKBONE + name: tuple(shape) for name, shape in model.backbone.published_shapes().items()
    }
    for name, tensor in model.state_dict().items():
        if not name.startswith(OUR_BACKBONE):
            published = published_name(name)
            shapes[published] = tuple(tensor.shape)
            if published.startswith(ALIASED):
                shapes[PUBLISHED_ALIAS + published.removeprefix(ALIASED)] = tuple(tensor.shape)
    return shapes


def _places(name: str, tensor: Tensor, weights: Weights, model: CMA) -> dict[str, Tensor]:
    """Our tensors of a published one; none for what is made anew or stands in the file under another name too."""
    if name.startswith(PUBLISHED_BACKBONE):
        found = model.backbone.from_published({name.removeprefix(PUBLISHED_BACKBONE): tensor})
        return {OUR_BACKBONE + ours: value for ours, value in found.items()}
    if name in _RECOMPUTED or (name.startswith(PUBLISHED_ALIAS) and _unaliased(name) in weights.tensors):
        return {}
    return {our_name(_unaliased(name)): tensor}


def _unaliased(name: str) -> str:
    return ALIASED + name.removeprefix(PUBLISHED_ALIAS) if name.startswith(PUBLISHED_ALIAS) else name


def _check_shapes(
    matched: dict[str, Tensor], expected: dict[str, tuple[int, ...]], report: ImportReport, file: Path
) -> None:
    wrong = [
        f"{name} has shape {tuple(matched[ours].shape)}, its place {ours} has {expected[ours]}"
        for name, places in report.mapped.items()
        for ours in places
        if tuple(matched[ours].shape) != expected[ours]
    ]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise UserError(
            f"{file}: {wrong[0]}{more}; give weights of the same network, or change the model's sizes"
        )


def _with_encoders_of(weights: Weights, options: dict[str, Any]) -> dict[str, Any]:
    """The options, with encoders that take their architecture from the file and load nothing."""
    options = dict(options)
    for key in ("backbone", "text_encoder"):
        chosen = options.get(key, weights.config[key])
        wanted = {"name": chosen} if isinstance(chosen, str) else dict(chosen)
        held = dict(weights.config[key])
        if key == "backbone" and canonical_name(wanted["name"]) != canonical_name(held["name"]):
            raise UserError(
                f"{weights.file} holds the backbone {held['name']}, but the model's is {wanted['name']}; "
                f"say backbone={held['name']}, or start from other weights"
            )
        if wanted["name"] == held["name"] or key == "backbone":
            frozen = {"frozen": wanted["frozen"]} if "frozen" in wanted else {}
            wanted = {**{k: v for k, v in held.items() if k != "frozen"}, **frozen}
        options[key] = wanted
    return options


def _built(weights: Weights) -> CMA:
    try:
        return CMA(**weights.config)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{weights.file} holds a network that this version of fsrvos cannot build ({reason(error)}); "
            "take the version that trained it"
        ) from error
