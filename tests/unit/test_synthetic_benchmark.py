"""The plan and the report of benchmarks/synthetic.py; its runs are fsrvos-train's, tested elsewhere."""

import json
import shutil

import pytest
from hydra import compose, initialize_config_dir
from synthetic import VARIANTS, Bench, Run, main, plan, support_settings
from synthetic_report import spread, write_report

from fsrvos.cli.common import build, config_directory


def score(J):
    return {"standard": {"J": J, "F": J + 5}}


def record(variant, seed, J, minutes=10.0):
    controls = {
        "wrong_support": score(20.0),
        "no_support": score(10.0),
        "wrong_text": {**score(30.0), "right_on_same": score(50.0)},
    }
    return {
        "settings": ["group=1", "data.root=/home/somebody/data"],
        "machine": "2 x CPU",
        "jobs": 2,
        "variant": variant,
        "group": 1,
        "seed": seed,
        "steps": 300,
        "run": "/home/somebody/run",
        "minutes": minutes,
        "curve": [{"step": 100, "minutes": 3.0, "J": 30.0}, {"step": 300, "minutes": 9.0, "J": J}],
        "results": {**score(J), "controls": controls, "per_category": {"bime": {"J": J}}},
    }


def scored(frames, clips, J):
    kept = {"settings": [], "machine": "2 x CPU", "jobs": 2, "minutes": 1.0}
    return {**kept, "support_of": "cma_plus_g1_s0", "frames": frames, "clips": clips, "results": score(J)}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_a_network(variant):
    with initialize_config_dir(config_directory(), version_base="1.3"):
        config = compose("train", ["experiment=demo", *VARIANTS[variant]])
    model, criterion = build(config.model), build(config.criterion)
    assert model.variant == variant.split(",")[0]
    taught = variant == "cma_plus" or "match taught" in variant
    assert (criterion.affinity is not None) == model.config["rest"] == taught
    assert model.config["judge_by_match"] == (variant == "cma_plus" or "taught, judging" in variant)
    said = variant == "cma_plus" or "phrase" in variant
    assert (criterion.phrase_weight > 0) == model.config["judge_by_phrase"] == said


def test_a_variant_turns_on_what_it_is_named_after():
    with initialize_config_dir(config_directory(), version_base="1.3"):
        config = compose("train", ["experiment=demo", *VARIANTS["cma, mask_background"]])
    on = {key for key, value in config.model.items() if value is True}
    assert on == {"mask_background", "drop_class_heads"}


def test_other_supports_are_settings_of_an_evaluation():
    with initialize_config_dir(config_directory(), version_base="1.3"):
        config = compose("eval", support_settings(3, 2, "run"))
    assert (config.data.support_frames, config.data.support_clips) == (3, 2)
    assert config.evaluation.conditions == ["right"]


def test_the_best_variant_alone_gets_further_seeds():
    runs = plan([1, 2], ["cma", "cma_plus"], [0, 1])
    per_group = [("cma", 0), ("cma_plus", 0), ("cma_plus", 1)]
    assert [(r.group, r.variant, r.seed) for r in runs] == [(g, *rest) for g in (1, 2) for rest in per_group]
    assert len({run.name for run in runs}) == len(runs)


def test_report_has_a_row_for_every_variant(tmp_path):
    records = [record("cma", 0, 25.0), record("cma_plus", 0, 40.0), record("cma_plus", 1, 44.0)]
    write_report([*records, scored(1, 1, 41.0), scored(5, 1, 45.0)], ["base", "cma", "cma_plus"], tmp_path)
    page = (tmp_path / "synthetic.md").read_text()
    cells = {
        line.split("|")[1].strip(): [c.strip() for c in line.split("|")]
        for line in page.splitlines()
        if "|" in line
    }
    assert cells["base"][2:4] == ["0", "missing"]
    assert cells["cma"][2:] == ["1", "25.0", "20.0", "10.0", "20.0", "30.0", "10", ""]
    assert cells["cma_plus"][2:4] == ["2", "42.0 ± 2.8"]
    assert cells["5"][2:4] == ["1", "45.0"]
    plots = {path.name for path in tmp_path.glob("*.png")}
    assert plots == {f"synthetic_{name}.png" for name in ("variants", "curves", "categories", "supports")}
    assert "somebody" not in (tmp_path / "synthetic.json").read_text()


def test_spread_is_the_sample_standard_deviation():
    assert spread([1.0]) == "1.0"
    assert spread([1.0, 2.0, 3.0]) == "2.0 ± 1.0"


def test_a_run_of_other_settings_is_refused_and_an_empty_folder_told(tmp_path, capsys):
    places = ["--out", str(tmp_path / "out"), "--results", str(tmp_path / "results")]
    assert main(["--report-only", *places]) == 2
    assert "nothing to report" in capsys.readouterr().err
    assert main(["--report-only", "--variants", "cnn", *places]) == 2
    assert "unknown variant 'cnn'" in capsys.readouterr().err
    kept = tmp_path / "out" / "records" / f"{Run('cma', 1, 0).name}.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps(record("cma", 0, 25.0)))
    data = ["data.video_frames=4", "data.videos_per_category=3", "data.video_size=[64,96]"]
    made = ["--root", str(tmp_path / "data"), "--variants", "cma", "--jobs", "1", "--set", *data]
    assert main([*made, *places]) == 2
    assert "made with other settings" in capsys.readouterr().err


def test_a_changed_config_is_another_run(tmp_path, monkeypatch):
    def bench(*common):
        return Bench(tmp_path, 3, 1, list(common), float("inf"))

    run = Run("cma", 1, 0)
    asked = bench("data.batch_size=4").asked(run)
    assert asked[:-1] == bench("data.batch_size=4").settings(run)
    assert asked == bench("data.batch_size=4").asked(run)
    assert asked[-1].startswith("config=")
    copy = tmp_path / "configs"
    shutil.copytree(config_directory(), copy)
    demo = copy / "experiment" / "demo.yaml"
    demo.write_text(demo.read_text().replace("test_seeds: [0]", "test_seeds: [1]"))
    monkeypatch.setattr("synthetic.config_directory", lambda: str(copy))
    changed = bench("data.batch_size=4").asked(run)
    assert changed[:-1] == asked[:-1]
    assert changed[-1] != asked[-1]
    demo.write_text(demo.read_text().replace("test_seeds: [1]", "test_seeds: [0]"))
    sheet = copy / "evaluation" / "default.yaml"
    sheet.write_text(sheet.read_text().replace("sheet_rows: 8", "sheet_rows: 9"))
    assert bench("data.batch_size=4").asked(run) == asked  # no score depends on it


def test_results_outlive_the_runs(tmp_path):
    bench = Bench(tmp_path / "out", 300, 1, ["data.root=/home/somebody/data"], float("inf"))
    known, changed, missing = Run("cma_plus", 1, 0), Run("cma", 1, 0), Run("base", 1, 0)
    runs = [known, changed, missing]
    asked = [bench.asked(run) for run in runs]
    records = [
        {**record(run.variant, 0, 40.0), "settings": settings}
        for run, settings in zip(runs[:2], asked[:2], strict=True)
    ]
    records[1]["settings"] = [*asked[1][:-1], "config=another"]
    of_known = {**scored(5, 1, 45.0), "settings": ["conditions=[right]", "checkpoint=/run", asked[0][-1]]}
    of_another = {**scored(3, 1, 45.0), "settings": ["conditions=[right]", "config=another"]}
    write_report([*records, of_known, of_another], ["cma_plus", "cma"], tmp_path / "results")
    bench.recall(tmp_path / "results" / "synthetic.json", runs, asked)
    found = {path.name for path in (tmp_path / "out" / "records").iterdir()}
    assert found == {"cma_plus_g1_s0.json", "cma_plus_g1_s0_frames5_clips1.json"}
    assert bench.is_done(known.name, asked[0])
    assert not bench.is_done(changed.name, asked[1])
    bench.recall(tmp_path / "none.json", runs, asked)
