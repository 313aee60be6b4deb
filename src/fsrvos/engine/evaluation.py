"""Evaluation: test episodes and their controls, window by window, to frame scores (protocol.md sections 2, 4, 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from fsrvos.data.clip_draws import evaluation_windows
from fsrvos.data.clips import native_masks
from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.engine.frame_scores import CONDITIONS, FrameScore, paper_size, paper_truth, score_clip
from fsrvos.engine.predictions import Predictions
from fsrvos.engine.processes import share, take_buffers_of_first
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA
from fsrvos.models.foreground import EncodedSupport
from fsrvos.models.full_size import mask_logits
from fsrvos.models.regroup import groups_of, is_tight
from fsrvos.ops.precision import computing
from fsrvos.structures import Batch, EpisodeSpec, Support


@dataclass
class Trial:
    """One episode under one condition, segmented and scored.

    Attributes:
        condition: One of ``CONDITIONS``.
        spec: The episode as drawn, before a control disturbed it.
        masks: (T, H0, W0) bool at native size.
        truth: (T, H0, W0) bool at native size.
        batch: What the network saw: one episode; None of predictions made elsewhere.
        score: Mean class probability of the chosen queries.
        records: T frame scores.
    """

    condition: str
    spec: EpisodeSpec
    masks: Tensor
    truth: Tensor
    batch: Batch | None = None
    score: float = 1.0
    records: list[FrameScore] = field(default_factory=list)

    @property
    def similarity(self) -> float:
        """Mean J over the frames, in [0, 1]."""
        return sum(record.J for record in self.records) / len(self.records)


def planned(data: EpisodeDataModule, conditions: Sequence[str]) -> list[tuple[str, EpisodeSpec, EpisodeSpec]]:
    """All that an evaluation segments: (condition, episode as drawn, episode as disturbed).

    Raises:
        UserError: An unknown condition.
    """
    if unknown := [c for c in conditions if c not in CONDITIONS]:
        raise UserError(
            f"evaluation.conditions must be among {', '.join(CONDITIONS)}; got {', '.join(unknown)}"
        )
    trials = []
    for seed in data.test_seeds:
        episodes = data.test_episodes(seed)
        for index in range(len(episodes)):
            spec = episodes.spec(index)
            for condition in conditions:
                shown = spec if condition == "right" else getattr(episodes, condition)(spec)
                if shown is not None:
                    trials.append((condition, spec, shown))
    return trials


def evaluate(
    model: CMA,
    data: EpisodeDataModule,
    conditions: Sequence[str] = CONDITIONS,
    device: str | torch.device = "cpu",
    on_trial: Callable[[int, int], None] | None = None,
    precision: str = "32-true",
) -> Iterator[Trial]:
    """Segments and scores every test episode of every seed under every condition, this process' share of them.

    Args:
        model: The network; left in evaluation mode.
        data: Says what is tested, with how many seeds, windows and at which size.
        conditions: Which of ``CONDITIONS``.
        device: Where to run.
        on_trial: Told (done, total) after every trial.
        precision: One of ``fsrvos.ops.precision.PRECISIONS``.

    Yields:
        Trials in the order of ``planned``.
    """
    model = model.to(device).eval()
    take_buffers_of_first(model)
    plan = share(planned(data, conditions))
    loader = data.episode_loader([shown for _, _, shown in plan])
    for done, ((condition, spec, _), batch) in enumerate(zip(plan, loader, strict=True), start=1):
        native = batch.native_sizes[0]
        with computing(precision, device):
            found = segment_video(model, batch.to(device), data.window, [native, paper_size(*native)])
        masks, paper_masks = (logits > 0 for logits in found.logits)
        trial = Trial(condition, spec, masks, native_masks(data.annotations, spec.query), batch, found.score)
        trial.records = scored(data, trial, paper_masks)
        if on_trial is not None:
            on_trial(done, len(plan))
        yield trial


def evaluate_predictions(
    predictions: Predictions, data: EpisodeDataModule, on_trial: Callable[[int, int], None] | None = None
) -> Iterator[Trial]:
    """Scores masks on disk on every test episode of every seed.

    By the paper protocol they are resized as the truth is; a network's own masks come from its logits there, so that
    column may differ a little from that of ``evaluate``. The standard protocol's does not.

    Args:
        predictions: The masks.
        data: Says what is tested.
        on_trial: Told (done, total) after every trial.

    Yields:
        Trials under the condition "right", in the order of ``planned``.
    """
    plan = planned(data, ["right"])
    for done, (condition, spec, _) in enumerate(plan, start=1):
        truth = native_masks(data.annotations, spec.query)
        height, width = truth.shape[-2:]
        trial = Trial(condition, spec, predictions.read(spec, (height, width)), truth)
        trial.records = scored(data, trial, paper_truth(trial.masks))
        if on_trial is not None:
            on_trial(done, len(plan))
        yield trial


def scored(data: EpisodeDataModule, trial: Trial, paper_masks: Tensor) -> list[FrameScore]:
    """The frame scores of a trial; ``paper_masks`` (T, h, w) bool are at the size of the paper protocol."""
    spec = trial.spec
    kind = data.annotations.expression(spec.query.video, spec.query.expression_id).kind or ""
    return score_clip(
        spec, trial.masks, trial.truth, paper_masks, condition=trial.condition, seed=spec.seed, kind=kind
    )


@dataclass
class SegmentedVideo:
    """What a network found in a whole video.

    Attributes:
        logits: Mask logits (T, H, W) on the CPU, one for each size asked for.
        score: Mean class probability of the chosen queries, over the frames.
    """

    logits: list[Tensor]
    score: float


def segment_video(model: CMA, batch: Batch, window: int, sizes: list[tuple[int, int]]) -> SegmentedVideo:
    """Segments a whole video window by window; each window chooses its own query (model.md section 10).

    Args:
        model: The network, in evaluation mode.
        batch: One episode with all frames of its video.
        window: Frames at once.
        sizes: (H, W) of the results wanted.
    """
    clip, total = batch.query, 0.0
    results: list[list[Tensor]] = [[] for _ in sizes]
    windows = list(evaluation_windows(clip.frames.shape[1], window))
    support: Support | EncodedSupport | None = batch.support
    # A network to which padding is not to matter takes clips that are padded size by size, each with its support.
    is_whole = not model.pad_support_masks or is_tight(clip, groups_of(clip))
    if len(windows) > 1 and batch.support is not None and model.uses_support and is_whole:
        with torch.no_grad():
            support = model.encode_support(batch.support)
    for cut in windows:
        part = replace(clip, frames=clip.frames[:, cut], padding_mask=clip.padding_mask[:, cut])
        segmentation = model.segment(part, support)
        total += segmentation.scores.item() * part.frames.shape[1]
        for size, result in zip(sizes, results, strict=True):
            result.append(mask_logits(segmentation, part, [size])[0].cpu())
    return SegmentedVideo([torch.cat(result) for result in results], total / clip.frames.shape[1])
