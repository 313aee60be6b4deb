"""Mini-Ref-Synthetic as files: layout, determinism, folders that must not be touched, bad arguments."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from PIL import Image
from synthetic_sample import PARAMETERS, read, root

from fsrvos.cli.data import main
from fsrvos.data.annotations import Annotations
from fsrvos.data.synthetic import generate, generator
from fsrvos.errors import UserError

TINY = {"seed": 0, "videos_per_category": 1, "frames": 4, "size": (64, 112)}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return generate(tmp_path_factory.mktemp("tiny") / "data", workers=1, **TINY)


def test_bytes_do_not_depend_on_workers_or_repetition(tmp_path):
    told = []
    again = generate(
        tmp_path / "b", workers=2, progress=lambda done, total: told.append((done, total)), **PARAMETERS
    )
    assert digests(again) == digests(root())
    assert told == [(k, 96) for k in range(1, 97)]


def test_seed_changes_videos_and_more_videos_leave_the_first_ones_alone(tiny, tmp_path):
    other = digests(generate(tmp_path / "seed", workers=1, **{**TINY, "seed": 1}))
    first = digests(tiny)
    images = [name for name in first if name.endswith(".jpg")]
    assert all(first[name] != other[name] for name in images)
    more = digests(generate(tmp_path / "more", workers=1, **{**TINY, "videos_per_category": 2}))
    assert all(first[name] == more[name] for name in images)
    assert len(more) > len(first)


def test_layout(tiny):
    height, width = PARAMETERS["size"]
    said = read("meta_expressions/train/meta_expressions.json")["videos"]
    seen = read("train/meta.json")["videos"]
    assert list(said) == list(seen) == sorted(said)
    assert len(said) == 96
    expected = {
        "meta_expressions/train/meta_expressions.json",
        "train/meta.json",
        "scenes.json",
        "preview.png",
    }
    expected |= {"categories.json"}
    for video, entry in said.items():
        assert entry["frames"] == [f"{t:05d}" for t in range(PARAMETERS["frames"])]
        for frame in entry["frames"]:
            expected |= {f"train/JPEGImages/{video}/{frame}.jpg", f"train/Annotations/{video}/{frame}.png"}
    assert set(digests(root())) == expected
    with Image.open(root() / "train/JPEGImages/01-000/00000.jpg") as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (width, height))
    with Image.open(root() / "train/Annotations/01-000/00000.png") as mask:
        assert (mask.format, mask.mode, mask.size) == ("PNG", "P", (width, height))
    described = read("categories.json")
    assert described["name"] == "Mini-Ref-Synthetic"
    assert len(set(described["categories"])) == 48 == len(described["descriptions"])
    assert described["parameters"] == {"version": 1, **PARAMETERS, "size": [height, width]}


def test_the_loaders_read_it():
    annotations = Annotations(root())
    assert tuple(annotations.categories) == tuple(read("categories.json")["categories"])


def test_finished_folder_is_left_alone(tiny, capsys):
    before = {path: path.stat().st_mtime_ns for path in tiny.rglob("*")}
    told = []
    assert generate(tiny, workers=1, progress=lambda *args: told.append(args), **TINY) == tiny
    command = ["synth", "--out", str(tiny), "--videos-per-category", "1", "--frames", "4", "--size", "64x112"]
    assert main(command) == 0
    assert "already there" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in tiny.rglob("*")} == before
    assert told == []


def test_folder_of_other_parameters_is_replaced_only_when_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(generator, "CATEGORIES", generator.CATEGORIES[:2])
    out = generate(tmp_path / "data", workers=1, **TINY)
    before = digests(out)
    with pytest.raises(UserError, match=r"other parameters than seed=1 \(there: 0\).*--overwrite"):
        generate(out, workers=1, **{**TINY, "seed": 1})
    assert digests(out) == before
    generate(out, workers=1, overwrite=True, **{**TINY, "seed": 1})
    assert digests(out) != before
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_folder_with_videos_missing_is_not_called_finished(tmp_path, monkeypatch):
    monkeypatch.setattr(generator, "CATEGORIES", generator.CATEGORIES[:2])
    out = generate(tmp_path / "data", workers=1, **TINY)
    shutil.rmtree(out / "train/JPEGImages/02-000")
    with pytest.raises(UserError, match="has 1 videos left of 2"):
        generate(out, workers=1, **TINY)


@pytest.mark.parametrize("overwrite", [False, True])
def test_foreign_folder_is_never_touched(tmp_path, overwrite):
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(UserError, match="is no Mini-Ref-Synthetic"):
        generate(tmp_path, overwrite=overwrite, **TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_place_that_cannot_be_written_gives_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't make a folder beside"):
        generate(tmp_path / "file" / "data", **TINY)


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    shoot = generator.shoot

    def fails_late(seed, number, *rest):
        if number == 3:
            raise RuntimeError("disk full")
        return shoot(seed, number, *rest)

    monkeypatch.setattr(generator, "shoot", fails_late)
    with pytest.raises(RuntimeError, match="disk full"):
        generate(tmp_path / "deep" / "data", workers=1, **TINY)
    assert list((tmp_path / "deep").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "112"], "HEIGHTxWIDTH"),
        (["--size", "8x8"], "height must be 48-2048, got 8"),
        (["--size", "48x200"], "over 3 times the other one, got 48x200"),
        (["--frames", "1"], "frames must be 4-9999, got 1"),
        (["--frames", "many"], "invalid int value"),
        (["--videos-per-category", "0"], "videos_per_category must be 1-999"),
        (["--seed", "-1"], "seed must be 0-"),
        (["--workers", "0"], "workers must be at least 1"),
        (["--colour", "red"], "unrecognized arguments"),
    ],
)
def test_bad_arguments_give_one_line_and_exit_code_2(tmp_path, capsys, arguments, said):
    try:
        code = main(["synth", "--out", str(tmp_path / "data"), "--workers", "1", *arguments])
    except SystemExit as stop:
        code = stop.code
    printed = capsys.readouterr()
    assert code == 2
    (line,) = printed.err.splitlines()
    assert said in line
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []
