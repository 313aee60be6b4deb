"""docs/reproduce.md at its smallest: train on Mini-Ref-YouTube-VOS, test on Mini-Ref-SAIL-VOS as it is and fine-tuned."""

import json
import sys

import numpy as np
import pytest
import torch
from commands import run
from PIL import Image
from zoo import Film, draw, frame_name, one, write

from fsrvos.cli import eval as eval_command
from fsrvos.cli import train as train_command
from fsrvos.data.datasets import TrainDataset

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*fewer than two videos.*"),
]

CLASSES = ("dog", "car", "person")
FRAMES = 12  # more than a window of the test
YTVOS = {
    f"{name}_{number}": Film(FRAMES, {"1": one(name, f"a {name}", "the one on the left")})
    for name in ("hat", "plant")  # group 1 holds out the hat, group 2 the plant
    for number in range(2)
}
SAIL = {
    f"{name}_{number}": Film(FRAMES, {"1": one(name, f"a {name}")}) for name in CLASSES for number in range(3)
}
ARRANGEMENTS = {
    "README layout, BMP": ("Mini-Ref-SAIL-VOS", {"images": "train/Images", "suffix": ".bmp"}),
    "code layout, JPEG": (
        "mini-SAIL-VOS",
        {
            "expressions": "meta_expressions.json",
            "meta": "meta.json",
            "images": "JPEGImages",
            "masks": "Annotations",
        },
    ),
}
SMALL_TEST = ["data.num_workers=0", "data.test_transform.short_side=32", "evaluation.sheet_rows=1"]
SMALL_NETWORK = [
    "backbone=small", "backbone.channels=[8,8,16,16]", "backbone.blocks=[1,1,1,1]", "text_encoder=small",
    "model.hidden_dim=32", "model.num_heads=4", "model.num_encoder_layers=1", "model.num_decoder_layers=2",
    "model.feedforward=32", "model.mask_channels=8",
]  # fmt: skip
SMALL_TRAINING = [
    *SMALL_NETWORK, *SMALL_TEST, "trainer=cpu", "data.train_transform.short_sides=[32]",
    "data.train_transform.crop=false", "data.val_episodes=1", "data.episodes_per_category=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working directory with data/Mini-Ref-YouTube-VOS."""
    folder = tmp_path_factory.mktemp("recipe")
    write(folder / "data" / "Mini-Ref-YouTube-VOS", YTVOS)
    return folder


@pytest.fixture(scope="module")
def taught(place):
    """The run folder of a training on Mini-Ref-YouTube-VOS."""
    arguments = ["experiment=ytvos_g1", *SMALL_TRAINING, "trainer.max_epochs=1", "evaluate=false"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "argv", ["fsrvos-train", *arguments])
        train_command.main()
    (folder,) = (place / "outputs" / "ytvos_g1").iterdir()
    return folder


@pytest.fixture(params=ARRANGEMENTS)
def sail(request, tmp_path):
    """Overrides that find Mini-Ref-SAIL-VOS in one of its layouts; its masks hold 7, which means object 1."""
    folder, options = ARRANGEMENTS[request.param]
    write(tmp_path / "sail" / folder, SAIL, mask_value=7, **options)
    return [f"paths.data={tmp_path / 'sail'}", "evaluation.save_masks=true", "hydra.run.dir=run"]


def scored(folder, seeds):
    """Results, after a check of what was tested and of J, which the saved masks and the drawn truth give."""
    results = json.loads((folder / "results.json").read_text())
    assert (results["seeds"], results["group"]) == (seeds, None)
    assert results["per_category"].keys() == set(CLASSES)
    left_out = {}
    of_seeds = []
    for seed in seeds:
        queries = folder / "predictions" / f"seed{seed}" / "Annotations"
        left_out[seed] = SAIL.keys() - {video.name for video in queries.iterdir()}
        assert {video.split("_")[0] for video in left_out[seed]} == set(CLASSES)
        assert len(left_out[seed]) == len(CLASSES), "one video of each class supports, all others are tested"
        tested = sorted(SAIL.keys() - left_out[seed])
        by_class = [np.mean([region(queries / v) for v in tested if v.startswith(name)]) for name in CLASSES]
        of_seeds.append(np.mean(by_class))
    assert results["episodes"] == len(seeds) * len(CLASSES) * 2
    assert results["frames"] == results["episodes"] * FRAMES
    assert results["standard"]["J"] > 1, "masks are drawn, so that there is something to compare"
    assert results["standard"]["J"] == pytest.approx(100 * np.mean(of_seeds), abs=1e-3)
    return results, left_out


def region(folder):
    """Mean J over the frames of a video under its one phrase, by brute force."""
    (phrase,) = folder.iterdir()
    found = []
    for frame in range(FRAMES):
        truth = draw(folder.name, SAIL[folder.name], frame)[1] > 0
        mask = np.asarray(Image.open(phrase / f"{frame_name(frame)}.png")) > 0
        assert mask.shape == truth.shape
        found.append((mask & truth).sum() / (mask | truth).sum())
    return np.mean(found)


def test_a_run_is_tested_directly(taught, sail, tmp_path, monkeypatch, capfd):
    arguments = [
        "experiment=sailvos",
        f"checkpoint={taught}",
        *sail,
        *SMALL_TEST,
        "evaluation.conditions=[right]",
    ]
    done = run(eval_command.main, arguments, tmp_path, monkeypatch, capfd)
    assert done.code == 0, done.err
    assert not done.complaints
    _, left_out = scored(tmp_path / "run", [0, 1, 2, 3, 4])
    assert len({frozenset(videos) for videos in left_out.values()}) > 1, "each seed has its own support"


def test_a_run_is_fine_tuned_first(taught, sail, tmp_path, monkeypatch, capfd):
    seen = set()
    read = TrainDataset.__getitem__

    def spy(dataset, key):
        episode = read(dataset, key)
        seen.update(clip.video for clip in (episode.spec.query, *episode.spec.support))
        return episode

    monkeypatch.setattr(TrainDataset, "__getitem__", spy)
    arguments = [
        "experiment=sailvos_finetune", f"model.init_from={taught}", "seed=3", *sail, *SMALL_TRAINING,
        "evaluation.conditions=[right]", "trainer.max_epochs=2", "optim.lr=1e-9", "optim.weight_decay=0",
    ]  # fmt: skip
    done = run(train_command.main, arguments, tmp_path, monkeypatch, capfd)
    assert done.code == 0, done.err
    assert not done.complaints
    _, left_out = scored(tmp_path / "run", [3])
    assert seen == left_out[3], "tuned on the support videos of the test, on all of them and on nothing else"

    before, after = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
        for folder in (taught, tmp_path / "run")
    )
    assert after["global_step"] == 2 * 3 * 2
    moved = {
        name
        for name, value in after["state_dict"].items()
        if not torch.equal(value, before["state_dict"][name])
    }
    assert moved
    for name, value in after["state_dict"].items():  # at such a rate: where it came from, class heads too
        if "running" not in name and "num_batches" not in name:
            assert torch.allclose(value, before["state_dict"][name], atol=1e-6), name


@pytest.mark.parametrize("variant", ["base", "self"])
def test_the_ablations_train_and_are_tested(variant, place, taught, monkeypatch, capfd):
    arguments = ["experiment=ytvos_g1", f"model={variant}", f"name={variant}", *SMALL_TRAINING]
    arguments += [
        f"model.init_from={taught}",
        "trainer.max_epochs=1",
        "data.test_seeds=[0]",
        "evaluation.conditions=[right]",
    ]
    done = run(train_command.main, arguments, place, monkeypatch, capfd)
    assert done.code == 0, done.err
    (folder,) = (place / "outputs" / variant).iterdir()
    results = json.loads((folder / "results.json").read_text())
    assert results["per_category"].keys() == {"hat"}
    assert results["frames"] == 2 * FRAMES

    done = run(
        eval_command.main,
        [f"checkpoint={folder}", "hydra.run.dir=again", "evaluation.conditions=[right]"],
        place,
        monkeypatch,
        capfd,
    )
    assert done.code == 0, done.err
    again = json.loads((place / "again" / "results.json").read_text())
    assert again["standard"] == results["standard"]


def test_a_sweep_over_the_groups_leaves_runs_that_can_be_tested(place, taught, monkeypatch, capfd):
    arguments = [
        "-m",
        "experiment=ytvos",
        "group=1,2",
        "name=sweep_g${group}",
        *SMALL_TRAINING,
        "trainer.max_epochs=1",
    ]
    arguments += ["data.test_seeds=[0]", "evaluation.conditions=[right]"]
    done = run(train_command.main, arguments, place, monkeypatch, capfd)
    assert done.code == 0, done.err
    for group, held_out in ((1, "hat"), (2, "plant")):
        (run_folder,) = (place / "outputs" / f"sweep_g{group}").glob("*/results.json")
        results = json.loads(run_folder.read_text())
        assert results["group"] == group
        assert results["per_category"].keys() == {held_out}
