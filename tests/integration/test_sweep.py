"""A sweep of the smoke experiment with a job that fails, to the end: one table."""

import csv
import json
import re

import pytest
from commands import run

from fsrvos.cli import report as report_command
from fsrvos.cli import train as train_command

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
]


def test_a_sweep_ends_in_one_table(tmp_path, monkeypatch, capfd):
    arguments = [
        "-m", "experiment=smoke", "group=1,7,2", "trainer.max_steps=1", "data.val_episodes=1", "evaluation.sheet_rows=1",
        "evaluation.conditions=[right,no_support]", "model.coordinate_scale=1.0", "seed=1",
    ]  # fmt: skip
    done = run(train_command.main, arguments, tmp_path, monkeypatch, capfd)
    assert done.code == 2, done.err
    assert [line for line in done.complaints if "no result" in line] == [
        "fsrvos: 1 of 3 jobs have no result:"
    ]
    assert re.search(
        r"^fsrvos: job 1 \(experiment=smoke group=7 .*\) failed: group must be 1-4, got 7$", done.err, re.M
    )
    told = re.search(r"^2 of 3 jobs done -> fsrvos-report (outputs/sweeps/\S+)$", done.out, re.M)
    assert told
    assert "Traceback" not in done.err

    monkeypatch.setattr("sys.argv", ["fsrvos-report", told[1], "--controls"])
    assert report_command.main() == 0
    table = (tmp_path / "outputs" / "report" / "table.md").read_text()
    assert table in capfd.readouterr().out
    found = {}
    for file in tmp_path.glob("outputs/smoke/*/results.json"):
        results = json.loads(file.read_text())
        found[results["group"]] = results
    assert set(found) == {1, 2}
    cells = [cell.strip() for cell in re.search(r"^\| smoke +\|.*$", table, re.M)[0].strip("|").split("|")]
    expected = []
    for score in "JF":
        expected += [f"{found[group]['standard'][score]:.1f}" for group in (1, 2)] + ["missing"] * 3
    assert cells[1:] == expected
    assert any(float(cell) > 0 for cell in cells[1:] if cell != "missing")
    assert "smoke, group 7, seed 1: group must be 1-4, got 7" in table
    assert "smoke: no run of group 3, 4" in table
    assert (
        f"| {found[2]['controls']['no_support']['standard']['J']:.1f} |"
        in re.search("smoke: no support.*", table)[0]
    )
    with (tmp_path / "outputs" / "report" / "table.csv").open() as file:
        rows = {row["group"]: row for row in csv.DictReader(file)}
    assert float(rows["2"]["standard_J"]) == found[2]["standard"]["J"]
    assert (rows["7"]["state"], rows["7"]["reason"]) == ("missing", "group must be 1-4, got 7")
