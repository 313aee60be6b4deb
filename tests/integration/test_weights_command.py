"""fsrvos-weights, and training and evaluation that start from what it reads and writes."""

import os

import pytest
import torch
from commands import on_data, run, write_small_data

from fsrvos.cli import eval as eval_command
from fsrvos.cli import train as train_command
from fsrvos.cli.weights import main as weights_command
from fsrvos.models.cma import CMA
from fsrvos.weights import load_model, published_shapes

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*fewer than two videos.*"),
]

# A ReferFormer that is published but for its widths; the text encoder reads the packaged tokenizer's words.
TEXT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 16}
SIZES = {"hidden_dim": 64, "feedforward": 32, "num_encoder_layers": 1, "num_decoder_layers": 2}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A checkpoint as ReferFormer's authors publish them."""
    with torch.device("meta"):
        text = {"name": "roberta-base", "pretrained": False, "config": {"vocab_size": 1000, **TEXT}}
        model = CMA("referformer", backbone="resnet50", text_encoder=text, **SIZES)
    generator = torch.Generator().manual_seed(0)
    state = {n: 0.02 * torch.randn(s, generator=generator) for n, s in published_shapes(model).items()}
    for name in state:
        state[name] = state[name.replace("transformer.decoder.bbox_embed.", "bbox_embed.")]
        if name.endswith("running_var"):
            state[name] = state[name].abs() + 1
    file = tmp_path_factory.mktemp("published") / "r50.pth"
    torch.save({"model": state, "epoch": 5}, file)
    return file, state


@pytest.fixture(scope="module")
def imported(published):
    target = published[0].with_suffix(".safetensors")
    assert weights_command(["import", str(published[0]), str(target), "--drop-class-heads"]) == 0
    return target


def test_import_says_what_became_of_every_tensor(published, tmp_path, capsys):
    file, state = published
    target = tmp_path / "r50.safetensors"
    assert weights_command(["import", str(file), str(target), "--drop-class-heads"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{file}: published checkpoint, referformer with resnet50 and roberta-base"
    dropped = 2 * 3 * 2 + 2 * 2
    assert out[1] == f"mapped {len(state) - dropped} tensors to {len(state) - dropped} of ours"
    assert "missing: 4" in out
    assert "  class_heads.*.weight x2" in out
    assert "unexpected: none" in out
    assert f"dropped: {dropped}" in out
    assert "  class_embed.*.bias x2 (class head)" in out
    assert out[-1].startswith(f"wrote {target}: ")
    assert target.is_file()


def test_import_lists_every_pair_when_asked(published, tmp_path, capsys):
    weights_command(["import", str(published[0]), str(tmp_path / "a.safetensors"), "--verbose"])
    pairs = [line.split(" -> ") for line in capsys.readouterr().out.splitlines() if " -> " in line]
    assert ["  input_proj.0.0.weight", "pyramid.projections.0.0.weight"] in pairs
    assert len(pairs) == len(published[1]) - 2 * 3 * 2


def test_inspect_tells_the_same_of_both_files(published, imported, capsys):
    parts = []
    for file in (published[0], imported):
        assert weights_command(["inspect", str(file)]) == 0
        out = capsys.readouterr().out
        assert "referformer with resnet50 and roberta-base" in out
        assert "hidden_dim: 64" in out
        parts.append(next(line.split() for line in out.splitlines() if line.split()[0] == "text_encoder"))
    assert parts[0] == parts[1]
    assert weights_command(["inspect", str(imported), "--verbose"]) == 0
    assert "pyramid.projections.0.0.weight  (64, 512, 1, 1)  float32" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["import", "inspect"])
@pytest.mark.parametrize("content", ["missing", "malicious", "foreign"])
def test_bad_files_cost_one_line(tmp_path, capsys, command, content):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    file = tmp_path / "bad.pth"
    if content != "missing":
        torch.save({"model": Trap() if content == "malicious" else {"a": torch.zeros(1)}}, file)
    target = [str(tmp_path / "out.safetensors")] if command == "import" else []
    assert weights_command([command, str(file), *target]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert str(file) in err
    assert not (tmp_path / "sprung").exists()
    assert not (tmp_path / "out.safetensors").exists()


def test_a_bad_argument_costs_one_line(capsys):
    with pytest.raises(SystemExit) as stopped:
        weights_command(["import"])
    assert stopped.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("form", ["published", "imported"])
def test_training_starts_from_either_format(published, imported, form, tmp_path, monkeypatch, capfd):
    file = published[0] if form == "published" else imported
    root = write_small_data(tmp_path / "data")
    arguments = [
        *on_data(root), "model=cma", "backbone=resnet50", "text_encoder=roberta", "criterion=published",
        f"model.init_from={file}", "optim.lr=1e-30", "optim.weight_decay=0.0", "evaluate=false", "name=started",
        "+trainer.limit_val_batches=0", *(f"model.{key}={value}" for key, value in SIZES.items()),
    ]  # fmt: skip
    packaged_tokenizer(monkeypatch)
    outcome = run(train_command.main, arguments, tmp_path, monkeypatch, capfd)
    assert outcome.code == 0, outcome.err
    assert f"started from {file}" in outcome.out + outcome.err
    trained = load_model(tmp_path / "outputs" / "started").state_dict()
    assert torch.equal(trained["pyramid.projections.0.0.weight"], published[1]["input_proj.0.0.weight"])
    assert torch.equal(trained["backbone.body.conv1.weight"], published[1]["backbone.0.body.conv1.weight"])
    assert not torch.equal(trained["class_heads.0.weight"], published[1]["class_embed.0.weight"])


def packaged_tokenizer(monkeypatch):
    """roberta-base's own cannot be had here; this one has ids below 1000 as the network wants them."""
    from fsrvos.encoders import text

    monkeypatch.setattr(text, "load_tokenizer", lambda _: text.small_tokenizer())


def test_training_from_a_bad_file_costs_one_line(tmp_path, monkeypatch, capfd):
    root = write_small_data(tmp_path / "data")
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "bad.pth")
    arguments = [*on_data(root), f"model.init_from={tmp_path / 'bad.pth'}"]
    outcome = run(train_command.main, arguments, tmp_path, monkeypatch, capfd)
    assert outcome.code == 2
    (line,) = outcome.complaints
    assert "bad.pth" in line


def test_scores_of_weights_without_a_run(tmp_path, monkeypatch, capfd):
    """A folder of save_pretrained, on data that the command line names."""
    root = write_small_data(tmp_path / "data")
    model = CMA(
        "cma_plus", backbone={"name": "small"}, text_encoder={"name": "small"}, hidden_dim=64, num_encoder_layers=1,
        num_decoder_layers=1, feedforward=32,
    )  # fmt: skip
    model.save_pretrained(tmp_path / "mine")
    arguments = [
        f"checkpoint={tmp_path / 'mine'}", "data=ytvos", f"data.root={root}", "data.num_workers=0",
        "data.test_seeds=[0]", "data.test_transform.short_side=32", "evaluation.sheet_rows=1",
    ]  # fmt: skip
    outcome = run(eval_command.main, arguments, tmp_path, monkeypatch, capfd)
    assert outcome.code == 0, outcome.err
    assert "unseen categories: J" in outcome.out
    outcome = run(eval_command.main, [f"checkpoint={tmp_path / 'mine'}"], tmp_path, monkeypatch, capfd)
    assert outcome.code == 2
    assert "say data=OPTION" in outcome.complaints[0]
