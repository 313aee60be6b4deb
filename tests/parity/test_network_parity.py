"""The network against arrays of the published one, on weights and inputs that NumPy makes on every machine.

The arrays are in tests/data/parity (see the README there). Tolerances are those of model.md section 12.
"""

import importlib.util
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fsrvos.models.cma import CMA
from fsrvos.structures import Clip, Support, Tokens
from fsrvos.weights import our_name, rename_published

DATA = Path(__file__).parents[1] / "data" / "parity"
SHARED = Path(__file__).parents[3] / "shared" / "parity"
CASES = json.loads((DATA / "network.json").read_text())
SHAPES = json.loads((DATA / "state_dict_shapes.json").read_text())
TEXT_ENCODER = {
    "name": "roberta-base",
    "pretrained": False,
    "config": {"num_hidden_layers": 2, "vocab_size": 1000},
}


def load_inputs(folder):
    specification = importlib.util.spec_from_file_location("parity_inputs", folder / "inputs.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


inputs = load_inputs(DATA)


@cache
def weight(name):
    return torch.from_numpy(inputs.tensor(name, tuple(SHAPES[name]["shape"])))


def published_state(variant):
    return {
        name: weight(name)
        for name, entry in SHAPES.items()
        if (entry["variants"] == "all" or variant in entry["variants"]) and our_name(name, variant)
    }


def pad(x, size):
    return F.pad(x, (0, size[1] - x.shape[-1], 0, size[0] - x.shape[-2]))


def read_clips(clips, multiple):
    """The clips of a case as a batch, and their padded masks."""
    largest = [max(clip["size"][axis] for clip in clips) for axis in (0, 1)]
    size = clips[0].get("pad_to") or [-(-side // multiple) * multiple for side in largest]
    frames, padding, masks = [], [], []
    for clip in clips:
        t, (h, w) = clip["frames"], clip["size"]
        frames.append(pad(torch.from_numpy(inputs.clip(clip["clip"], (t, 3, h, w))), size))
        padding.append(~pad(torch.ones(t, h, w, dtype=torch.bool), size))
        drawn = inputs.masks(clip["clip"], (t, h, w), tuple(clip.get("empty", ())))
        masks.append(pad(torch.from_numpy(drawn).bool(), size))
    longest = max(len(clip["tokens"]) for clip in clips)
    ids = torch.tensor([clip["tokens"] + [1] * (longest - len(clip["tokens"])) for clip in clips])
    clip = Clip(
        torch.stack(frames),
        torch.stack(padding),
        torch.tensor([clip["size"] for clip in clips]),
        [""] * len(clips),
        Tokens(ids, ids == 1),
    )
    return clip, torch.stack(masks)


def run(case):
    """Our arrays of a case under the published names."""
    model = CMA(case["variant"], backbone="resnet50", text_encoder=TEXT_ENCODER)
    model.load_state_dict(rename_published(published_state(case["variant"]), case["variant"]))
    model.eval()
    multiple = case.get("pad_to_multiple_of", 1)
    query, _ = read_clips(case["query"] if isinstance(case["query"], list) else [case["query"]], multiple)
    support = None
    if "support" in case:
        clip, masks = read_clips([case["support"]], multiple)
        support = Support(**vars(clip), masks=masks, owner=torch.tensor([0]))

    found, words = {}, []
    model.text_projection.register_forward_hook(lambda _, __, phrase: words.append(phrase.words))
    encode, decode = model.transformer.encode, model.transformer.decode

    def watch_encode(features, padding, position):
        found.update({f"affinity{level}": x for level, x in enumerate(features)})
        memory = encode(features, padding, position)
        found["encoder_memory2"] = memory.level(2)
        return memory

    def watch_decode(*arguments):
        decoded = decode(*arguments)
        found["decoder_states"] = torch.stack(decoded.states)
        found["reference_points"] = decoded.references[-1][..., :2].unflatten(0, query.frames.shape[:2])
        return decoded

    model.transformer.encode, model.transformer.decode = watch_encode, watch_decode
    with torch.no_grad():
        prediction = model(query, support)
    found["text_q_words"] = words[0]
    for name, layer in {
        "pred": prediction,
        **{f"aux{i}": x for i, x in enumerate(prediction.auxiliary)},
    }.items():
        found[f"{name}_logits"] = layer.logits[..., None]
        found[f"{name}_boxes"] = layer.boxes
        found[f"{name}_masks"] = layer.masks
    return found


@pytest.fixture(scope="module")
def arrays():
    """Golden arrays by case; the predictions lie in losses.npz."""
    golden = {name: {} for name in CASES}
    for file in ("network.npz", "losses.npz"):
        with np.load(DATA / file) as stored:
            for key in stored:
                case, name = key.split("/")
                if case in golden and not name.startswith("target_masks"):
                    golden[case][name] = stored[key]
    return golden


def test_every_case_with_a_resnet_is_here():
    assert len(CASES) == 8
    assert {case["variant"] for case in CASES.values()} == {"cma", "base", "self", "referformer"}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_published_network(arrays, name):
    golden, found = arrays[name], run(CASES[name])
    assert {"pred_logits", "pred_boxes", "pred_masks", "reference_points"} <= golden.keys()
    errors = {}
    for key, published in golden.items():
        assert tuple(found[key].shape) == published.shape, key
        difference = np.abs(found[key].numpy() - published.astype(np.float32)).max()
        tolerance = 2e-3 if published.dtype == np.float16 else 1e-4
        errors[key] = difference / np.abs(published).max() / tolerance
    assert max(errors.values()) < 1, {key: f"{error:.2g} of what is allowed" for key, error in errors.items()}


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/parity is not beside this checkout")
def test_the_copy_equals_the_original(arrays):
    original = load_inputs(SHARED)
    for shape in ((3, 4, 1, 1), (5,)):
        for key in ("a.weight", "a.bias", "a.running_var", "a.running_mean"):
            np.testing.assert_array_equal(inputs.tensor(key, shape), original.tensor(key, shape))
    np.testing.assert_array_equal(inputs.clip("c", (2, 3, 20, 30)), original.clip("c", (2, 3, 20, 30)))
    np.testing.assert_array_equal(inputs.masks("c", (2, 20, 30)), original.masks("c", (2, 20, 30)))
    listed = json.loads((SHARED / "state_dict_shapes.json").read_text())
    listed["referformer"] = json.loads((SHARED / "state_dict_shapes_referformer.json").read_text())[
        "resnet50"
    ]
    for variant, shapes in listed.items():
        own = {n: e["shape"] for n, e in SHAPES.items() if e["variants"] == "all" or variant in e["variants"]}
        assert own == shapes
    cases = {}
    for path in SHARED.glob("cases*.json"):
        cases |= json.loads(path.read_text())["cases"]
    for name, case in CASES.items():
        assert case == {key: cases[name][key] for key in case}
        with np.load(SHARED / f"{name}.npz") as stored:
            for key, array in arrays[name].items():
                np.testing.assert_array_equal(array, stored[key])
