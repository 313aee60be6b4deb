"""Scores a network, or predictions on disk, and writes what people look at: results.json, report.md, pictures, masks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from omegaconf import DictConfig
from PIL import Image

from fsrvos.cli.progress import progress_bar
from fsrvos.contact_sheet import contact_sheet
from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.engine.evaluation import Trial, evaluate, evaluate_predictions
from fsrvos.engine.gallery import Gallery, strip
from fsrvos.engine.predictions import Predictions, rle_entry, save_prediction, save_rle
from fsrvos.engine.processes import gather, place
from fsrvos.engine.results import save_results
from fsrvos.engine.scores import aggregate
from fsrvos.models.cma import CMA
from fsrvos.pictures import save_image
from fsrvos.report import headline, save_markdown

Told = Callable[[int, int], None]


def score(
    model: CMA, data: EpisodeDataModule, config: DictConfig, folder: Path, device: str | torch.device = "cpu"
) -> None:
    """Evaluates, writes the results below a run folder, and prints the headline.

    In a group of processes each evaluates its share, and the first one writes; all of them must call it.

    Args:
        model: The network.
        data: What is tested.
        config: Reads ``name``, ``precision`` and ``evaluation``.
        folder: Run folder.
        device: Where to run.
    """

    def trials(on_trial: Told | None) -> Iterator[Trial]:
        return evaluate(model, data, list(config.evaluation.conditions), device, on_trial, config.precision)

    write_scores(trials, data, config, folder, save_masks=config.evaluation.save_masks)


def score_predictions(
    predictions: Predictions, data: EpisodeDataModule, config: DictConfig, folder: Path
) -> None:
    """The same for masks on disk, which have no controls and whose support is not known."""

    def trials(on_trial: Told | None) -> Iterator[Trial]:
        return evaluate_predictions(predictions, data, on_trial)

    write_scores(trials, data, config, folder, with_support=False)


def write_scores(
    trials: Callable[[Told | None], Iterator[Trial]],
    data: EpisodeDataModule,
    config: DictConfig,
    folder: Path,
    save_masks: bool = False,
    with_support: bool = True,
) -> None:
    """Goes through trials and writes what they come to.

    Args:
        trials: Makes the trials; given what is to be told of (done, total).
        data: What is tested.
        config: Reads ``name`` and ``evaluation.sheet_rows``.
        folder: Run folder.
        save_masks: Whether right masks are written below ``predictions``.
        with_support: Whether pictures show the support.
    """
    started, records, entries = time.perf_counter(), [], []
    gallery = Gallery(data, config.evaluation.sheet_rows, with_support)
    rank, count = place()
    with progress_bar("scoring", "episodes" if count == 1 else f"episodes of process 1 of {count}") as told:
        for trial in trials(told if rank == 0 else None):
            records += trial.records
            gallery.offer(trial)
            if save_masks and trial.condition == "right":
                save_prediction(folder / "predictions", trial.spec, trial.masks)
                entries.append(rle_entry(trial.spec, trial.masks, trial.score))
    records, entries, shown = gather(records), gather(entries), gallery.gathered()
    if rank != 0:
        return
    seconds = round(time.perf_counter() - started, 1)
    results = aggregate(records, experiment=config.name, group=data.group_tested, seconds=seconds)
    save_results(results, folder / "results.json")
    save_markdown(results.to_dict(), folder / "report.md")
    if save_masks:
        save_rle(folder / "predictions", entries)
    sheet: Image.Image = contact_sheet([one.row for one in shown], title=headline(results.to_dict()))
    save_image(sheet, folder / "contact_sheet.png")
    for one in shown:
        save_image(strip(one.row), folder / "overlays" / f"{one.name}.png")
    here = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    print(f"{headline(results.to_dict())} -> {here}")
