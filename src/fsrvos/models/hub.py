"""Saving and loading a network as a folder or a hub repository: config.json of primitives, safetensors, tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

from huggingface_hub import PyTorchModelHubMixin, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from fsrvos.data.json_files import read_json
from fsrvos.encoders.hub import hub
from fsrvos.encoders.text_models import load_tokenizer
from fsrvos.errors import UserError
from fsrvos.tensor_files import read_file, write_safetensors

CONFIG, TENSORS, TOKENIZER = "config.json", "model.safetensors", "tokenizer"


class HubModel(
    PyTorchModelHubMixin,
    library_name="fsrvos",
    license="apache-2.0",
    pipeline_tag="mask-generation",
    tags=["video-object-segmentation", "few-shot", "referring-expressions"],
    paper_url="https://arxiv.org/abs/2309.02041",
):
    """``save_pretrained``, ``from_pretrained`` and ``push_to_hub`` of a module with ``config`` and ``text_encoder``."""

    config: dict[str, Any]

    def _save_pretrained(self, save_directory: Path) -> None:
        """Writes each file beside its place, then renames it."""
        model: Any = self
        write_safetensors(model.state_dict(), save_directory / TENSORS)
        written = save_directory / f".{CONFIG}.new"
        written.write_text(json.dumps(self.config, indent=2) + "\n")
        written.replace(save_directory / CONFIG)
        if model.text_encoder.tokenizer is not None:
            model.text_encoder.tokenizer.save_pretrained(save_directory / TOKENIZER)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Self:
        """The network of a folder that ``save_pretrained`` wrote, or of a repository of the Hugging Face hub.

        Args:
            pretrained_model_name_or_path: Folder, or hub id such as ``"someone/cma-resnet50"``.
            options: As ``PyTorchModelHubMixin.from_pretrained``: ``revision``, ``cache_dir``, ``token``,
                ``local_files_only``, ``force_download``; anything else replaces an entry of the config.

        Returns:
            The network in evaluation mode, its tokenizer with it.

        Raises:
            UserError: No such folder or repository, no network connection, or files that do not belong together.
        """
        fetching = {
            key: options.pop(key)
            for key in ("revision", "cache_dir", "token", "local_files_only", "force_download")
            if key in options
        }
        folder = fetched(pretrained_model_name_or_path, **fetching)
        return cls._from_folder(folder, options)

    @classmethod
    def _from_folder(cls, folder: Path, options: dict[str, Any]) -> Self:
        for name in (CONFIG, TENSORS):
            if not (folder / name).is_file():
                raise UserError(f"{folder / name} does not exist; give a folder that save_pretrained wrote")
        tensors, _ = read_file(folder / TENSORS)
        try:
            config = read_json(folder / CONFIG)
            model: Any = cls(**{**config, **options})
            model.load_state_dict(tensors)
        except (TypeError, RuntimeError) as error:
            raise UserError(
                f"{folder} holds a network that cannot be built ({_first_line(error)}); give a folder "
                "that save_pretrained wrote"
            ) from error
        take_tokenizer(model, folder)
        return model.eval()


def fetched(place: str | Path, **fetching: Any) -> Path:
    """The folder of a network: the one named, or that of a repository of the Hugging Face hub, downloaded.

    Args:
        place: Folder or hub id.
        fetching: As ``huggingface_hub.snapshot_download``.

    Raises:
        UserError: No such folder or repository, or no network connection.
    """
    if Path(place).is_dir():
        return Path(place)
    try:
        with hub():
            return Path(snapshot_download(str(place), **fetching))
    except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError, OSError) as error:
        raise UserError(
            f"{str(place)!r} is no folder, and could not be had from the hub ({_first_line(error)}); give a folder "
            "that save_pretrained wrote, or go online once"
        ) from error


def take_tokenizer(model: Any, folder: Path) -> None:
    """Gives a network the tokenizer that lies in the folder of its weights, if one does."""
    if (folder / TOKENIZER).is_dir():
        model.text_encoder.tokenizer = load_tokenizer(str(folder / TOKENIZER))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
