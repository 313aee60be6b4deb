"""Published names and ours, files of every kind, and networks that start from them."""

import argparse
import json
import logging
import os
from pathlib import Path

import pytest
import torch
from tiny import BACKBONE, SIZES, TEXT_ENCODER, make_clip, make_support, tiny_model

from fsrvos.encoders.text import small_tokenizer
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA
from fsrvos.published_config import UnknownNetwork, infer_config
from fsrvos.published_names import our_name, published_name
from fsrvos.weights import (
    PUBLISHED,
    Weights,
    convert,
    create_model,
    load_model,
    match_weights,
    published_shapes,
    read_weights,
)

DATA = Path(__file__).parents[1] / "data" / "parity"
LISTED = json.loads((DATA / "state_dict_shapes.json").read_text())
LISTED |= {
    f"referformer {backbone}": shapes
    for backbone, shapes in json.loads((DATA / "state_dict_shapes_referformer.json").read_text()).items()
}
# A published network but for its widths; its words are those that the packaged tokenizer knows.
NARROW_TEXT = {
    "name": "roberta-base",
    "pretrained": False,
    "config": {
        "vocab_size": 1000,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 16,
    },
}
NARROW = {
    "backbone": "resnet50",
    "text_encoder": NARROW_TEXT,
    "hidden_dim": 32,
    "feedforward": 32,
    "num_encoder_layers": 1,
    "num_decoder_layers": 2,
    "num_queries": 3,
    "mask_channels": 8,
    "dynamic_channels": 4,
}


def empty(shapes):
    """A state dict of these shapes that takes no memory, and no room in a file."""
    return {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}


def narrow_state(variant, **options):
    """A published state dict with values of its own, and the network that it belongs to."""
    with torch.device("meta"):
        model = CMA(variant, **{**NARROW, **options})
    generator = torch.Generator().manual_seed(3)
    state = {
        name: torch.randn(shape, generator=generator) * 0.02
        for name, shape in published_shapes(model).items()
    }
    for name in state:
        if name.startswith("transformer.decoder.bbox_embed."):
            state[name] = state[name.removeprefix("transformer.decoder.")]
    return state, model


@pytest.fixture(scope="module")
def narrow_cma():
    return narrow_state("cma")[0]


@pytest.fixture(scope="module")
def narrow_referformer():
    return narrow_state("referformer")[0]


def save(content, path):
    torch.save(content, path)
    return path


# Names and shapes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listed", LISTED)
def test_the_network_has_the_published_tensors_and_no_others(listed):
    config = infer_config(LISTED[listed])
    expected = listed.split()[0] if listed != "base" else "self"
    assert config["variant"] == expected
    with torch.device("meta"):
        model = CMA(**config)
    assert {name: list(shape) for name, shape in published_shapes(model).items()} == LISTED[listed]


@pytest.mark.parametrize("listed", LISTED)
def test_every_published_tensor_has_one_place(listed, tmp_path):
    """From a file made of the listed names and shapes alone."""
    file = save({"model": empty(LISTED[listed]), "epoch": 11}, tmp_path / "published.pth")
    weights = read_weights(file)
    assert weights.origin == PUBLISHED
    with torch.device("meta"):
        model = CMA(**weights.config)
    matched, report = match_weights(weights, model)
    assert not report.missing
    assert not report.unexpected
    assert matched.keys() == model.state_dict().keys()
    assert report.mapped.keys() | report.dropped.keys() == LISTED[listed].keys()
    aliases = [name for name in report.dropped if name.startswith("transformer.decoder.bbox_embed.")]
    assert len(aliases) == 4 * 3 * 2
    assert all("relative_position_index" in name for name in set(report.dropped) - set(aliases))
    places = [ours for names in report.mapped.values() for ours in names]
    assert len(places) == len(set(places)) == len(matched)


@pytest.mark.parametrize("listed", LISTED)
def test_names_translate_both_ways(listed):
    names = [
        name
        for name in LISTED[listed]
        if not name.startswith(("backbone.", "transformer.decoder.bbox_embed."))
    ]
    assert [published_name(our_name(name)) for name in names] == names


def test_sizes_are_read_off_the_shapes(narrow_cma):
    config = infer_config({name: tuple(x.shape) for name, x in narrow_cma.items()})
    for key in ("hidden_dim", "feedforward", "num_encoder_layers", "num_decoder_layers", "num_queries",
                "mask_channels", "dynamic_channels"):  # fmt: skip
        assert config[key] == NARROW[key], key
    assert config["num_points"] == 4
    assert config["text_encoder"]["config"]["hidden_size"] == 16
    assert config["backbone"]["name"] == "resnet50"


@pytest.mark.parametrize(
    "backbone", ["resnet101", "swin_s", "swin_b", "swin_l", "video_swin_s", "video_swin_b"]
)
def test_other_backbones_are_recognised(backbone):
    state, model = None, None
    with torch.device("meta"):
        model = CMA("referformer", **{**NARROW, "backbone": backbone})
        state = {name: torch.empty(shape) for name, shape in published_shapes(model).items()}
    weights = Weights(
        Path("x"), PUBLISHED, infer_config({n: tuple(t.shape) for n, t in state.items()}), state, ""
    )
    assert weights.config["backbone"]["name"] == backbone
    _, report = match_weights(weights, model)
    assert not report.missing
    assert not report.unexpected


def test_foreign_networks_are_told_apart():
    with pytest.raises(UnknownNetwork, match="input_proj"):
        infer_config({"layer1.weight": (3, 3)})
    shapes = {name: shape for name, shape in LISTED["cma"].items() if "layer3" not in name}
    with pytest.raises(UnknownNetwork, match="backbone"):
        infer_config(shapes)


# Reading files ----------------------------------------------------------------------------------------------------


class Trap:
    """A pickle that makes a folder where it is loaded."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return (os.mkdir, (self.folder,))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("where", ["args", "model", "in the namespace"])
def test_a_malicious_pickle_runs_nothing(tmp_path, narrow_cma, where, zipped):
    trap = Trap(tmp_path / "sprung")
    content = {"model": dict(narrow_cma), "args": argparse.Namespace(lr=1e-4)}
    if where == "in the namespace":
        content["args"].hook = trap
    elif where == "model":
        content["model"]["conv_q.bias"] = trap
    else:
        content["args"] = trap
    file = tmp_path / "published.pth"
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match="refused") as caught:
        read_weights(file)
    assert not (tmp_path / "sprung").exists()
    message = str(caught.value)
    assert str(file) in message
    assert len(message.splitlines()) == 1
    assert not zipped or "mkdir" in message


@pytest.mark.parametrize("form", ["model", "bare", "with its command line", "wrapped for several GPUs"])
def test_the_forms_of_a_published_checkpoint(tmp_path, narrow_cma, form):
    content = {
        "model": {"model": narrow_cma},
        "bare": narrow_cma,
        "with its command line": {"model": narrow_cma, "args": argparse.Namespace(lr=1e-4, sizes=[1, 2])},
        "wrapped for several GPUs": {f"module.{name}": x for name, x in narrow_cma.items()},
    }[form]
    weights = read_weights(save(content, tmp_path / "published.pth"))
    assert weights.tensors.keys() == narrow_cma.keys()
    assert weights.config["variant"] == "cma"


def test_an_alias_alone_will_do(tmp_path, narrow_cma):
    """Formats that refuse shared memory keep one of two names."""
    state = {name: x for name, x in narrow_cma.items() if not name.startswith("bbox_embed.")}
    model = load_model(save(state, tmp_path / "a.pth"))
    assert torch.equal(
        model.transformer.box_heads[1].layers[0].weight, narrow_cma["bbox_embed.1.layers.0.weight"]
    )


def test_what_older_libraries_saved_is_dropped(tmp_path, narrow_cma):
    state = {**narrow_cma, "text_encoder.embeddings.position_ids": torch.arange(514)[None]}
    weights = read_weights(save(state, tmp_path / "a.pth"))
    with torch.device("meta"):
        model = CMA(**weights.config)
    _, report = match_weights(weights, model)
    assert report.dropped["text_encoder.embeddings.position_ids"] == "made anew by the network"


BAD = {
    "a checkpoint of ours without its network": {"fsrvos": {}, "state_dict": {}},
    "a checkpoint of ours without its tensors": {"fsrvos": {"model": {}}},
    "a tensor": torch.zeros(3),
    "a list of numbers": {"model": [1, 2]},
    "nothing": {"model": {}},
    "numbers among the tensors": {"model": {"a": torch.zeros(1), "b": 3}},
    "another network": {"model": {"a": torch.zeros(1)}},
}


@pytest.mark.parametrize("kind", BAD)
def test_foreign_files_are_told_in_one_line(tmp_path, kind):
    file = save(BAD[kind], tmp_path / "bad.pth")
    with pytest.raises(UserError) as caught:
        read_weights(file)
    assert str(file) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a file of weights at all"])
def test_damaged_files_are_told_in_one_line(tmp_path, suffix, content):
    file = tmp_path / f"bad{suffix}"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"could not be read|holds more than") as caught:
        read_weights(file)
    assert str(file) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


# Importing --------------------------------------------------------------------------------------------------------


def test_an_imported_file_is_the_same_network(tmp_path, narrow_cma):
    source, target = save({"model": narrow_cma}, tmp_path / "cma.pth"), tmp_path / "new" / "cma.safetensors"
    _, report = convert(source, target)
    assert not report.missing
    assert sorted(path.name for path in target.parent.iterdir()) == ["cma.safetensors"], (
        "nothing is left beside it"
    )
    assert target.stat().st_mode & 0o044 == source.stat().st_mode & 0o044
    imported, direct = load_model(target), load_model(source)
    assert imported.config == direct.config
    for (name, x), y in zip(imported.state_dict().items(), direct.state_dict().values(), strict=True):
        assert torch.equal(x, y), name
    assert read_weights(target).config == imported.config
    weight = imported.affinity.of_support.key.weight
    assert torch.equal(weight, narrow_cma["support_qkv.Key.weight"])


def test_class_heads_are_dropped_when_asked(tmp_path, narrow_referformer):
    source = save({"model": narrow_referformer}, tmp_path / "rf.pth")
    _, report = convert(source, tmp_path / "rf.safetensors", drop_class_heads=True)
    dropped = {name for name, why in report.dropped.items() if why == "class head"}
    assert dropped == {f"class_embed.{i}.{kind}" for i in range(2) for kind in ("weight", "bias")}
    assert report.missing == [f"class_heads.{i}.{kind}" for i in range(2) for kind in ("weight", "bias")]
    with pytest.raises(UserError, match=r"class_heads\.0\.weight"):
        load_model(tmp_path / "rf.safetensors")


def test_a_wrong_shape_names_both(tmp_path, narrow_cma):
    state = {**narrow_cma, "conv_q.weight": torch.zeros(16, 32, 3, 3)}
    with pytest.raises(
        UserError, match=r"conv_q\.weight has shape \(16, 32, 3, 3\).*keep\.weight has \(16, 32, 1, 1\)"
    ):
        convert(save({"model": state}, tmp_path / "a.pth"), tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_missing_and_unexpected_are_told(tmp_path, narrow_cma):
    state = {name: x for name, x in narrow_cma.items() if name != "conv_q.bias"} | {"novelty": torch.zeros(2)}
    source = save(state, tmp_path / "a.pth")
    _, report = convert(source, tmp_path / "a.safetensors")
    assert report.missing == ["affinity.keep.bias"]
    assert report.unexpected == ["novelty"]
    with pytest.raises(UserError, match=r"missing affinity\.keep\.bias; no place for novelty"):
        load_model(source)


def test_the_target_must_be_safetensors(tmp_path, narrow_cma):
    with pytest.raises(UserError, match=r"must end in \.safetensors"):
        convert(save(narrow_cma, tmp_path / "a.pth"), tmp_path / "b.pth")


def test_a_target_that_cannot_be_written(tmp_path, narrow_cma):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        convert(save(narrow_cma, tmp_path / "a.pth"), tmp_path / "file" / "a.safetensors")


# Starting from weights --------------------------------------------------------------------------------------------

TINY = {"backbone": BACKBONE, "text_encoder": {"name": "nobody/nothing"}, **SIZES}
# As Hydra hands it over: pretrained encoders, which are not here; the file's must do.
PRETRAINED = {
    **NARROW,
    "backbone": {"name": "resnet50", "pretrained": True, "weights": None, "frozen": True},
    "text_encoder": {"name": "roberta-base", "pretrained": True, "frozen": True},
}


def test_training_starts_from_referformer(tmp_path, narrow_referformer, caplog):
    """protocol.md section 3: class heads dropped, the rest by name; nothing is downloaded."""
    source = save({"model": narrow_referformer}, tmp_path / "rf.pth")
    convert(source, tmp_path / "rf.safetensors", drop_class_heads=True)
    for file in (source, tmp_path / "rf.safetensors"):
        caplog.clear()
        torch.manual_seed(0)
        with caplog.at_level(logging.INFO):
            model = create_model("cma", init_from=file, **PRETRAINED)
        state = model.state_dict()
        kept = {
            our_name(n): x
            for n, x in narrow_referformer.items()
            if not n.startswith(("backbone.", "class_embed."))
        }
        fresh = {
            "query_position.weight",
            "transformer.reference_points.weight",
            "transformer.reference_points.bias",
        }
        for name, x in kept.items():
            if name not in fresh and not name.startswith("transformer.decoder.bbox_embed"):
                assert torch.equal(state[name], x), name
        body = "backbone.0.body.layer4.2.conv3.weight"
        assert torch.equal(model.backbone.body.layer4[2].conv3.weight, narrow_referformer[body])
        assert torch.allclose(state["class_heads.0.bias"], torch.full((1,), -4.5951), atol=1e-4)
        told = " ".join(record.getMessage() for record in caplog.records)
        assert "affinity.of_support.key.weight" in told
        assert "reference_points" in told


def test_fine_tuning_keeps_the_class_heads(tmp_path, narrow_cma):
    source = save({"model": narrow_cma}, tmp_path / "cma.pth")
    model = create_model("cma", init_from=source, drop_class_heads=False, **PRETRAINED)
    expected = load_model(source).state_dict()
    for name, x in model.state_dict().items():
        assert torch.equal(x, expected[name]), name


def test_another_variant_starts_from_it_too(tmp_path, narrow_cma):
    model = create_model("self", init_from=save({"model": narrow_cma}, tmp_path / "cma.pth"), **PRETRAINED)
    assert torch.equal(model.affinity.of_query.key.weight, narrow_cma["query_qkv.Key.weight"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "resnet101"}, "holds the backbone resnet50, but the model's is resnet101"),
        ({"hidden_dim": 64}, r"has shape .*32.*64"),
        (
            {"num_queries": 7},
            r"tgt_embed\.weight has shape \(3, 32\), its place query_content\.weight has \(7, 32\)",
        ),
        ({"text_encoder": "small"}, "has shape"),
    ],
)
def test_weights_that_do_not_fit(tmp_path, narrow_cma, options, message):
    file = save({"model": narrow_cma}, tmp_path / "cma.pth")
    with pytest.raises(UserError, match=message) as caught:
        create_model("cma", init_from=file, **{**PRETRAINED, **options})
    assert str(file) in str(caught.value)


def test_encoders_must_be_whole(tmp_path, narrow_cma):
    state = {name: x for name, x in narrow_cma.items() if name != "text_encoder.pooler.dense.bias"}
    with pytest.raises(UserError, match=r"encoders are not all there, missing text_encoder\.model\.pooler"):
        create_model("cma", init_from=save(state, tmp_path / "cma.pth"), **PRETRAINED)


def test_without_a_file_the_network_is_fresh():
    options = {"backbone": BACKBONE, "text_encoder": TEXT_ENCODER, **SIZES}
    torch.manual_seed(5)
    fresh = CMA("cma_plus", **options)
    torch.manual_seed(5)
    made = create_model("cma_plus", init_from=None, **options)
    assert all(
        torch.equal(a, b)
        for a, b in zip(fresh.state_dict().values(), made.state_dict().values(), strict=True)
    )


# Folders ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    model = tiny_model("cma_plus", rest=True)
    folder = tmp_path_factory.mktemp("pretrained") / "mine"
    model.save_pretrained(folder)
    return model, folder


def test_a_saved_folder_is_the_same_network(pretrained):
    model, folder = pretrained
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer",
    }
    assert json.loads((folder / "config.json").read_text()) == model.config
    loaded = CMA.from_pretrained(folder)
    assert not loaded.training
    assert loaded.config == model.config
    for (name, x), y in zip(loaded.state_dict().items(), model.state_dict().values(), strict=True):
        assert torch.equal(x, y), name
    query, support = make_clip(), make_support()
    assert torch.equal(loaded.segment(query, support).masks, model.segment(query, support).masks)
    assert (
        loaded.text_encoder.tokenize(["a Dax"]).ids.tolist()
        == model.text_encoder.tokenize(["a Dax"]).ids.tolist()
    )


def test_saving_again_replaces_the_files(pretrained, tmp_path):
    model, _ = pretrained
    model.save_pretrained(tmp_path)
    other = tiny_model("cma")
    other.save_pretrained(tmp_path)
    assert CMA.from_pretrained(tmp_path).variant == "cma"


def test_an_entry_of_the_config_can_be_replaced(pretrained):
    assert CMA.from_pretrained(pretrained[1], choose_per_frame=True).choose_per_frame


def test_a_folder_is_read_as_any_file_of_weights(pretrained):
    model, folder = pretrained
    loaded = load_model(folder)
    assert all(
        torch.equal(a, b)
        for a, b in zip(loaded.state_dict().values(), model.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    "read", [CMA.from_pretrained, load_model, lambda f: create_model("cma_plus", init_from=f, **TINY)]
)
def test_a_folder_brings_its_tokenizer(tmp_path, read):
    """One that no hub has: a file of the folder is all there is."""
    model = tiny_model("cma_plus", text_encoder={**NARROW_TEXT, "name": "nobody/nothing", "frozen": False})
    with pytest.raises(UserError, match="tokenizer could not be loaded"):
        model.text_encoder.tokenize(["a dax"])
    model.text_encoder.tokenizer = small_tokenizer()
    model.save_pretrained(tmp_path)
    assert read(tmp_path).text_encoder.tokenize(["a dax"]).ids.tolist() == [
        small_tokenizer()("a dax")["input_ids"]
    ]


@pytest.mark.parametrize(
    ("place", "message"),
    [("nobody/nothing-at-all", "could not be had from the hub"), ("a/b/c", "could not be had from the hub")],
)
def test_a_hub_id_without_a_network(place, message):
    with pytest.raises(UserError, match=message) as caught:
        CMA.from_pretrained(place)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("lacking", ["config.json", "model.safetensors"])
def test_folders_that_lack_a_file(pretrained, tmp_path, lacking):
    model, _ = pretrained
    model.save_pretrained(tmp_path)
    (tmp_path / lacking).unlink()
    with pytest.raises(UserError, match=lacking):
        CMA.from_pretrained(tmp_path)


def test_a_config_of_another_network(pretrained, tmp_path):
    model, _ = pretrained
    model.save_pretrained(tmp_path)
    config = {**model.config, "hidden_dim": 64}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="cannot be built") as caught:
        CMA.from_pretrained(tmp_path)
    assert len(str(caught.value).splitlines()) == 1
