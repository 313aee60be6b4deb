"""What a run leaves for people to look at: W&B offline (a sweep of two jobs), TensorBoard, and plain files."""

import json
import os

import numpy as np
import pytest
import wandb_file
from commands import on_data, run, write_small_data
from PIL import Image

from fsrvos.cli import train as train_command
from fsrvos.engine.module import SegmentationModule

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*fewer than two videos.*"),
]
CONDITIONS = ("right", "wrong_support", "no_support")
LOGGED = {
    "train/loss", "train/mask", "train/dice", "train/class", "train/grad_norm", "lr-AdamW/rest", "lr-AdamW/backbone",
    "throughput/steps_per_s", "throughput/episodes_per_s", "val/J", "val/F", "test/J", "test/F",
    *(f"controls/J_{name}" for name in CONDITIONS), *(f"controls/test_J_{name}" for name in CONDITIONS),
}  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with data; the home beside it is empty, and nobody is logged in."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    for key in list(os.environ):
        if key.startswith("WANDB_"):
            monkeypatch.delenv(key)
    for key, folder in {"HOME": "home", "XDG_CACHE_HOME": "home/c", "XDG_DATA_HOME": "home/d"}.items():
        monkeypatch.setenv(key, str(tmp_path / folder))
    write_small_data(tmp_path / "data")
    return tmp_path / "work"


def train(place, monkeypatch, capfd, *more):
    flags, overrides = (
        [text for text in more if text.startswith("-") == is_flag] for is_flag in (True, False)
    )
    arguments = [*flags, *on_data(place.parent / "data"), "name=watched", *overrides]
    return run(train_command.main, arguments, place, monkeypatch, capfd)


def runs(place):
    return sorted((place / "outputs" / "watched").iterdir())


def test_an_offline_sweep_leaves_two_runs_in_one_group(place, monkeypatch, capfd):
    overrides = ["logger=wandb", "logger.offline=true", "callbacks.pictures.episodes=2"]
    done = train(place, monkeypatch, capfd, "-m", "seed=0,1", *overrides)
    assert done.code == 0, done.err
    folders = runs(place)
    first, second = (wandb_file.read(folder) for folder in folders)
    assert first.run_id != second.run_id
    assert first.group == second.group == json.loads((folders[0] / "run.json").read_text())["sweep"]
    assert first.group.startswith("sweep_20")
    assert [found.name.split(",")[-1] for found in (first, second)] == ["seed=0", "seed=1"]
    for folder, found in zip(folders, (first, second), strict=True):
        assert found.exit_code == 0
        check_numbers(folder, found)
        check_pictures(folder, found)
        assert f"wandb sync {found.folder}" in done.out
    assert list((place.parent / "home").iterdir()) == []
    assert {path.name for path in place.iterdir()} == {"outputs"}
    assert not [key for key in os.environ if key.endswith("_DIR") and key.startswith("WANDB_")]
    assert "WANDB_MODE" not in os.environ


def check_numbers(folder, found):
    assert found.keys() >= LOGGED
    results = json.loads((folder / "results.json").read_text())
    (last,) = [row for row in found.history if "test/J" in row]
    assert last["test/J"] == results["standard"]["J"]
    wrong = results["controls"]["wrong_support"]
    assert last["controls/test_J_wrong_support"] == wrong["standard"]["J"]
    drop = wrong["right_on_same"]["standard"]["J"] - wrong["standard"]["J"]
    assert last["controls/test_drop_wrong_support"] == pytest.approx(drop)
    (validated,) = [row for row in found.history if "val/J" in row]
    for name in ("wrong_support", "no_support"):
        assert validated[f"val/J_{name}"] == validated[f"controls/J_{name}"]
    facts = json.loads((folder / "run.json").read_text())
    assert found.config["run"] == facts
    assert found.config["trainer"]["max_steps"] == 1
    assert found.config["seed"] == int(found.name[-1])
    assert facts["data"]["frames"] == 18  # six videos of three
    assert facts["code"]["fsrvos"]


def check_pictures(folder, found):
    """The table, its pictures with masks, and a still and a video of each episode; all below the run folder."""
    (row,) = [row for row in found.history if "episodes/table/path" in row]
    table = json.loads((found.folder / "files" / row["episodes/table/path"]).read_text())
    place = {column: table["columns"].index(column) for column in table["columns"]}
    assert set(place) >= {"query", "support", "phrase", "truth", "prediction", "video", "J"}
    assert len(table["data"]) == 2
    phrases = {line[place["phrase"]] for line in table["data"]}
    assert phrases <= {"a hat", "a raccoon", "the one on the left"}
    for line in table["data"]:
        kinds = [line[place[column]] for column in ("query", "support", "truth", "prediction", "video")]
        assert kinds == ["Image"] * 4 + ["Video"]
        name = line[place["episode"]]
        with Image.open(found.folder / "files" / row[f"episodes/{name}/path"]) as still:
            assert still.format == "PNG"
            assert min(still.size) > 200
        with Image.open(found.folder / "files" / row[f"episodes/{name}_video/path"]) as video:
            assert video.format == "GIF"
    ((kind, files),) = found.artifacts
    assert kind == "run_table"
    assert all(file.is_relative_to(folder) and file.is_file() for file in files)
    (content,) = [
        json.loads(file.read_bytes()) for file in files if file.read_bytes().startswith(b'{"_type": "table"')
    ]
    for cells in content["data"]:
        assert set(cells[place["query"]]["masks"]) == {"truth", "prediction"}
        assert set(cells[place["support"]]["masks"]) == {"support"}


def test_a_job_that_fails_is_shown_as_failed(place, monkeypatch, capfd):
    def fail(self, batch, batch_idx):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(SegmentationModule, "training_step", fail)
    with pytest.raises(RuntimeError, match="out of luck"):
        train(place, monkeypatch, capfd, "logger=wandb", "logger.offline=true")
    (folder,) = runs(place)
    assert wandb_file.read(folder).exit_code == 1


def test_a_trial_run_opens_none(place, monkeypatch, capfd):
    done = train(place, monkeypatch, capfd, "debug=fast", "logger=wandb", "logger.offline=true")
    assert done.code == 0, done.err
    (folder,) = runs(place)
    assert not (folder / "wandb").exists()


def test_nobody_logged_in_is_one_line_before_anything_starts(place, monkeypatch, capfd):
    done = train(place, monkeypatch, capfd, "logger=wandb", "data.root=/no/such/data")
    assert done.code == 2
    (line,) = done.complaints
    assert "wandb login" in line
    assert "logger.offline=true" in line
    assert list((place.parent / "home").iterdir()) == []


def test_files_hold_the_same_pictures(place, monkeypatch, capfd):
    done = train(place, monkeypatch, capfd, "callbacks.pictures.episodes=2", "evaluate=false")
    assert done.code == 0, done.err
    (folder,) = runs(place)
    stills = sorted((folder / "pictures" / "step_000001").glob("*.png"))
    assert [still.name[:3] for still in stills] == ["00_", "01_"]
    for still in stills:
        with Image.open(still) as card:
            pixels = np.asarray(card.convert("RGB")).reshape(-1, 3)
        assert (pixels == (30, 190, 90)).all(1).sum() > 20, "outline of the truth"
        with Image.open(still.with_suffix(".gif")) as video:
            assert video.size[0] > video.size[1]
    header = (folder / "logs" / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {key for key in LOGGED if "test" not in key} <= set(header)
    facts = json.loads((folder / "run.json").read_text())
    assert facts["sweep"] is None
    assert "evaluate=false" in facts["overrides"]
    assert len(facts["data"]["fingerprint"]) == 16


@pytest.mark.parametrize("off", ["callbacks.pictures.episodes=0", "~callbacks.pictures"])
def test_pictures_can_be_switched_off(place, monkeypatch, capfd, off):
    assert train(place, monkeypatch, capfd, off, "~callbacks.vitals", "evaluate=false").code == 0
    (folder,) = runs(place)
    assert not (folder / "pictures").exists()
    assert "grad_norm" not in (folder / "logs" / "metrics.csv").read_text()


def test_tensorboard_shows_the_same_pictures(place, monkeypatch, capfd):
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="pip install 'fsrvos[tensorboard]'"
    )
    done = train(place, monkeypatch, capfd, "logger=tensorboard", "callbacks.pictures.episodes=2")
    assert done.code == 0, done.err
    (folder,) = runs(place)
    events = reader.EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0}).Reload()
    tags = events.Tags()
    assert set(tags["scalars"]) >= LOGGED
    assert len(tags["images"]) == 4
    for tag in tags["images"]:
        (image,) = events.Images(tag)
        assert image.step == 1
        kind = b"GIF89a" if tag.endswith("/video") else b"\x89PNG"
        assert image.encoded_image_string.startswith(kind)
    results = json.loads((folder / "results.json").read_text())
    (final,) = events.Scalars("test/J")
    assert final.value == pytest.approx(results["standard"]["J"], abs=1e-4)


def test_tensorboard_that_is_missing_is_one_line(place, monkeypatch, capfd):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    done = train(place, monkeypatch, capfd, "logger=tensorboard")
    assert done.code == 2
    assert "fsrvos[tensorboard]" in done.complaints[0]


def test_without_a_logger_training_goes_on(place, monkeypatch, capfd):
    done = train(place, monkeypatch, capfd, "~logger", "~callbacks.learning_rate", "evaluate=false")
    assert done.code == 0, done.err
    (folder,) = runs(place)
    assert (folder / "run.json").is_file()
    assert not (folder / "pictures").exists()
