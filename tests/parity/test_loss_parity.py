"""Losses and matched queries of the published code, from its own predictions: no network takes part.

The arrays are in tests/data/parity (see the README there).
"""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fsrvos.engine.criterion import Criterion
from fsrvos.engine.matcher import Matcher
from fsrvos.ops.boxes import boxes_from_masks
from fsrvos.structures import Prediction, Targets

DATA = Path(__file__).parents[1] / "data" / "parity"
SHARED = Path(__file__).parents[3] / "shared" / "parity"
CASES = json.loads((DATA / "losses.json").read_text())
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
    with np.load(DATA / "losses.npz") as file:
        return dict(file)


def target_masks(arrays, name, i):
    clip = CASES[name]["clips"][i]
    shape = (clip["frames"], *clip["size"])
    return np.unpackbits(arrays[f"{name}/target_masks{i}"], count=np.prod(shape)).reshape(shape).astype(bool)


def targets_of(arrays, name):
    masks, boxes = [], []
    for i, clip in enumerate(CASES[name]["clips"]):
        clip_masks = torch.from_numpy(target_masks(arrays, name, i))
        boxes.append(boxes_from_masks(clip_masks))
        padded = torch.zeros(clip["frames"], *clip["pad_to"], dtype=torch.bool)
        padded[:, : clip["size"][0], : clip["size"][1]] = clip_masks
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
    assert sum(len(case["clips"]) for case in CASES.values()) == 11


@pytest.mark.parametrize("name", CASES)
def test_last_layer(arrays, name):
    targets = targets_of(arrays, name)
    invisible = [torch.where(~visible)[0].tolist() for visible in targets.is_visible]
    assert invisible == [clip["empty"] for clip in CASES[name]["clips"]]
    losses = Criterion()(layer_of(arrays, name), targets)
    assert losses.matched.tolist() == CASES[name]["matched_query"]
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


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/parity is not beside this checkout")
def test_the_copy_equals_the_original(arrays):
    specification = importlib.util.spec_from_file_location("parity_inputs", SHARED / "inputs.py")
    inputs = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(inputs)
    cases = {}
    for path in sorted(SHARED.glob("cases*.json")):
        cases |= json.loads(path.read_text())["cases"]
    assert set(cases) == set(CASES)
    for name, case in cases.items():
        assert CASES[name]["losses"] == case["losses"]
        assert CASES[name]["matched_query"] == list(np.atleast_1d(case["matched_query"]))
        with np.load(SHARED / f"{name}.npz") as original:
            copied = [
                key.split("/")[1] for key in arrays if key.startswith(f"{name}/") and "target" not in key
            ]
            assert {"pred_logits", "pred_boxes", "pred_masks"} <= set(copied)
            for key in copied:
                np.testing.assert_array_equal(arrays[f"{name}/{key}"], original[key])
        queries = case["query"] if isinstance(case["query"], list) else [case["query"]]
        for i, query in enumerate(queries):
            masks = inputs.masks(query["clip"], (query["frames"], *query["size"]), tuple(query["empty"]))
            np.testing.assert_array_equal(target_masks(arrays, name, i), masks.astype(bool))
