"""Names of the published state dict, one to one with ours: from the listed names and shapes alone."""

import json
from pathlib import Path

import pytest
import torch

from fsrvos.models.cma import CMA
from fsrvos.weights import our_name, rename_published

SHAPES = Path(__file__).parents[1] / "data" / "parity" / "state_dict_shapes.json"
VARIANTS = ("cma", "base", "self", "referformer")


@pytest.fixture(scope="module")
def shapes():
    return json.loads(SHAPES.read_text())


@pytest.mark.parametrize("variant", VARIANTS)
def test_published_names_map_one_to_one(shapes, variant):
    state = {
        name: torch.empty(entry["shape"], device="meta")
        for name, entry in shapes.items()
        if entry["variants"] == "all" or variant in entry["variants"]
    }
    with torch.device("meta"):
        model = CMA(
            variant,
            text_encoder={
                "name": "roberta-base",
                "pretrained": False,
                "config": {"num_hidden_layers": 2, "vocab_size": 1000},
            },
        )
    renamed = rename_published(state, variant)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert {name: tuple(tensor.shape) for name, tensor in renamed.items()} == expected
    aliases = [name for name in state if our_name(name, variant) is None]
    assert len(renamed) == len(state) - len(aliases), "two published names became one"
    assert all(name.startswith("transformer.decoder.bbox_embed.") for name in aliases)
    assert len(aliases) == 4 * 3 * 2
    by_name = {name: name.removeprefix("transformer.decoder.") for name in aliases}
    assert all(other in state for other in by_name.values()), "an alias has its tensor under another name"
