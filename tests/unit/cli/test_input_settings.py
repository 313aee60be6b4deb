"""The input size of a checkpoint, from what lies beside it."""

from pathlib import Path

import pytest

from fsrvos.cli.input_settings import InputSettings, settings_of
from fsrvos.errors import UserError
from fsrvos.weight_files import OURS, Weights


def beside(file):
    return settings_of(Weights(Path(file), OURS, {}, {}, "a file"))


def run_with(folder, data):
    (folder / "checkpoints").mkdir()
    (folder / "config.yaml").write_text(data)
    return beside(folder / "checkpoints" / "last.ckpt")


def test_published_size_where_nothing_says_otherwise(tmp_path):
    assert beside(tmp_path / "published.pth") == InputSettings(360, 640, 10)


def test_that_of_the_run(tmp_path):
    data = "data: {window: 5, test_transform: {short_side: 240, max_long_side: 400}}"
    assert run_with(tmp_path, data) == InputSettings(240, 400, 5)


def test_native_size_means_that_of_the_training(tmp_path):
    data = "data: {test_transform: {short_side: null}, train_transform: {short_sides: [64, 96], max_long_side: null}}"
    assert run_with(tmp_path, data) == InputSettings(96, None, 10)


def test_saved_settings_come_back(tmp_path):
    InputSettings(48, None, 3).save(tmp_path)
    assert beside(tmp_path / "model.safetensors") == InputSettings(48, None, 3)


@pytest.mark.parametrize("content", ["no json", '{"side": 3}', "[1]"])
def test_damaged_settings(tmp_path, content):
    (tmp_path / "predictor.json").write_text(content)
    with pytest.raises(UserError, match=r"predictor\.json must hold short_side"):
        beside(tmp_path / "model.safetensors")
