"""Scores a network and writes what people look at: results.json, report.md, pictures, masks."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from omegaconf import DictConfig
from PIL import Image

from fsrvos.cli.progress import progress_bar
from fsrvos.contact_sheet import contact_sheet
from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.engine.evaluation import evaluate
from fsrvos.engine.gallery import Gallery
from fsrvos.engine.results import save_results
from fsrvos.engine.scores import aggregate
from fsrvos.models.cma import CMA
from fsrvos.pictures import save_image, save_masks
from fsrvos.report import headline, save_markdown


def score(
    model: CMA, data: EpisodeDataModule, config: DictConfig, folder: Path, device: str | torch.device = "cpu"
) -> None:
    """Evaluates, writes the results below a run folder, and prints the headline.

    Args:
        model: The network.
        data: What is tested.
        config: Reads ``name``, ``group`` and ``evaluation``.
        folder: Run folder.
        device: Where to run.
    """
    settings, started, records = config.evaluation, time.perf_counter(), []
    gallery = Gallery(data, rows=settings.sheet_rows)
    with progress_bar("scoring", "episodes") as on_trial:
        for trial in evaluate(model, data, list(settings.conditions), device, on_trial):
            records += trial.records
            gallery.offer(trial)
            if settings.save_masks and trial.condition == "right":
                query = trial.spec.query
                place = folder / "masks" / f"seed{trial.spec.seed}" / query.video / query.expression_id
                save_masks(trial.masks, place, query.frames)
    seconds = round(time.perf_counter() - started, 1)
    results = aggregate(records, experiment=config.name, group=data.group_tested, seconds=seconds)
    save_results(results, folder / "results.json")
    save_markdown(results.to_dict(), folder / "report.md")
    sheet: Image.Image = contact_sheet(gallery.sheet_rows(), title=headline(results.to_dict()))
    save_image(sheet, folder / "contact_sheet.png")
    for name, picture in gallery.overlays():
        save_image(picture, folder / "overlays" / name)
    here = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    print(f"{headline(results.to_dict())} -> {here}")
