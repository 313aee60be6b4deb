from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from planting import META, edit_json
from zoo import Film, Thing, one, write

from fsrvos.cli.data import main
from fsrvos.data.statistics import count
from fsrvos.errors import UserError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Frames of 40 by 24: alone, an object is 8 rows by 20 columns; of two, each is 8 by 10."""
    films = {
        "a": Film(4, {"1": one("hat", "a hat", "the hat on the left")}),
        "b": Film(3, {"1": one("hat", "a red hat"), "2": one("plant", "plant", visible=[1])}),
        "c": Film(5, {"1": one("person", "the one who walks"), "2": Thing("hat", [])}),
        "d": Film(2, {"1": one("owl", "an owl of no category")}),
    }
    return write(tmp_path / "set", films)


def test_counts_by_hand(root):
    statistics = count(root, workers=1)
    rows = {name: row.to_dict() for name, row in statistics.categories.items() if row.objects}
    assert list(rows) == ["hat", "plant", "person"]
    whole, half = 100 * 160 / 960, 100 * 80 / 960
    hat = rows["hat"]
    assert (hat["videos"], hat["objects"], hat["expressions"], hat["frames"]) == (2, 2, 3, 7)
    assert hat["object_frames"] == 7
    assert (hat["words_mean"], hat["words_min"], hat["words_max"]) == (pytest.approx(10 / 3), 2, 5)
    assert hat["size_percent_min"] == pytest.approx(half)
    assert hat["size_percent_max"] == pytest.approx(whole)
    assert hat["size_percent_median"] == pytest.approx((half + whole) / 2)
    plant = rows["plant"]
    assert (plant["videos"], plant["frames"], plant["object_frames"], plant["words_mean"]) == (1, 3, 1, 1)
    assert plant["size_percent_median"] == pytest.approx(half)  # over the one frame that shows it
    total = statistics.total.to_dict()
    assert (total["videos"], total["objects"], total["expressions"], total["frames"]) == (3, 4, 5, 12)
    groups = {group: row.to_dict()["videos"] for group, row in statistics.groups.items()}
    assert groups == {1: 2, 2: 1, 3: 0, 4: 1}  # ids: hat 1, plant 2, person 48


def test_an_object_without_pixels_has_no_size(root):
    for path in (root / "train/Annotations/c").glob("*.png"):
        Image.new("L", (40, 24)).save(path)
    row = count(root, workers=1).categories["person"].to_dict()
    assert row["objects"] == 1
    assert row["size_percent_median"] is None


def test_sail_vos_has_no_groups(tmp_path):
    cars = {name: Film(2, {"1": one("car", "a car")}) for name in ("a", "b")}
    root = write(tmp_path / "Mini-Ref-SAIL-VOS", cars, mask_value=3)
    statistics = count(tmp_path, workers=1)
    assert (statistics.root, statistics.layout, statistics.groups) == (root, "sailvos", {})
    assert statistics.total.to_dict()["size_percent_median"] == pytest.approx(100 * 160 / 960)
    assert main(["stats", str(root), "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    assert (tmp_path / "out/stats.png").is_file()


def test_two_processes_count_the_same(root):
    assert count(root, workers=2).to_dict() == count(root, workers=1).to_dict()


def test_what_cannot_be_counted(root, tmp_path):
    with pytest.raises(UserError, match="nowhere: no data set there"):
        count(tmp_path / "nowhere")
    (root / "train/Annotations/a/00000.png").unlink()
    with pytest.raises(UserError, match=r"a/00000.png: missing"):
        count(root, workers=1)
    edit_json(root / META, lambda videos: videos["a"]["objects"]["1"].update(category="htt"))
    with pytest.raises(UserError, match="unknown category 'htt'"):
        count(root, workers=1)


def test_the_command_prints_and_plots(root, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["stats", str(root), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert (
        "| hat      |      2 |       2 |           3 |      7 |   12.5 |  8.3-16.7 |   3.3 |       2-5 |"
        in said
    )
    assert "Without videos: 45 of 48 categories." in said
    assert sorted(path.name for path in out.iterdir()) == ["stats.json", "stats.md", "stats.png"]
    assert (out / "stats.md").read_text() in said + "\n"
    with Image.open(out / "stats.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[0] > 500
    assert pixels.shape[1] > 1000
    for colour in ((0, 114, 178), (213, 94, 0), (204, 121, 167)):  # groups 1, 2 and 4 have bars
        assert (pixels == colour).all(-1).sum() > 500
    assert main(["stats", str(root), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "stats.json").read_text())
    assert printed["categories"]["hat"]["expressions"] == 3
    assert main(["stats", str(tmp_path / "nowhere")]) == 2
