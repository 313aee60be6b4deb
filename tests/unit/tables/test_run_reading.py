"""Run folders on disk, and the command over them."""

import csv
import json
import os
import re

import pytest
from made_runs import write_run

from fsrvos.cli.report import main
from fsrvos.errors import UserError
from fsrvos.run_folders import JobRecord
from fsrvos.tables.runs import find_runs, read_run


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    """Two finished runs, and one that failed at once."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "demo"
    write_run(
        folder / "2026-01-01_00-00-00", 40.0, 50.0, overrides=["experiment=demo", "group=1", "++optim.lr=0.1"]
    )
    write_run(
        folder / "2026-01-01_00-00-01", 60.0, 70.0, group=2, overrides=["group=2", "~callbacks.progress"]
    )
    write_run(
        folder / "2026-01-01_00-00-02", group=7, overrides=["group=7"], failed="group must be 1-4, got 7"
    )
    return tmp_path / "outputs"


def test_a_run_is_read(outputs):
    run = read_run(outputs / "demo" / "2026-01-01_00-00-00")
    assert (run.name, run.group, run.seed, run.started) == ("demo", 1, 0, "2026-01-01_00-00-00")
    assert run.settings == {"experiment": "demo", "group": "1", "optim.lr": "0.1"}
    assert run.results["standard"]["J"] == 40
    assert [run.value(key) for key in ("optim.lr", "backbone", "model.variant", "data.root", "nonsense")] == [
        "0.1", "small", "cma", "data/A", None
    ]  # fmt: skip
    assert read_run(outputs / "demo" / "2026-01-01_00-00-01").settings["callbacks.progress"] == "removed"


def test_a_failed_run_is_read_from_what_hydra_left(outputs):
    run = read_run(outputs / "demo" / "2026-01-01_00-00-02")
    assert (run.name, run.group, run.results, run.failure) == ("demo", 7, None, "group must be 1-4, got 7")
    assert run.value("optim.lr") == "0.001"


def test_results_alone_are_a_run(tmp_path):
    folder = write_run(tmp_path / "named" / "copied", 40.0, 50.0, group=3)
    for file in (*(folder / ".hydra").iterdir(), folder / "config.yaml"):
        file.unlink()
    (folder / ".hydra").rmdir()
    os.utime(folder / "results.json", (0, 0))
    run = read_run(folder)
    assert (run.name, run.group, run.seed) == ("demo", 3, None)
    assert run.started.startswith(("1970-01-01", "1969-12-31"))


def test_any_mix_of_places_gives_each_run_once(outputs):
    folder = outputs / "demo"
    assert len(find_runs([outputs])) == 3
    assert len(find_runs([folder / "2026-01-01_00-00-01", folder])) == 3
    assert find_runs([folder / "2026-01-01_00-00-01", folder])[0].group == 2


def test_the_folder_of_a_sweep_means_its_jobs(outputs):
    sweep = outputs / "sweeps" / "2026-01-01_00-00-00"
    first, gone = outputs / "demo" / "2026-01-01_00-00-00", outputs / "demo" / "2026-01-01_00-00-09"
    JobRecord(0, ["group=1"], first, "done").save(sweep)
    write_run(gone, group=4)
    JobRecord(1, ["group=4"], gone, "running").save(sweep)
    assert json.loads((sweep / "jobs" / "0.json").read_text())["folder"] == "../../demo/2026-01-01_00-00-00"
    runs = find_runs([sweep])
    assert [(run.group, run.reason) for run in runs if not run.results] == [(4, "did not finish")]
    assert len(runs) == 2
    assert len(find_runs([outputs])) == 4
    assert [run.reason for run in find_runs([outputs]) if run.group == 4] == ["did not finish"]


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_no_runs_is_a_mistake(outputs, name, capsys):
    (outputs / "empty").mkdir()
    assert main([str(outputs / name)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"fsrvos-report: {outputs / name} ")


@pytest.mark.parametrize(
    ("file", "content"), [("results.json", "{"), ("results.json", "{}"), ("config.yaml", "a: [")]
)
def test_a_damaged_file_is_named(outputs, file, content):
    damaged = outputs / "demo" / "2026-01-01_00-00-00" / file
    damaged.write_text(content)
    with pytest.raises(UserError, match=str(damaged)) as error:
        find_runs([outputs])
    assert "\n" not in str(error.value)


def test_the_command(outputs, capsys):
    assert main(["outputs/demo", "--out", "tables", "--rows", "name", "--score", "J", "--controls"]) == 0
    said = capsys.readouterr().out
    folder = outputs.parent / "tables"
    assert {file.name for file in folder.iterdir()} == {
        "table.md",
        "table.tex",
        "table.csv",
        "table.png",
        "controls.tex",
    }
    text = (folder / "table.md").read_text()
    assert said.startswith(text)
    assert said.strip().splitlines()[-1].startswith("3 runs -> tables/table.md, ")
    assert "| demo    | 40.0 | 60.0 | missing | missing | missing |" in text
    assert "group 7, seed 0: group must be 1-4, got 7 (outputs/demo/2026-01-01_00-00-02)" in text
    assert "demo mixes settings: optim.lr is 0.001, 0.1" in text
    assert re.search(r"\| demo: wrong support +\| 30.0 \| 50.0 \|", text)
    assert r"\midrule" in (folder / "controls.tex").read_text()
    assert len(list(csv.DictReader((folder / "table.csv").open()))) == 3


@pytest.mark.parametrize(
    "arguments", [["--score", "J,K"], ["--score", "J,J"], ["--rows", ","], ["--protocol", "other"], []]
)
def test_bad_arguments(outputs, arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*(["outputs"] if arguments else []), *arguments])
    assert stop.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
