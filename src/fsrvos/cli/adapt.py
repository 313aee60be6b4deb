"""fsrvos-adapt: fine-tunes a checkpoint on a few annotated clips of one's own, and says whether that helped."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
from omegaconf import DictConfig, OmegaConf

from fsrvos.cli.common import build, hydra_command, run_folder
from fsrvos.cli.free_text import quote_values
from fsrvos.cli.progress import progress_bar
from fsrvos.cli.shortage import shortages_told
from fsrvos.cli.values import check_numbers
from fsrvos.data.folders import folder_beside
from fsrvos.data.held_back import OwnClip, check_clips, hold_back
from fsrvos.data.own_episodes import OwnEpisodes
from fsrvos.data.strong_transform import StrongTransform
from fsrvos.data.support_sources import read_support
from fsrvos.data.transforms import TestTransform
from fsrvos.engine.adaptation import Adaptation, adapt
from fsrvos.engine.adaptation_report import RECORD, describe, save_report
from fsrvos.engine.criterion import Criterion
from fsrvos.engine.held_back_scores import Scorer
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA
from fsrvos.predictor_settings import Settings, settings_of
from fsrvos.weights import load_model, read_weights


def main() -> None:
    """Entry point of the console script."""
    sys.argv[1:] = quote_values(sys.argv[1:], ("checkpoint", "support", "held_out", "text", "object", "out"))
    hydra_command("adapt", run, explained=True)


def run(config: DictConfig) -> None:
    """Adapts one checkpoint and writes the result, whole or not at all.

    Args:
        config: Composed from configs/adapt.yaml.
    """
    if config.checkpoint is None:
        raise UserError("checkpoint is missing; say checkpoint=PATH, a run folder or a file of weights")
    check_numbers(
        config,
        {"steps": 1, "batch_size": 1, "every": 1, "patience": 1, "query_frames": 1, "support_frames": 1, "seed": 0,
         "held_back": 0.0, "min_gain": 0.0, "within": 0.0, "mix": 0.0},
    )  # fmt: skip
    out = output_folder(config)
    L.seed_everything(config.seed, workers=True, verbose=False)
    weights = read_weights(config.checkpoint)
    given = settings_of(weights.file).changed(short_side=config.short_side)
    model = load_model(weights)
    if model.adds_frame_by_frame:
        raise UserError(
            f"{weights.file} holds the ablation {model.variant!r}, whose support frames must match the query's one by "
            "one; adapt cma, cma_plus or referformer"
        )
    clips = read_clips(config)
    memory = f"batch_size (now {config.batch_size}), query_frames ({config.query_frames}) or short_side"
    with shortages_told(memory), folder_beside(out) as folder, progress_bar("adapting", "steps") as told:
        found = adapted(model, clips, config, given, told)
        written = found.better or bool(config.keep)
        settings: Any = OmegaConf.to_container(config, resolve=True)
        record = describe(found, clips, {**settings, "input": vars(given)}, str(weights.file), written)
        save_report(record, folder)
        if written:
            model.cpu().save_pretrained(folder)
            given.save(folder)
    print(f"{record['verdict']} -> {out}")


def adapted(model: CMA, clips: list[OwnClip], config: DictConfig, given: Settings, told: Any) -> Adaptation:
    """Builds what an adaptation takes from the config and runs it; the network is changed."""
    size = TestTransform(given.short_side, given.longest)
    scorer = Scorer(clips, size, given.window, config.support_frames)
    episodes = OwnEpisodes(
        clips,
        StrongTransform(given.short_side, given.longest),
        length=config.steps * config.batch_size,
        seed=config.seed,
        query_frames=config.query_frames,
        support_frames=config.support_frames,
        within=config.within,
    )
    return adapt(
        model, episodes, scorer, criterion_for(model, config), build(config.optim),
        partial(build, config.trainer),
        frozen=listed(config.frozen), mix=config.mix, batch_size=config.batch_size,
        every=config.every, patience=config.patience, min_gain=config.min_gain, on_step=told,
    )  # fmt: skip


def criterion_for(model: CMA, config: DictConfig) -> Criterion:
    """The loss, without the part on matches with the support where the network makes none."""
    criterion = build(config.criterion)
    assert isinstance(criterion, Criterion)
    if not model.config["rest"]:
        criterion.affinity = None
    return criterion


def output_folder(config: DictConfig) -> Path:
    """Where the result goes.

    Raises:
        UserError: Something lies there that is not to be replaced.
    """
    if config.out is None:
        return run_folder() / "adapted"
    out = Path(config.out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        if not (out / RECORD).is_file():
            raise UserError(f"{out} exists and is no earlier adaptation; choose another out, or move it away")
        if not config.overwrite:
            raise UserError(f"{out} holds an earlier adaptation; choose another out, or say overwrite=true")
    return out


def read_clips(config: DictConfig) -> list[OwnClip]:
    """Reads the support and the clips held out, and sets frames apart.

    Raises:
        UserError: No support, a source that cannot be read, a wrong number of phrases, too few frames.
    """
    support, held_out = listed(config.support), listed(config.held_out)
    if not support:
        raise UserError(
            "support is missing; say support=CLIP or support='[CLIP,CLIP]', annotated clips of the category"
        )
    sources = [*support, *held_out]
    texts = one_each("text", config.text, len(sources))
    object_ids = one_each("object", config.object, len(sources))
    categories = one_each("categories", config.categories, len(sources))
    clips: list[OwnClip] = []
    for place, source in enumerate(sources):
        object_id = None if object_ids[place] is None else str(object_ids[place])
        for clip in read_support(source, texts[place], object_id):
            if not clip.expression.strip():
                raise UserError(
                    f"{source}: its annotations have no phrase for the object; say text='the dog'"
                )
            name = unused(Path(source).stem, [own.name for own in clips])
            category = str(categories[place] or "the category")
            if held_out and place < len(support):
                everything = tuple(range(len(clip.frames)))
                clips.append(OwnClip(name, category, clip, everything, (), ()))
            else:
                clips.append(hold_back(name, category, clip, config.held_back, whole=bool(held_out)))
    check_clips(clips)
    return clips


def listed(value: Any) -> list[str]:
    """A config value that is one path, a list of them, or nothing."""
    if value is None:
        return []
    return [str(item) for item in value] if OmegaConf.is_list(value) else [str(value)]


def one_each(key: str, value: Any, count: int) -> list[Any]:
    """A config value for each of ``count`` clips: one for all, or as many as there are clips.

    Raises:
        UserError: Another number.
    """
    if not OmegaConf.is_list(value):
        return [value] * count
    if len(value) not in (1, count):
        raise UserError(
            f"{key} has {len(value)} entries for {count} clips; give one for all, or one for each"
        )
    return list(value) * (count // len(value))


def unused(name: str, taken: list[str]) -> str:
    """The name, with a number where it is taken."""
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name} {number}"
    return candidate


if __name__ == "__main__":
    main()
