"""Is this network the published one? Runs golden cases of the published code and prints every error.

    python benchmarks/parity.py --cases ../shared/parity

Every ``cases*.json`` in the folder names cases (format: model.md section 12); ``CASE.npz`` beside it holds what the
published code computed. Each case is built through the public API and loaded through the name map that imports
checkpoints. An error is the largest difference relative to the array's largest magnitude; allowed are 1e-4, 2e-3 for
arrays stored as float16, and 1e-4 relative for every loss term. Exit code 1 if anything is beyond that.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fsrvos import CMA
from fsrvos.engine.criterion import Criterion, Losses
from fsrvos.ops.boxes import boxes_from_masks
from fsrvos.structures import Clip, Prediction, Support, Targets, Tokens
from fsrvos.weights import PUBLISHED, Weights, match_weights, published_shapes

TOLERANCES = {"float32": 1e-4, "float16": 2e-3}
LOSS_TOLERANCE = 1e-4
PAD_TOKEN = 1
TEXT_ENCODER = {
    "name": "roberta-base",
    "pretrained": False,
    "config": {"num_hidden_layers": 2, "vocab_size": 1000},
}
LOSS_NAMES = {"ce": "class", "bbox": "l1", "giou": "giou", "mask": "mask", "dice": "dice"}
OWN_INPUTS = Path(__file__).parents[1] / "tests" / "data" / "parity" / "inputs.py"
Case = dict[str, Any]


@dataclass
class Comparison:
    """One golden array or loss term: relative error, and what is allowed; infinite where ours is missing."""

    name: str
    error: float
    allowed: float

    @property
    def passes(self) -> bool:
        """False for NaN too."""
        return self.error <= self.allowed


@dataclass
class Outcome:
    """All comparisons of a case; the matched queries, published and ours, where the case names them."""

    arrays: list[Comparison] = field(default_factory=list)
    losses: list[Comparison] = field(default_factory=list)
    matched: tuple[list[int], list[int]] | None = None

    @property
    def passes(self) -> bool:
        """Everything is within what is allowed, and something was compared."""
        compared = self.arrays + self.losses
        same = self.matched is None or self.matched[0] == self.matched[1]
        return bool(compared) and same and all(c.passes for c in compared)


def read_cases(folder: Path) -> dict[str, Case]:
    """Every case of a folder, by name."""
    files = sorted(folder.glob("cases*.json"))
    if not files:
        sys.exit(f"parity: {folder} holds no cases*.json; give the folder of golden cases with --cases")
    cases: dict[str, Case] = {}
    for file in files:
        cases |= json.loads(file.read_text())["cases"]
    return cases


@cache
def load_inputs(file: Path) -> ModuleType:
    """The module that makes weights, clips and masks from names."""
    specification = importlib.util.spec_from_file_location("parity_inputs", file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def build(case: Case, inputs: ModuleType) -> CMA:
    """The case's network with its deterministic weights."""
    backbone = case.get("backbone", "resnet50")
    model = CMA(case["variant"], backbone=backbone, text_encoder=case.get("text_encoder", TEXT_ENCODER))
    state = {
        name: torch.from_numpy(np.asarray(inputs.tensor(name, shape, case.get("salt", ""))))
        for name, shape in published_shapes(model).items()
        if not name.startswith("transformer.decoder.bbox_embed.")  # an alias uses its canonical name
    }
    weights = Weights(Path("parity"), PUBLISHED, model.config, state, "parity case")
    matched, report = match_weights(weights, model)
    assert not report.missing, f"the name map leaves out {report.missing}"
    assert not report.unexpected, f"the name map does not know {report.unexpected}"
    model.load_state_dict(matched)
    return model.eval()


def read_clips(clips: list[Case], default_multiple: int, inputs: ModuleType) -> tuple[Clip, Tensor]:
    """The clips of a case as a batch, and their masks (B, T, H, W), padded as they are."""
    multiple = clips[0].get("pad_to_multiple_of", default_multiple)
    largest = [max(clip["size"][axis] for clip in clips) for axis in (0, 1)]
    size = clips[0].get("pad_to") or [-(-side // multiple) * multiple for side in largest]
    frames, padding, masks = [], [], []
    for clip in clips:
        t, (h, w) = clip["frames"], clip["size"]
        frames.append(_pad(torch.from_numpy(inputs.clip(clip["clip"], (t, 3, h, w))), size))
        padding.append(~_pad(torch.ones(t, h, w, dtype=torch.bool), size))
        drawn = inputs.masks(clip["clip"], (t, h, w), tuple(clip.get("empty", ())))
        masks.append(_pad(torch.from_numpy(drawn).bool(), size))
    longest = max(len(clip["tokens"]) for clip in clips)
    ids = torch.tensor([clip["tokens"] + [PAD_TOKEN] * (longest - len(clip["tokens"])) for clip in clips])
    clip = Clip(
        torch.stack(frames),
        torch.stack(padding),
        torch.tensor([clip["size"] for clip in clips]),
        [""] * len(clips),
        Tokens(ids, ids == PAD_TOKEN),
    )
    return clip, torch.stack(masks)


def _pad(x: Tensor, size: list[int]) -> Tensor:
    return F.pad(x, (0, size[1] - x.shape[-1], 0, size[0] - x.shape[-2]))


def forward(model: CMA, query: Clip, support: Support | None) -> tuple[Prediction, dict[str, Tensor]]:
    """The prediction, and everything on the way to it, under the golden arrays' names."""
    seen: dict[str, Tensor] = {}
    called: set[torch.nn.Module] = set()

    def of_query(save: Callable[[Any], None]) -> Callable[..., None]:
        """A hook that sees the first call alone, the query's; the support's comes after it."""

        def hook(module: torch.nn.Module, _: Any, output: Any) -> None:
            if module not in called:
                called.add(module)
                save(output)

        return hook

    def save_backbone(maps: list[Tensor]) -> None:
        for level, x in enumerate(maps):
            seen[f"backbone_q{level}"] = x.flatten(0, 1)
            seen[f"backbone_q{level}_mean"] = x.mean((0, 1, 3, 4))

    def save_phrase(phrase: Any) -> None:
        seen["text_q_words"], seen["text_q_sentence"] = phrase.words, phrase.sentence

    transformer = model.transformer
    encode, decode = transformer.encode, transformer.decode

    def watch_encode(features: list[Tensor], *arguments: Any) -> Any:
        seen.update({f"affinity{level}": x for level, x in enumerate(features)})
        memory = encode(features, *arguments)
        seen.update({f"encoder_memory{level}": memory.level(level) for level in range(len(features))})
        return memory

    def watch_decode(*arguments: Any) -> Any:
        decoded = decode(*arguments)
        seen["decoder_states"] = torch.stack(decoded.states)
        seen["reference_points"] = decoded.references[-1][..., :2].unflatten(0, query.frames.shape[:2])
        return decoded

    handles = [
        model.backbone.register_forward_hook(of_query(save_backbone)),
        model.text_projection.register_forward_hook(of_query(save_phrase)),
        model.pixel_decoder.register_forward_hook(of_query(lambda x: seen.update(mask_features=x.whole))),
    ]
    transformer.encode, transformer.decode = watch_encode, watch_decode  # type: ignore[method-assign]
    try:
        with torch.no_grad():
            prediction = model(query, support)
    finally:
        transformer.encode, transformer.decode = encode, decode  # type: ignore[method-assign]
        for handle in handles:
            handle.remove()
    layers = {"pred": prediction} | {f"aux{i}": layer for i, layer in enumerate(prediction.auxiliary)}
    for name, layer in layers.items():
        seen |= {
            f"{name}_logits": layer.logits[..., None],
            f"{name}_boxes": layer.boxes,
            f"{name}_masks": layer.masks,
        }
    return prediction, seen


def losses_of(prediction: Prediction, query: Clip, masks: Tensor) -> Losses:
    """Ours of every term; boxes are those of the masks over the unpadded size."""
    boxes = [
        boxes_from_masks(clip[:, :height, :width])
        for clip, (height, width) in zip(masks, query.sizes.tolist(), strict=True)
    ]
    targets = Targets(masks, torch.stack(boxes), masks.flatten(2).any(-1))
    return Criterion()(prediction, targets)


def run_case(case: Case, golden: dict[str, np.ndarray], inputs: ModuleType) -> Outcome:
    """Runs a case and compares everything that the published code left."""
    model = build(case, inputs)
    multiple = case.get("pad_to_multiple_of", 1)
    queries = case["query"] if isinstance(case["query"], list) else [case["query"]]
    query, masks = read_clips(queries, multiple, inputs)
    support = None
    if case.get("support"):
        supports = case["support"] if isinstance(case["support"], list) else [case["support"]]
        clip, support_masks = read_clips(supports, multiple, inputs)
        support = Support(**vars(clip), masks=support_masks, owner=torch.arange(len(supports)))
    prediction, seen = forward(model, query, support)
    outcome = Outcome(arrays=[compare(name, array, seen.get(name)) for name, array in golden.items()])
    if case.get("losses"):
        losses = losses_of(prediction, query, masks)
        outcome.losses = list(compare_losses(case, losses))
        if "matched_query" in case:
            outcome.matched = (np.atleast_1d(case["matched_query"]).tolist(), losses.matched.tolist())
    return outcome


def compare(name: str, published: np.ndarray, ours: Tensor | None) -> Comparison:
    """Largest error of an array relative to its largest magnitude; another shape is an infinite one."""
    allowed = TOLERANCES[published.dtype.name]
    if ours is None or tuple(ours.shape) != published.shape:
        return Comparison(name, float("inf"), allowed)
    difference = np.abs(ours.double().numpy() - published.astype(np.float64)).max()
    return Comparison(name, float(difference / max(np.abs(published).max(), 1e-12)), allowed)


def compare_losses(case: Case, losses: Losses) -> Iterator[Comparison]:
    """Relative error of every term, and of the weighted sum."""
    for published, value in case["losses"].items():
        part, _, layer = published.removeprefix("loss_").partition("_")
        term = losses.terms.get(LOSS_NAMES.get(part, part) + (f"_{layer}" if layer else ""))
        error = float("inf") if term is None else abs(term.item() - value) / max(abs(value), 1e-12)
        yield Comparison(published, error, LOSS_TOLERANCE)
    if "total_loss" in case:
        total = case["total_loss"]
        yield Comparison("total_loss", abs(losses.total.item() - total) / abs(total), LOSS_TOLERANCE)


def run_folder(folder: Path, only: list[str] | None = None) -> Iterator[tuple[str, Case, Outcome]]:
    """Runs the cases of a folder, one after the other."""
    own = folder / "inputs.py"
    inputs = load_inputs(own if own.is_file() else OWN_INPUTS)
    for name, case in read_cases(folder).items():
        if only is None or name in only:
            with np.load(folder / f"{name}.npz") as stored:
                golden = dict(stored)
            yield name, case, run_case(case, golden, inputs)


def main() -> int:
    """Prints every error of every case; 1 if one is beyond what is allowed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=Path, required=True, metavar="DIR", help="folder of golden cases")
    parser.add_argument("--only", nargs="+", metavar="CASE", help="run these cases alone")
    arguments = parser.parse_args()
    failed, summary = [], []
    started = time.perf_counter()
    for name, case, outcome in run_folder(arguments.cases, arguments.only):
        print(f"{name} ({case['variant']}, {case.get('backbone', 'resnet50')})")
        for comparison in outcome.arrays + outcome.losses:
            verdict = "" if comparison.passes else "   BEYOND"
            print(
                f"  {comparison.name:<20} {comparison.error:9.1e}  allowed {comparison.allowed:.0e}{verdict}"
            )
        if outcome.matched is not None:
            published, ours = outcome.matched
            print(
                f"  {'matched query':<20} {ours} {'as' if ours == published else 'BUT'} published {published}"
            )
        single = max((c.error for c in outcome.arrays if c.allowed == TOLERANCES["float32"]), default=0.0)
        half = max((c.error for c in outcome.arrays if c.allowed == TOLERANCES["float16"]), default=0.0)
        loss = max((c.error for c in outcome.losses), default=0.0)
        verdict = "passes" if outcome.passes else "FAILS"
        summary.append(f"| {name:<26} | {single:8.1e} | {half:8.1e} | {loss:8.1e} | {verdict} |")
        if not outcome.passes:
            failed.append(name)
    print(f"\n| {'case':<26} | float32  | float16  | losses   |        |")
    print(f"| {'-' * 26} | -------: | -------: | -------: | ------ |")
    print("\n".join(summary))
    seconds = time.perf_counter() - started
    print(f"{len(summary) - len(failed)} of {len(summary)} cases pass, {seconds:.0f} s")
    return 1 if failed or not summary else 0


if __name__ == "__main__":
    sys.exit(main())
