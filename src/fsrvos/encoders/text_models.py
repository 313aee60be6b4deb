"""Hugging Face models that encode text: loaded by id or directory, or made untrained from a description."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, AutoTokenizer, PretrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING as TEXT_ENCODERS

from fsrvos.encoders.hub import hub
from fsrvos.errors import UserError

# RoBERTa-base as published: what an untrained model without a model_type is.
ROBERTA_BASE: dict[str, Any] = {
    "model_type": "roberta",
    "vocab_size": 50_265,
    "max_position_embeddings": 514,
    "layer_norm_eps": 1e-5,
    "type_vocab_size": 1,
}
LONGEST = 512  # tokens, of a model that sets no limit itself
_NOT_ARCHITECTURE = ("transformers_version", "dtype", "architectures", "_name_or_path")


def load_model(name: str) -> nn.Module:
    """The text encoder of a Hugging Face id or directory: of CLIP its text tower, of T5 its encoder.

    Raises:
        UserError: It cannot be had, or encodes no text.
    """
    try:
        with nullcontext() if Path(name).is_dir() else hub():
            config = _of_text(AutoConfig.from_pretrained(name), name)
            return _kind(config).from_pretrained(name, config=config, dtype=torch.float32)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise unavailable("model", name, error) from error


def load_tokenizer(name: str) -> Any:
    """The tokenizer of a Hugging Face id or directory, padding on the right.

    Raises:
        UserError: It cannot be had.
    """
    try:
        with nullcontext() if Path(name).is_dir() else hub():
            tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise unavailable("tokenizer", name, error) from error
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:  # what stands there is masked
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def build_model(description: Mapping[str, Any]) -> nn.Module:
    """An untrained text encoder.

    Args:
        description: Entries of its configuration; ``model_type`` names the architecture, RoBERTa-base if absent.

    Raises:
        UserError: An unknown architecture, or one that encodes no text.
    """
    entries = dict(description) if "model_type" in description else {**ROBERTA_BASE, **description}
    kind = str(entries.pop("model_type"))
    try:
        config = AutoConfig.for_model(kind, **entries)
    except ValueError as error:
        raise UserError(f"text_encoder.config: transformers knows no model_type {kind!r}") from error
    config = _of_text(config, kind)
    return _kind(config).from_config(config)


def describe_model(model: Any) -> dict[str, Any]:
    """What ``build_model`` needs for the same architecture: plain values that JSON can take."""
    entries = json.loads(model.config.to_json_string(use_diff=True))
    return {
        key: value for key, value in entries.items() if key not in _NOT_ARCHITECTURE and value is not None
    }


def longest_input(model: Any, tokenizer: Any) -> int:
    """Tokens that a model takes at most; RoBERTa's positions begin behind the padding token's, BERT's at 0."""
    limits = [LONGEST, int(tokenizer.model_max_length)]
    limit = getattr(model.config, "max_position_embeddings", None)
    if isinstance(limit, int) and limit > 0:
        embedding = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
        unused = getattr(embedding, "padding_idx", None)
        limits.append(limit if unused is None else limit - unused - 1)
    return min(limits)


def unavailable(what: str, name: str, error: Exception) -> UserError:
    """The one line that tells why something cannot be had from the hub."""
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return UserError(
        f"text encoder {name!r}: its {what} could not be loaded ({reason}); go online once, "
        "or give a local directory, or use text_encoder=small"
    )


def _of_text(config: PretrainedConfig, name: str) -> PretrainedConfig:
    """The part of a configuration that is about text."""
    text = getattr(config, "text_config", None)
    if isinstance(text, PretrainedConfig):
        config = text
    if config.is_encoder_decoder and type(config) not in TEXT_ENCODERS:
        raise UserError(
            f"text encoder {name!r} is an encoder with a decoder ({config.model_type}); choose an encoder"
        )
    return config


def _kind(config: PretrainedConfig) -> Any:
    return AutoModelForTextEncoding if type(config) in TEXT_ENCODERS else AutoModel
