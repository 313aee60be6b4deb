"""Losses and matched queries of the published code, from its own predictions: no network takes part.

The arrays are in tests/data/parity (see the README there).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import parity
import pytest
import torch

from fsrvos.engine.criterion import Criterion
from fsrvos.engine.matcher import Matcher
from fsrvos.ops.boxes import boxes_from_masks
from fsrvos.structures import Prediction, Targets

DATA = Path(__file__).parents[1] / "data" / "parity"
CASES = parity.read_cases(DATA)
INPUTS = parity.load_inputs(DATA / "inputs.py")
PUBLISHED = {
    "class": "loss_ce",
    "l1": "loss_bbox",
    "giou": "loss_giou",
    "mask": "loss_mask",
    "dice": "loss_dice",
}
WITH_AUXILIARY = ["cma_plain", "cma_padded", "self_plain", "base_plain"]
RELATIVE = 1e-4


@pytest.fixture(scope="module")
def arrays():
    found = {}
    for name in CASES:
        with np.load(DATA / f"{name}.npz") as stored:
            found |= {f"{name}/{key}": stored[key] for key in stored}
    return found


def queries_of(name):
    query = CASES[name]["query"]
    return query if isinstance(query, list) else [query]


def targets_of(arrays, name):
    height, width = (4 * side for side in arrays[f"{name}/pred_masks"].shape[-2:])
    masks, boxes = [], []
    for query in queries_of(name):
        drawn = INPUTS.masks(query["clip"], (query["frames"], *query["size"]), tuple(query["empty"]))
        clip_masks = torch.from_numpy(drawn).bool()
        boxes.append(boxes_from_masks(clip_masks))
        padded = torch.zeros(query["frames"], height, width, dtype=torch.bool)
        padded[:, : query["size"][0], : query["size"][1]] = clip_masks
        masks.append(padded)
    masks = torch.stack(masks)
    return Targets(masks=masks, boxes=torch.stack(boxes), is_visible=masks.flatten(2).any(-1))


def layer_of(arrays, name, layer="pred"):
    logits, boxes = (torch.from_numpy(arrays[f"{name}/{layer}_{part}"]) for part in ("logits", "boxes"))
    masks = arrays.get(f"{name}/{layer}_masks", np.zeros_like(arrays[f"{name}/pred_masks"]))
    return Prediction(logits.squeeze(-1), boxes, torch.from_numpy(masks))


def errors(terms, name, suffix, parts):
    published = {part: CASES[name]["losses"][PUBLISHED[part] + suffix] for part in parts}
    return {part: abs(terms[part + suffix].item() / value - 1) for part, value in published.items()}


def test_all_ten_cases_are_here():
    assert len(CASES) == 10
    assert sum(len(queries_of(name)) for name in CASES) == 11


@pytest.mark.parametrize("name", CASES)
def test_last_layer(arrays, name):
    targets = targets_of(arrays, name)
    invisible = [torch.where(~visible)[0].tolist() for visible in targets.is_visible]
    assert invisible == [query["empty"] for query in queries_of(name)]
    losses = Criterion()(layer_of(arrays, name), targets)
    assert losses.matched.tolist() == list(np.atleast_1d(CASES[name]["matched_query"]))
    assert max(errors(losses.terms, name, "", PUBLISHED).values()) < RELATIVE


@pytest.mark.parametrize("name", WITH_AUXILIARY)
def test_first_layer(arrays, name):
    prediction = layer_of(arrays, name)
    prediction.auxiliary.append(layer_of(arrays, name, "aux0"))
    losses = Criterion()(prediction, targets_of(arrays, name))
    assert max(errors(losses.terms, name, "_0", PUBLISHED).values()) < RELATIVE
    expected = sum(
        Criterion().layer_weights[part] * CASES[name]["losses"][PUBLISHED[part] + suffix]
        for part in PUBLISHED
        for suffix in ("", "_0")
    )
    assert losses.total.item() == pytest.approx(expected, rel=RELATIVE)


@pytest.mark.parametrize("index", [1, 2])
@pytest.mark.parametrize("name", WITH_AUXILIARY)
def test_layers_whose_masks_were_not_kept(arrays, name, index):
    """Their match is not known, but exactly one query gives their class and box losses."""

    class Fixed(Matcher):
        def __init__(self, query):
            super().__init__()
            self.query = query

        def __call__(self, prediction, targets, frame_padding_mask=None):
            return torch.full((len(prediction.logits),), self.query)

    layer, targets = layer_of(arrays, name, f"aux{index}"), targets_of(arrays, name)
    prediction = replace(layer_of(arrays, name), auxiliary=[layer] * (index + 1))
    fitting = [
        query
        for query in range(layer.logits.shape[-1])
        if max(
            errors(
                Criterion(matcher=Fixed(query))(prediction, targets).terms,
                name,
                f"_{index}",
                ["class", "l1", "giou"],
            ).values()
        )
        < RELATIVE
    ]
    assert len(fitting) == 1


def test_costs_averaged_otherwise_do_not_give_the_published_matches(arrays):
    """Why dice is one of the whole clip, and why invisible frames count: ``cma_padded`` has one."""
    targets = targets_of(arrays, "cma_padded")
    last, first = layer_of(arrays, "cma_padded"), layer_of(arrays, "cma_padded", "aux0")

    def one_frame_at_a_time(layer):
        frames = [
            Matcher().costs(
                Prediction(layer.logits[:, t : t + 1], layer.boxes[:, t : t + 1], layer.masks[:, t : t + 1]),
                Targets(*(x[:, t : t + 1] for x in (targets.masks, targets.boxes, targets.is_visible))),
            )
            for t in range(layer.logits.shape[1])
        ]
        return torch.stack(frames).mean(0).argmin(-1).item()

    assert one_frame_at_a_time(last) == 0
    assert Matcher()(last, targets).item() == 4
    assert Matcher()(first, targets, ~targets.is_visible).item() == 2
    assert Matcher()(first, targets).item() == 3
