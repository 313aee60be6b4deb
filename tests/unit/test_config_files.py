"""Configs and JSON in the folders of runs, which may come from someone else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fsrvos.cli.eval import with_settings_of_run
from fsrvos.config_files import MAX_BYTES, read_config, targets
from fsrvos.engine.predictions import Predictions
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA
from fsrvos.predictor_settings import settings_of
from fsrvos.tables.runs import read_run

DEEP = "[" * 100_000 + "]" * 100_000
BOMB = "a: &a [x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(12)
)
BAD_CONFIGS = {
    "aliases that stand for 9^12 values": (BOMB, "aliases"),
    "depth": (f"a: {DEEP}", "nested too deep"),
    "size": ("a: " + "x" * MAX_BYTES, "more than 1 MB"),
    "no YAML": ("a: [", "is no config"),
    "no keys": ("3", "is no config"),
    "code": ("a: !!python/object/apply:os.system ['true']", "is no config"),
    "no text": (b"\xff\xfe\x00", "is no config"),
}


def written(file: Path, content: str | bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def line_of(call, *arguments) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_config_that_is_none_ends_in_one_line_that_names_the_file(tmp_path, case):
    content, said = BAD_CONFIGS[case]
    file = written(tmp_path / "config.yaml", content)
    for read in (read_config, lambda file: read_run(file.parent)):
        told = line_of(read, file)
        assert said in told
        assert str(file) in told


def test_a_config_that_is_one_is_read_as_omegaconf_reads_it(tmp_path):
    file = written(tmp_path / "config.yaml", "a: {b: [1, 2.5, null], c: '${a.b}'}\nd: yes\n")
    assert read_config(file) == OmegaConf.load(file)
    assert read_config(written(tmp_path / "empty.yaml", "")) == {}


def test_all_classes_of_a_config_are_found_at_any_depth():
    node = {"_target_": "a.A", "b": {"c": [{"_target_": "d.D"}, 1]}, "e": "_target_"}
    assert list(targets(node)) == list(targets(OmegaConf.create(node))) == ["a.A", "d.D"]


def evaluation(**more: object):
    return OmegaConf.create({"name": "eval", "group": None, "seed": None, "trust_run": False, **more})


@pytest.mark.parametrize("place", ["_target_", "train_transform._target_"])
@pytest.mark.parametrize("name", ["os.system", "fsrvos.data.parallel.os.system", "${oc.env:HOME}"])
def test_an_evaluation_builds_nothing_foreign_that_a_run_names(tmp_path, place, name):
    file = tmp_path / "config.yaml"
    own = OmegaConf.create({"_target_": "fsrvos.data.datamodule.EpisodeDataModule"})
    OmegaConf.update(own, place, name, force_add=True)
    OmegaConf.save({"name": "demo", "data": own}, file)
    told = line_of(with_settings_of_run, evaluation(), file)
    assert name in told
    assert str(file) in told
    assert "trust_run=true" in told
    trusted = with_settings_of_run(evaluation(trust_run=True), file)
    assert name in list(targets(trusted.data))


def test_an_evaluation_builds_what_our_own_runs_name(tmp_path):
    file = tmp_path / "config.yaml"
    own = {"_target_": "fsrvos.data.synthetic_datamodule.SyntheticDataModule",
           "test_transform": {"_target_": "fsrvos.data.transforms.TestTransform"}}  # fmt: skip
    OmegaConf.save({"name": "demo", "group": 3, "data": own}, file)
    assert with_settings_of_run(evaluation(), file).data.group == 3


def test_json_of_any_depth_and_kind_beside_runs_ends_in_one_line(tmp_path):
    results = written(tmp_path / "run" / "results.json", DEEP)
    assert "nested too deep" in line_of(read_run, results.parent)
    predictor = written(tmp_path / "weights" / "predictor.json", DEEP)
    assert "nested too deep" in line_of(settings_of, predictor.with_name("model.safetensors"))
    predictions = written(tmp_path / "masks" / "predictions.json", DEEP)
    assert "nested too deep" in line_of(Predictions, predictions)
    network = written(tmp_path / "network" / "config.json", DEEP)
    (network.parent / "model.safetensors").write_bytes((8 * b"\0") + b"{}")
    line_of(CMA.from_pretrained, network.parent)


def test_deep_lines_in_the_record_of_a_prediction_are_no_record(tmp_path):
    from fsrvos.prediction_layout import make_room

    for name in (".progress.jsonl", "predictions.json"):
        written(tmp_path / name / name, json.dumps({"phrases": ["a"]}) + "\n" + f'{{"name": {DEEP}}}' + "\n")
        assert "not from fsrvos-predict" in line_of(
            lambda name=name: make_room(tmp_path / name, overwrite=True)
        )
