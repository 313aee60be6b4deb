"""fsrvos-adapt end to end on a tiny network: better where there is something to learn, refused where not."""

import json
from contextlib import contextmanager

import pytest
import torch
from commands import run
from own_clips import square_clip
from tiny import BACKBONE, SIZES, TEXT_ENCODER
from zoo import Film, one, write

from fsrvos.cli import adapt as command
from fsrvos.data.clips import AnnotatedClip
from fsrvos.data.support_sources import read_support
from fsrvos.models.cma import CMA
from fsrvos.weights import load_model

LEARNABLE = ["optim.lr=3e-3", "steps=40", "every=20", "batch_size=2", "frozen=[]", "mix=1"]
HOPELESS = ["optim.lr=1e-12", "steps=4", "every=2", "batch_size=2"]
MODEL = ("config.json", "model.safetensors", "predictor.json", "tokenizer", "README.md")
TOLD = ("adapt.json", "report.md", "curve.png")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A fresh network that takes frames of short side 48."""
    folder = tmp_path_factory.mktemp("saved")
    torch.manual_seed(0)
    options = {**SIZES, "hidden_dim": 32, "dropout": 0.0, "coordinate_scale": 1 / 64}
    CMA("cma_plus", backbone=BACKBONE, text_encoder=TEXT_ENCODER, **options).save_pretrained(folder)
    (folder / "predictor.json").write_text('{"short_side": 48, "max_long_side": null, "window": 4}')
    return folder


@pytest.fixture(autouse=True)
def clips(monkeypatch):
    """Sources that need no files: "square" and "square2" have 12 frames, "two" has 2, and so on."""

    def read(source, phrase=None, object_id=None):
        frames = {"two": 2, "one": 1, "three": 3}.get(source, 12)
        clip = square_clip(frames, seed=len(source))
        return [
            AnnotatedClip(
                clip.frames, clip.masks, phrase or ("" if source == "wordless" else clip.expression)
            )
        ]

    monkeypatch.setattr(command, "read_support", read)


@pytest.fixture
def adapt(checkpoint, tmp_path, monkeypatch, capfd):
    def call(*arguments):
        given = (
            arguments
            if any(a.startswith("checkpoint=") for a in arguments)
            else (f"checkpoint={checkpoint}", *arguments)
        )
        return run(command.main, list(given), tmp_path, monkeypatch, capfd)

    return call


def test_what_can_be_learned_is_better_and_written(adapt, checkpoint, tmp_path):
    arguments = ["support=[square,square2]", "text=the dax", *LEARNABLE]
    outcome = adapt(*arguments, "out=first")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-1].startswith("better: J ")
    first = tmp_path / "first"
    assert {path.name for path in first.iterdir()} == {*MODEL, *TOLD}
    record = json.loads((first / "adapt.json").read_text())
    assert record["J_after"] > record["J_before"] + 20
    assert record["stop_J"]["0"] < record["stop_J"][str(record["best_step"])]
    assert (record["steps_done"], len(record["losses"])) == (40, 40)
    assert record["clips"]["square"] == {
        "category": "the category",
        "phrase": "the dax",
        "train": list(range(9)),
        "stop": [9, 10, 11],
        "report": [9, 10, 11],
    }
    assert "optimistic" in (first / "report.md").read_text()
    assert json.loads((first / "predictor.json").read_text())["short_side"] == 48
    changed, original = load_model(first).state_dict(), load_model(checkpoint).state_dict()
    same = {name for name in original if torch.equal(original[name], changed[name])}
    assert {name for name in original if "running" in name} <= same
    assert len(same) < len(original) / 2


def test_a_seed_gives_the_same_network_which_can_be_adapted_again(adapt, tmp_path):
    written = {}
    for name, seed in (("first", 0), ("second", 0), ("third", 1)):
        outcome = adapt(
            "support=square", *HOPELESS, "optim.lr=1e-3", "keep=true", f"seed={seed}", f"out={name}"
        )
        assert outcome.code == 0, outcome.err
        written[name] = (tmp_path / name / "model.safetensors").read_bytes()
    assert written["first"] == written["second"] != written["third"]
    assert adapt("checkpoint=first", "support=square", *HOPELESS, "out=fourth").code == 0


@pytest.mark.parametrize("keep", [False, True])
def test_what_is_no_better_is_not_written(adapt, tmp_path, keep):
    outcome = adapt("support=square", *HOPELESS, "out=made", f"keep={keep}")
    assert outcome.code == 0, outcome.err
    (line,) = [line for line in outcome.out.splitlines() if "better" in line]
    assert line.startswith("not better: J ")
    assert ("network not written" in line) != keep
    assert {path.name for path in (tmp_path / "made").iterdir()} == {*TOLD, *(MODEL if keep else ())}
    assert json.loads((tmp_path / "made" / "adapt.json").read_text())["better"] is False


def test_held_out_clips_are_scored_alone(adapt, tmp_path):
    outcome = adapt("support=[square,three]", "held_out=[square2]", *HOPELESS, "out=made")
    assert outcome.code == 0, outcome.err
    record = json.loads((tmp_path / "made" / "adapt.json").read_text())
    assert list(record["per_clip"]) == ["square2"]
    assert "on held-out clips" in record["verdict"]
    assert record["clips"]["square"]["train"] == list(range(12))
    assert record["clips"]["square2"]["train"] == []
    assert record["reported_apart"]


def test_clips_on_disk(adapt, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "read_support", read_support)
    root = write(tmp_path / "root", {"film": Film(6, {"1": one("hat", "a hat")})})
    outcome = adapt(f"support={root}", *HOPELESS, "out=made")
    assert outcome.code == 0, outcome.err
    (clip,) = json.loads((tmp_path / "made" / "adapt.json").read_text())["clips"].values()
    assert (clip["phrase"], clip["train"], clip["report"]) == ("a hat", [0, 1, 2, 3], [4, 5])
    missing = adapt("support=nowhere", "out=other")
    assert missing.code == 2
    assert "nowhere" in missing.complaints[0]


def interrupting(at):
    @contextmanager
    def bar(title, unit):
        def told(done, total):
            if done == at:
                raise KeyboardInterrupt

        yield told

    return bar


def test_ctrl_c_keeps_the_best_so_far(adapt, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "progress_bar", interrupting(at=5))
    outcome = adapt("support=square", *HOPELESS, "steps=20", "out=made", "keep=true")
    assert outcome.code == 0, outcome.err
    record = json.loads((tmp_path / "made" / "adapt.json").read_text())
    assert record["interrupted"]
    assert (list(record["stop_J"]), record["steps_done"]) == (["0", "2", "4"], 5)
    assert (tmp_path / "made" / "model.safetensors").is_file()


def test_ctrl_c_before_the_first_score_leaves_nothing(adapt, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "progress_bar", interrupting(at=1))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match="interrupted"):  # the command's exit message is its exit code
        adapt("support=square", *HOPELESS, "out=made")
    assert not [path for path in tmp_path.iterdir() if "made" in path.name]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["support=square", "checkpoint=nowhere"], ["nowhere does not exist"]),
        (["support=square", "checkpoint=null"], ["checkpoint is missing"]),
        ([], ["support is missing"]),
        (["support=two"], ["2 annotated frames in all"]),
        (["support=[one,one,one]"], ["no frame can be held back"]),
        (["support=wordless"], ["wordless", "say text="]),
        (["support=[square,square2]", "text=[a,b,c]"], ["text has 3 entries for 2 clips"]),
        (["support=square", "frozen=[head]"], ["no part 'head'"]),
        (["support=square", "frozen=head"], ["no part 'head'"]),
        (["support=square", "held_back=2"], ["held_back must be"]),
        (["support=square", "held_back=null"], ["held_back must be"]),
        (["support=square", "steps=0"], ["steps must be"]),
        (["support=square", "batch_size=1.5"], ["batch_size must be"]),
        (["support=square", "mix=0"], ["mix must be above 0"]),
        (["support=square", "every=0"], ["at least 1"]),
        (["support=square", "short_side=0"], ["short_side"]),
        (["support=square", "optim.lr=0"], ["lr must be finite and above 0"]),
    ],
)
def test_bad_input(adapt, tmp_path, arguments, said):
    outcome = adapt(*arguments, "out=made")
    assert outcome.code == 2, outcome.err
    (line,) = outcome.complaints
    assert all(word in line for word in said), line
    assert not [path for path in tmp_path.iterdir() if "made" in path.name], "nothing half-written"


def test_what_lies_in_out_is_not_overwritten(adapt, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    outcome = adapt("support=square", "out=mine")
    assert (outcome.code, (tmp_path / "mine" / "letter.txt").read_text()) == (2, "dear")
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "adapt.json").write_text("{}")
    outcome = adapt("support=square", "out=earlier")
    assert outcome.code == 2
    assert "overwrite=true" in outcome.complaints[0]
    assert adapt("support=square", *HOPELESS, "out=earlier", "overwrite=true").code == 0
    assert json.loads((tmp_path / "earlier" / "adapt.json").read_text())["better"] is False
