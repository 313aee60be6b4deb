"""Few-shot referring video object segmentation: a phrase and a few annotated frames of another clip."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsrvos.data.datamodule import EpisodeDataModule as EpisodeDataModule
    from fsrvos.models.cma import CMA as CMA
    from fsrvos.predictor import Predictor as Predictor

_PUBLIC = {
    "CMA": "fsrvos.models.cma",
    "EpisodeDataModule": "fsrvos.data.datamodule",
    "Predictor": "fsrvos.predictor",
}
__all__ = ["CMA", "EpisodeDataModule", "Predictor"]


def __getattr__(name: str) -> Any:
    """Imports a public name at first use: torch and Lightning take seconds."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'fsrvos' has no attribute {name!r}")
