from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from planting import EXPRESSIONS, IMAGES, MASKS, edit_json, write_clean

from fsrvos.cli.data import main


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_clean(tmp_path / "set")


def run(capsys: pytest.CaptureFixture, *arguments: object) -> tuple[int, str, str]:
    code = main(["validate", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_clean_set_exits_with_0_and_a_summary(root, capsys):
    code, out, _ = run(capsys, root)
    assert code == 0
    assert out.splitlines() == [
        f"{root} (layout ytvos, split train)",
        "",
        "3 videos, 4 objects, 5 expressions, 9 frames, 9 masks",
        "2 of 48 categories have the two videos that an episode needs; groups that can be trained and tested: 1, 2",
        "0 faults",
        "0 warnings",
    ]


def test_warnings_alone_exit_with_0(root, capsys):
    edit_json(root / EXPRESSIONS, lambda videos: videos["hat_a"]["expressions"]["1"].update(exp="a hat"))
    code, out, _ = run(capsys, root)
    assert code == 0
    assert "warning: expressions given twice (1)" in out
    assert out.endswith("0 faults\n1 warning: 1 expression-repeated\n")


def test_faults_exit_with_1_and_stand_by_kind_with_file_and_cure(root, capsys):
    (root / IMAGES / "pair/00005.jpg").unlink()
    (root / MASKS / "pair/00000.png").write_text("")
    code, out, _ = run(capsys, root)
    assert code == 1
    assert (
        "FAULT: frames missing (1)\n"
        "  train/JPEGImages/pair/00005.jpg: missing\n"
        "  cure: restore the file, or drop the frame from the JSON\n"
    ) in out
    assert "FAULT: masks unreadable (1)\n  train/Annotations/pair/00000.png: cannot be decoded" in out
    assert "2 faults: 1 frame-missing, 1 mask-unreadable\n0 warnings\n" in out


def test_of_many_the_first_few_are_shown_with_their_number(root, capsys):
    files = sorted((root / IMAGES).glob("*/*.jpg"))
    for path in [file for file in files if file.stem != "00010"]:
        path.unlink()
    _, out, _ = run(capsys, root)
    assert out.count(": missing\n") == 5
    assert "FAULT: frames missing (6)" in out
    assert "... and 1 more (--all shows them)" in out
    _, out, _ = run(capsys, root, "--all")
    assert out.count(": missing\n") == 6
    assert "more (--all" not in out


def test_json_is_all_that_stands_on_stdout(root, capsys):
    edit_json(root / EXPRESSIONS, lambda videos: videos["hat_a"]["expressions"]["1"].update(exp="a hat"))
    for path in (root / IMAGES).glob("*/*.jpg"):
        path.write_bytes(path.read_bytes()[:100])
    code, out, err = run(capsys, root, "--json")
    content = json.loads(out)
    assert code == 1
    assert "videos" in err  # the bar
    assert content["faults_by_kind"] == {"frame-unreadable": 9}
    assert content["warnings_by_kind"] == {"expression-repeated": 1}
    assert content["counts"] == {"videos": 3, "objects": 4, "expressions": 5, "frames": 0, "masks": 9}
    assert content["categories"] == {"known": 48, "with_two_videos": 2}
    assert (content["layout"], content["splits"], content["groups"]) == ("ytvos", ["train"], [1, 2])
    assert {entry["file"] for entry in content["faults"]} == {
        str(path) for path in (root / IMAGES).glob("*/*.jpg")
    }
    assert set(content["faults"][0]) == {"kind", "file", "problem", "cure"}


@pytest.mark.parametrize(
    "arguments", [["nowhere"], ["."], ["set", "--layout", "davis"], ["set", "--group", "9"], []]
)
def test_bad_usage_exits_with_2_and_one_line(root, tmp_path, capsys, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    if arguments == ["."]:
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path / "empty")
    try:
        code = main(["validate", *arguments])
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("fsrvos-data")


def test_a_group_is_asked_for(root, capsys):
    assert run(capsys, root, "--group", 1)[0] == 0
    code, out, _ = run(capsys, root, "--group", 4)
    assert code == 1
    assert "none of the categories that group 4 holds out (horse, " in out


def test_a_reader_that_goes_away_leaves_no_traceback(root):
    command = [sys.executable, "-c", "import sys; from fsrvos.cli.data import main; sys.exit(main())"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*command, "validate", str(root), "--workers", "1"], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [[], ["synth"], ["mini"], ["validate"], ["stats"]])
def test_help(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(" ".join(["usage: fsrvos-data", *command]))
    if not command:
        assert all(f"\n    {name} " in said for name in ("synth", "mini", "validate", "stats"))
