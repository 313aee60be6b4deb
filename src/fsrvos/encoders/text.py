"""Text encoders: Hugging Face models by id or directory, and a small RoBERTa with the tokenizer in this package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from fsrvos.encoders.text_models import build_model, describe_model, load_model, load_tokenizer, longest_input
from fsrvos.structures import Tokens

SMALL: dict[str, Any] = {
    "model_type": "roberta",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 66,
    "layer_norm_eps": 1e-5,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "type_vocab_size": 1,
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
}


def normalise(expression: str) -> str:
    """The phrase as the network reads it: lower case, white space collapsed (model.md section 1)."""
    return re.sub(r"\s+", " ", expression).strip().lower()


class TextEncoder(nn.Module):
    """Encodes phrases into words and a sentence.

    Args:
        name: ``"small"`` (from scratch, needs no download), a Hugging Face id such as ``"roberta-base"``, or a
            local directory with a saved model and tokenizer. Any encoder will do: RoBERTa, BERT, DistilBERT, MiniLM,
            MPNet, T5's encoder, CLIP's text tower.
        pretrained: Load the weights. Without them an untrained model of ``config`` is made; its tokenizer is loaded
            when it is first needed.
        config: Entries of the configuration of a model that is not loaded: ``model_type`` (RoBERTa-base when
            absent), ``hidden_size``, ``num_hidden_layers``, ``vocab_size`` and so on.

    Attributes:
        channels: D, width of the words.

    Raises:
        UserError: The model cannot be had: wrong name, or no network.
    """

    def __init__(
        self, name: str = "small", *, pretrained: bool = True, config: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.name = name
        self.tokenizer: Any = None
        self.model: Any
        if name == "small":
            self.tokenizer = small_tokenizer()
            self.model = build_model({"vocab_size": len(self.tokenizer), **SMALL, **(config or {})})
        elif pretrained:
            self.tokenizer, self.model = load_tokenizer(name), load_model(name)
        else:
            self.model = build_model(config or {})
        self.channels: int = self.model.config.hidden_size

    @property
    def architecture(self) -> dict[str, Any]:
        """The ``config`` with which an untrained model has the same layers, plain values alone."""
        return describe_model(self.model)

    def tokenize(self, expressions: list[str]) -> Tokens:
        """Phrases to padded token ids, at most what the model's positions allow.

        Raises:
            UserError: The tokenizer cannot be had.
        """
        if self.tokenizer is None:
            self.tokenizer = load_tokenizer(self.name)
        encoded = self.tokenizer(
            [normalise(e) for e in expressions],
            padding=True,
            truncation=True,
            max_length=longest_input(self.model, self.tokenizer),
            return_tensors="pt",
        )
        return Tokens(encoded["input_ids"], encoded["attention_mask"] == 0)

    def freeze_sentence(self) -> None:
        """Takes the pooler out of training, for networks that do not read the sentence feature."""
        pooler = getattr(self.model, "pooler", None)
        if pooler is not None:
            pooler.requires_grad_(False)

    def forward(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Encodes tokens.

        Returns:
            Words (B, L, D) and sentence (B, D): the pooled feature where the model has one, else the mean of the
            words that are not padding.
        """
        output = self.model(input_ids=tokens.ids, attention_mask=(~tokens.padding_mask).long())
        words = output.last_hidden_state
        sentence = getattr(output, "pooler_output", None)
        if sentence is None:
            real = (~tokens.padding_mask)[..., None].to(words.dtype)
            sentence = (words * real).sum(1) / real.sum(1).clamp(min=1)
        return words, sentence


def small_tokenizer() -> PreTrainedTokenizerFast:
    """The byte-level BPE tokenizer of this package: no word is unknown, rare ones fall into pieces."""
    path = files("fsrvos.encoders") / "tokenizer.json"
    return PreTrainedTokenizerFast(
        tokenizer_file=str(path),
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=64,
    )
