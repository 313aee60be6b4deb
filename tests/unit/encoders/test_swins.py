"""Swin and Video-Swin: published names and shapes, golden maps, and windows at their edges by brute force."""

import json
import math
from itertools import product
from pathlib import Path

import numpy as np
import parity
import pytest
import torch
from torch import nn
from torchvision.models.video.swin_transformer import SwinTransformer3d
from transformers import SwinBackbone as HuggingFaceSwin
from transformers import SwinConfig

from fsrvos.encoders.backbone import is_recomputed
from fsrvos.encoders.build import build_backbone, canonical_name
from fsrvos.encoders.swin import SwinBackbone
from fsrvos.encoders.video_swin import VideoSwinBackbone
from fsrvos.errors import UserError

DATA = Path(__file__).parents[2] / "data" / "parity"
INPUTS = parity.load_inputs(DATA / "inputs.py")
PREFIX = "backbone.0.body."
LISTED = {
    backbone: {name.removeprefix(PREFIX): tuple(s) for name, s in shapes.items() if name.startswith(PREFIX)}
    for backbone, shapes in json.loads((DATA / "state_dict_shapes_referformer.json").read_text()).items()
}
NAMES = ["swin_t", "swin_s", "swin_b", "swin_l", "video_swin_t", "video_swin_s", "video_swin_b"]


def published_state(backbone):
    return {
        name: torch.from_numpy(np.asarray(INPUTS.tensor(PREFIX + name, shape), np.float32))
        for name, shape in backbone.published_shapes().items()
    }


@pytest.fixture(scope="module")
def loaded():
    """The two tiny ones with deterministic weights, in float64."""
    made = {}
    for name in ("swin_t", "video_swin_t"):
        backbone = build_backbone(name)
        backbone.load_state_dict(backbone.from_published(published_state(backbone)))
        made[name] = backbone.double().eval()
    return made


@pytest.mark.parametrize("name", LISTED)
def test_published_names_and_shapes(name):
    with torch.device("meta"):
        backbone = build_backbone(name)
    assert backbone.published_shapes() == LISTED[name]


@pytest.mark.parametrize("name", NAMES)
def test_names_come_back(name):
    """Every published tensor finds a place of its own, and what is made anew none."""
    with torch.device("meta"):
        backbone = build_backbone(name)
        state = {key: torch.empty(shape) for key, shape in backbone.published_shapes().items()}
    found = backbone.from_published(state)
    expected = {key: x.shape for key, x in backbone.state_dict().items()}
    assert {key: x.shape for key, x in found.items()} == expected
    assert any(is_recomputed(key) for key in state)
    assert backbone.from_published({"novelty": torch.empty(1)}).keys() == {"body.novelty"}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("swin_t", 27.5e6), ("swin_s", 48.8e6), ("swin_b", 86.7e6), ("swin_l", 195.0e6), ("video_swin_t", 27.8e6),
     ("video_swin_s", 49.5e6), ("video_swin_b", 87.6e6)],
)  # fmt: skip
def test_sizes(name, parameters):
    """Parameters as the two papers count them, without classifiers."""
    with torch.device("meta"):
        backbone = build_backbone(name)
    assert sum(p.numel() for p in backbone.parameters()) == pytest.approx(parameters, rel=0.01)
    assert backbone.channels == [backbone.channels[0] * 2**i for i in range(4)]


def test_published_names_are_accepted():
    assert canonical_name("video_swin_s_p4w7") == "video_swin_s"
    with torch.device("meta"):
        assert isinstance(build_backbone("swin_b_p4w7"), SwinBackbone)


@pytest.mark.parametrize("name", ["swin_t", "video_swin_t"])
@pytest.mark.parametrize("size", [(33, 47), (64, 96), (4, 4)])
def test_strides(loaded, name, size):
    with torch.no_grad():
        maps = loaded[name](torch.randn(1, 2, 3, *size, dtype=torch.float64))
    expected = [tuple(math.ceil(side / stride) for side in size) for stride in (4, 8, 16, 32)]
    assert [tuple(m.shape[-2:]) for m in maps] == expected
    assert [m.shape[2] for m in maps] == loaded[name].channels
    assert all(m.isfinite().all() for m in maps)


# Brute force: one attention of a window at a time, token by token, from the words of model.md section 2. ----------


def attend_windows(x, state, prefix, heads, window, shift, bias_window):
    """Shifted windows over x (T, H, W, C): pad behind, shift, attend inside what was contiguous, shift back.

    ``window`` and ``shift`` per axis; positions are biased by their offsets in a table of ``bias_window``.
    """
    t, h, w, c = x.shape
    whole = [math.ceil(side / wide) * wide for side, wide in zip((t, h, w), window, strict=True)]
    padded = torch.zeros(*whole, c, dtype=x.dtype)
    padded[:t, :h, :w] = x
    weight, bias = state[f"{prefix}.qkv.weight"], state[f"{prefix}.qkv.bias"]
    q, k, v = (padded @ weight.T + bias).chunk(3, -1)
    table = state[f"{prefix}.relative_position_bias_table"]
    cells = list(product(*map(range, window)))
    table_cells = list(product(*map(range, bias_window)))  # the top left N x N of the full window's index
    offsets = [
        [[a - b + wide - 1 for a, b, wide in zip(table_cells[i], table_cells[j], bias_window, strict=True)]
         for j in range(len(cells))] for i in range(len(cells))
    ]  # fmt: skip
    spans = [2 * wide - 1 for wide in bias_window]
    index = torch.tensor([[(o[0] * spans[1] + o[1]) * spans[2] + o[2] for o in row] for row in offsets])
    relative = table[index]  # N, N, heads
    out = torch.zeros_like(padded)
    width = c // heads
    for corner in product(*(range(0, side, wide) for side, wide in zip(whole, window, strict=True))):
        # A window of the shifted map, as places of the map before the shift; wrapped ones are another region.
        shifted = [tuple(corner[a] + cell[a] for a in range(3)) for cell in cells]
        places = [tuple((p[a] + shift[a]) % whole[a] for a in range(3)) for p in shifted]
        region = torch.tensor([[p[a] + shift[a] >= whole[a] for a in range(3)] for p in shifted])
        same = (region[:, None] == region[None]).all(-1)
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            queries, keys, values = (torch.stack([m[p][part] for p in places]) for m in (q, k, v))
            scores = queries @ keys.T * width**-0.5 + relative[..., head]
            weights = scores.masked_fill(~same, -100 + scores.min()).softmax(-1)
            for place, value in zip(places, weights @ values, strict=True):
                out[place][part] = value
    out = out[:t, :h, :w]
    return out @ state[f"{prefix}.proj.weight"].T + state[f"{prefix}.proj.bias"]


def block(x, state, prefix, heads, window, shift, bias_window):
    def norm(name, y):
        return nn.functional.layer_norm(
            y, y.shape[-1:], state[f"{prefix}.{name}.weight"], state[f"{prefix}.{name}.bias"]
        )

    x = x + attend_windows(norm("norm1", x), state, f"{prefix}.attn", heads, window, shift, bias_window)
    y = norm("norm2", x) @ state[f"{prefix}.mlp.fc1.weight"].T + state[f"{prefix}.mlp.fc1.bias"]
    return x + nn.functional.gelu(y) @ state[f"{prefix}.mlp.fc2.weight"].T + state[f"{prefix}.mlp.fc2.bias"]


def embed(frames, state):
    """Patches of 4 x 4, frame by frame: (T, 3, H, W) -> (T, h, w, C)."""
    weight = state["patch_embed.proj.weight"]
    weight = weight[:, :, 0] if weight.dim() == 5 else weight
    x = nn.functional.conv2d(frames, weight, state["patch_embed.proj.bias"], stride=4).permute(0, 2, 3, 1)
    return nn.functional.layer_norm(
        x, x.shape[-1:], state["patch_embed.norm.weight"], state["patch_embed.norm.bias"]
    )


@pytest.mark.parametrize(
    ("frames", "size"),
    [(1, (4 * 7, 4 * 7)), (2, (4 * 5, 4 * 9)), (1, (4 * 8, 4 * 3))],
    ids=["one window", "not whole windows", "smaller and larger"],
)
def test_first_stage_of_swin_by_brute_force(loaded, frames, size):
    """The window never shrinks, and the second block shifts even where one window covers the map."""
    backbone = loaded["swin_t"]
    state = {name: x.double() for name, x in published_state(backbone).items()}
    clip = torch.randn(frames, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = embed(clip, state)
    for number, shift in enumerate((0, 3)):
        x = torch.cat(
            [
                block(
                    frame[None],
                    state,
                    f"layers.0.blocks.{number}",
                    3,
                    (1, 7, 7),
                    (0, shift, shift),
                    (1, 7, 7),
                )
                for frame in x
            ]
        )
    expected = nn.functional.layer_norm(x, x.shape[-1:], state["norm0.weight"], state["norm0.bias"])
    with torch.no_grad():
        found = backbone(clip[None])[0][0].permute(0, 2, 3, 1)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(
    ("frames", "cells"),
    [(3, (5, 8)), (1, (3, 3)), (9, (7, 8)), (8, (2, 7))],
    ids=["few frames", "a small map", "more frames than a window", "as long as a window"],
)
def test_first_stage_of_video_swin_by_brute_force(loaded, frames, cells):
    """Along an axis no longer than the window the window shrinks to the map and the shift is 0."""
    backbone = loaded["video_swin_t"]
    state = {name: x.double() for name, x in published_state(backbone).items()}
    clip = torch.randn(
        frames, 3, 4 * cells[0], 4 * cells[1], dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    x = embed(clip, state)
    full = (8, 7, 7)
    window = tuple(min(side, wide) for side, wide in zip((frames, *cells), full, strict=True))
    for number in range(2):
        shift = tuple(
            wide // 2 if number and side > wide else 0
            for side, wide in zip((frames, *cells), full, strict=True)
        )
        x = block(x, state, f"layers.0.blocks.{number}", 3, window, shift, full)
    with torch.no_grad():
        found = backbone(clip[None])[0][0].permute(0, 2, 3, 1)
    torch.testing.assert_close(found, x, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", ["swin_t", "video_swin_t"])
def test_clips_do_not_see_each_other(loaded, name):
    x = torch.randn(2, 2, 3, 40, 36, dtype=torch.float64)
    with torch.no_grad():
        both, second = loaded[name](x), loaded[name](x[1:])
    for a, b in zip(both, second, strict=True):
        torch.testing.assert_close(a[1:], b)


# Weights from files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["swin_t", "video_swin_t"])
@pytest.mark.parametrize("form", ["published", "under model, with a head", "with a prefix"])
def test_weights_from_a_published_file(tmp_path, loaded, name, form):
    state = published_state(loaded[name])
    if form != "published":  # classification checkpoints know nothing of the four norms
        state = {key: x for key, x in state.items() if not key.startswith("norm")}
        state |= {
            "head.weight": torch.zeros(3, 768),
            "norm.weight": torch.ones(768),
            "norm.bias": torch.ones(768),
        }
    if form == "under model, with a head":
        state = {"model": state}
    elif form == "with a prefix":
        state = {
            "state_dict": {f"backbone.{key}": x for key, x in state.items()}
            | {"cls_head.fc.bias": torch.ones(2)}
        }
    torch.save(state, tmp_path / "a.pth")
    found = build_backbone(name, weights=str(tmp_path / "a.pth")).state_dict()
    for key, x in loaded[name].state_dict().items():
        if form == "published" or not key.startswith("body.hidden_states_norms"):
            assert torch.equal(found[key].double(), x), key


def test_weights_in_the_libraries_names(tmp_path):
    torch.manual_seed(1)
    hugging = HuggingFaceSwin(SwinConfig(out_features=["stage1", "stage2", "stage3", "stage4"]))
    state = hugging.state_dict()
    renames = [
        (".q_proj.", ".self.query."), (".k_proj.", ".self.key."), (".v_proj.", ".self.value."),
        (".attention.o_proj.", ".attention.output.dense."),
        (".attention.relative_position_bias.", ".attention.self."),
        (".mlp.fc1.", ".intermediate.dense."), (".mlp.fc2.", ".output.dense."),
    ]  # fmt: skip
    older = {}
    for key, x in state.items():
        for new, old in renames:
            key = key.replace(new, old)
        older[key] = x
    assert older.keys() != state.keys()
    for number, content in enumerate((state, older)):
        torch.save(content, tmp_path / f"{number}.pth")
        backbone = SwinBackbone("swin_t", weights=str(tmp_path / f"{number}.pth"))
        assert torch.equal(
            backbone.body.swin.encoder.layers[2].blocks[1].attention.q_proj.weight,
            state["swin.encoder.layers.2.blocks.1.attention.q_proj.weight"],
        )


def test_patches_of_two_frames_are_summed(tmp_path):
    """Kinetics' weights as torchvision has them: on frames that stand still the first layer says the same."""
    torch.manual_seed(2)
    kinetics = SwinTransformer3d([2, 4, 4], 96, [2, 2, 6, 2], [3, 6, 12, 24], [8, 7, 7]).eval()
    torch.save(kinetics.state_dict(), tmp_path / "swin3d_t.pth")
    backbone = VideoSwinBackbone("video_swin_t", weights=str(tmp_path / "swin3d_t.pth")).eval()
    still = torch.randn(1, 3, 1, 16, 16)
    with torch.no_grad():
        ours = backbone.body["patch_embed"](still)
        theirs = kinetics.patch_embed(still.expand(-1, -1, 2, -1, -1))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    weight = backbone.body["features"][6][1].mlp[3].weight
    assert torch.equal(weight, kinetics.features[6][1].mlp[3].weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {k: x for k, x in state.items() if "layers.1" not in k}, "tensors are missing"),
        (lambda state: {**state, "patch_embed.proj.bias": torch.zeros(95)}, r"shape \(95,\).*\(96,\)"),
        (lambda _: torch.zeros(3), "holds a Tensor"),
    ],
    ids=["missing", "shape", "tensor"],
)
@pytest.mark.parametrize("name", ["swin_t", "video_swin_t"])
def test_files_that_do_not_fit(tmp_path, loaded, name, change, message):
    file = tmp_path / "a.pth"
    torch.save(change(published_state(loaded[name])), file)
    with pytest.raises(UserError, match=message) as caught:
        build_backbone(name, weights=str(file))
    assert str(file) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["swin_t", "video_swin_t"])
def test_pretrained_weights_that_cannot_be_had(name, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(UserError, match=r"backbone\.weights=FILE") as caught:
        build_backbone(name, pretrained=True)
    assert f"'{name}'" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def refuse(*_, **__):
    """What urllib raises without a network."""
    from urllib.error import URLError

    raise URLError("no network")


def test_gradients_reach_every_parameter():
    for name in ("swin_t", "video_swin_t"):
        torch.manual_seed(0)
        backbone = build_backbone(name).train()
        sum(m.square().mean() for m in backbone(torch.randn(1, 2, 3, 32, 32))).backward()
        assert [n for n, p in backbone.named_parameters() if p.grad is None] == []
