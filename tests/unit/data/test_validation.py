from __future__ import annotations

import copy
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED
from planted_faults import CASES, PLANTED
from planting import EXPRESSIONS, IMAGES, MASKS, META, cut, edit_json, edit_mask, films, write_clean
from zoo import Film, Thing, one, read_quietly, write

from fsrvos.data.clips import read_clip
from fsrvos.data.faults import KINDS, Fault
from fsrvos.data.synthetic import generate
from fsrvos.data.validation import Validation, validate
from fsrvos.errors import UserError

PUBLIC = SHARED / "annotations/ref_youtube_vos_valid_meta_expressions.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_clean(tmp_path / "set")


def check(root: Path, **options) -> Validation:
    (result,) = validate(root, workers=1, **options)
    return result


def kinds(findings: list[Fault]) -> list[str]:
    return [found.kind for found in findings]


# ---------------------------------------------------------------- no fault


def test_a_clean_set(root):
    result = check(root)
    assert result.findings == []
    assert (result.root, result.layout, result.splits) == (root, "ytvos", ["train"])
    # hat_a: 2 phrases; pair: 2 objects, 2 phrases; plant_a: 1; three frames and masks each.
    assert dict(result.counts) == {"videos": 3, "objects": 4, "expressions": 5, "frames": 9, "masks": 9}
    assert result.categories == (48, 2)
    assert result.groups == [1, 2]


def test_a_fresh_synthetic_set_is_clean(tmp_path):
    root = generate(tmp_path / "synth", videos_per_category=1, frames=4, size=(48, 64), workers=1)
    result = check(root)
    assert result.findings == []
    assert result.counts["frames"] == result.counts["masks"] == 48 * 4
    assert result.groups == [1, 2, 3, 4]


def test_the_real_clips_are_clean():
    if not (SHARED / "data").is_dir():
        pytest.skip("../shared with the real clips is not here")
    result = check(SHARED / "data")
    assert result.findings == []
    assert result.counts == {"videos": 6, "objects": 6, "expressions": 12, "frames": 78, "masks": 78}


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_find_the_same(root, workers):
    for path in (root / MASKS).glob("*/00005.png"):
        path.unlink()
    (result,) = validate(root, workers=workers)
    assert [found.file for found in result.faults] == [
        root / MASKS / video / "00005.png" for video in ("hat_a", "pair", "plant_a")
    ]


def test_progress_is_told_by_video(root):
    told = []
    validate(root, workers=1, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


# ---------------------------------------------------------------- every kind of fault, planted one by one


@pytest.mark.parametrize(("kind", "number"), CASES)
def test_a_planted_fault_is_found_with_file_and_cure(root, kind, number):
    plant, file, said = PLANTED[kind][number]
    plant(root)
    result = check(root)
    found = [one for one in result.findings if one.kind == kind]
    assert len(found) == 1, result.findings
    assert found[0].file == root / file
    assert said in found[0].problem
    assert found[0].cure
    assert "\n" not in found[0].problem + found[0].cure
    assert found[0] in (result.warnings if KINDS[kind].is_warning else result.faults)


ELSEWHERE = {"categories-few", "split-without-ids", "split-incomplete"}


def test_every_kind_is_planted():
    assert set(PLANTED) | ELSEWHERE == set(KINDS)


def test_the_docs_list_every_kind_with_its_cure():
    page = (Path(__file__).parents[3] / "docs/data.md").read_text()
    faults, warnings = page.split("### Warnings")
    for name, kind in KINDS.items():
        row = f"| `{name}` | {kind.title} | {kind.cure} |"
        assert row in (warnings if kind.is_warning else faults)


# Kinds of fault that training stops at; the others teach what is false, and training cannot see them.
SILENT = {"object-in-no-mask", "value-in-no-json"}


LOUD = [case for case in CASES if not KINDS[case[0]].is_warning and case[0] not in SILENT]


@pytest.mark.parametrize(("kind", "number"), LOUD)
def test_what_is_called_a_fault_stops_training(root, kind, number):
    PLANTED[kind][number][0](root)
    if "end marker" in check(root).faults[0].problem:  # cut off behind the last pixel: training does without
        assert kind in ("frame-unreadable", "mask-unreadable")
        read_everything(root)
        return
    with pytest.raises(UserError):
        read_everything(root)


def read_everything(root: Path) -> None:
    annotations = read_quietly(root)
    for name, video in annotations.videos.items():
        for object_id in video.objects:
            for eid in video.expression_ids(object_id):
                read_clip(annotations, annotations.clip(name, object_id, eid, video.frames))


@pytest.mark.filterwarnings("ignore:.*(fewer than two videos|visible in no frame).*")
@pytest.mark.parametrize(("kind", "number"), [case for case in CASES if KINDS[case[0]].is_warning])
def test_what_is_called_a_warning_does_not(root, kind, number):
    PLANTED[kind][number][0](root)
    read_everything(root)


# ---------------------------------------------------------------- all of them, not the first


def test_all_faults_are_told_at_once(root):
    def change(videos):
        videos["pair"]["expressions"]["0"] = {"exp": "", "obj_id": None}
        videos["pair"]["expressions"]["1"]["obj_id"] = "8"
        videos["plant_a"]["expressions"]["0"] = 3

    edit_json(root / EXPRESSIONS, change)
    edit_json(root / META, lambda videos: videos["hat_a"]["objects"]["1"].update(category="htt"))
    (root / IMAGES / "hat_a/00000.jpg").unlink()
    cut(root / IMAGES / "hat_a/00005.jpg", 0.4)
    cut(root / MASKS / "plant_a/00010.png", 0.4)
    expected = ["expression-empty", "expression-without-object", "expression-without-object", "json"]
    expected += ["category-unknown", "categories-few", "frame-missing", "frame-unreadable", "mask-unreadable"]
    assert sorted(kinds(check(root).faults)) == sorted(expected)


def test_whatever_stands_in_the_json_is_told_and_nothing_else_is_raised(root):
    rng = random.Random(0)
    values = [
        None,
        3,
        -1,
        "",
        "x",
        "..",
        [],
        [1],
        {},
        {"a": 1},
        True,
        1e99,
        "00000",
        {"exp": "a", "obj_id": []},
    ]

    def places(node, path=()):
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            yield (*path, key)
            yield from places(value, (*path, key))

    told = 0
    for file in (root / EXPRESSIONS, root / META):
        text = file.read_text()
        for _ in range(80):
            content = json.loads(text)
            for _ in range(rng.randint(1, 3)):
                *way, last = rng.choice(list(places(content)))
                node = content
                for key in way:
                    node = node[key]
                if rng.random() < 0.2 and isinstance(node, dict):
                    node[rng.choice(["..", "a/b", "7", "x"])] = node.pop(last)
                else:
                    node[last] = copy.deepcopy(rng.choice(values))
            file.write_text(json.dumps(content))
            findings = check(root).findings
            told += bool(findings)
            assert all("\n" not in one.problem and one.cure for one in findings)
        file.write_text(text)
    assert told > 140  # a few changes are none, such as a phrase that becomes another


def test_a_broken_entry_is_told_once_not_at_every_use_of_it(root):
    edit_json(root / META, lambda videos: videos["pair"]["objects"].update({"2": 5}))
    assert kinds(check(root).faults) == ["json"]


def test_the_files_of_an_id_outside_the_root_are_never_opened(root, tmp_path):
    shutil.copytree(root / IMAGES / "pair", tmp_path / "outside")
    cut(tmp_path / "outside/00005.jpg", 0.1)
    edit_json(root / EXPRESSIONS, lambda videos: videos.update({"../../../outside": videos.pop("pair")}))
    result = check(root)
    assert kinds(result.faults) == ["unsafe-id", "categories-few"]  # no second hat is left
    assert not any("outside" in str(found.file) for found in result.findings)


def test_the_cure_of_an_unknown_category_names_the_nearest_known_one(root):
    edit_json(root / META, lambda videos: videos["pair"]["objects"]["2"].update(category="plnt"))
    (found,) = [one for one in check(root).faults if one.kind == "category-unknown"]
    assert "categories.json" in found.cure
    assert found.cure.endswith("the nearest known name is 'plant'")


# ---------------------------------------------------------------- groups


def test_a_group_that_cannot_be_tested_or_trained(root, tmp_path):
    assert check(root, group=1).findings == []
    (found,) = check(root, group=3).faults
    assert (found.kind, found.file) == ("categories-few", root / META)
    assert "group 3 holds out (hand, " in found.problem
    only_hats = write(tmp_path / "hats", {name: Film(2, {"1": one("hat", "a hat")}) for name in "ab"})
    assert check(only_hats).findings == []
    (found,) = check(only_hats, group=1).faults
    assert "group 1 trains on (plant, " in found.problem


def test_no_category_with_two_videos(tmp_path):
    root = write(tmp_path, {"a": Film(2, {"1": one("hat", "a hat")})})
    assert kinds(check(root).findings) == ["category-one-video", "categories-few"]


def test_objects_of_other_categories_need_no_expression(tmp_path):
    films = {name: Film(2, {"1": one("hat", "a hat"), "2": Thing("owl", [])}) for name in "ab"}
    assert check(write(tmp_path, films)).findings == []


# ---------------------------------------------------------------- layouts and splits

SAIL = {
    "readme, bmp": ("Mini-Ref-SAIL-VOS", {"images": "train/Images", "suffix": ".bmp"}),
    "readme, jpg, train.json": ("Mini-Ref-SAIL-VOS", {"meta": "train/train.json"}),
    "readme, another name": ("other", {}),
    "code, bmp": (
        "mini-SAIL-VOS",
        {"expressions": "meta_expressions.json", "meta": "meta.json", "images": "Images", "masks": "Annotations",
         "suffix": ".bmp"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("arrangement", SAIL)
@pytest.mark.parametrize("where", ["", "folder"])
def test_sail_vos_is_recognised(tmp_path, arrangement, where):
    folder, options = SAIL[arrangement]
    cars = {name: Film(3, {"1": one("car", "a car")}) for name in ("a", "b")}
    root = write(tmp_path / folder, cars, mask_value=3, **options)  # any value means object 1
    result = check(root if where else tmp_path)
    assert result.layout == "sailvos"
    assert result.findings == []
    assert result.categories == (3, 1)
    edited = next(root.rglob("Annotations")) / "a/00005.png"
    cut(edited, 0.3)
    assert [(found.kind, found.file) for found in check(root).faults] == [("mask-unreadable", edited)]


def test_a_truncated_bmp(tmp_path):
    folder, options = SAIL["readme, bmp"]
    root = write(
        tmp_path / folder, {name: Film(3, {"1": one("car", "a car")}) for name in ("a", "b")}, **options
    )
    cut(root / "train/Images/a/00000.bmp", 0.99)
    assert kinds(check(root).faults) == ["frame-unreadable"]


@pytest.mark.parametrize("meta", ["train/meta.json", "train/train.json", "meta.json"])
def test_ref_youtube_vos_with_its_public_validation_split(tmp_path, meta):
    root = write(tmp_path, films(), meta=meta)
    valid = {"v": Film(3, {"1": one("hat", "a hat")})}
    write(
        root, valid, expressions="meta_expressions/valid/meta_expressions.json", meta="valid/meta.json",
        images="valid/JPEGImages", masks="valid/Annotations",
    )  # fmt: skip
    file = root / "meta_expressions/valid/meta_expressions.json"
    edit_json(file, lambda videos: videos["v"]["expressions"]["0"].pop("obj_id"))
    for frame in ("00005", "00010"):  # only first masks are public
        (root / f"valid/Annotations/v/{frame}.png").unlink()
    result = check(root)
    assert result.splits == ["train", "valid"]
    assert result.faults == []
    assert [(found.kind, found.file) for found in result.warnings] == [("split-without-ids", file)]
    cut(root / "valid/JPEGImages/v/00005.jpg", 0.3)
    assert kinds(check(root).faults) == ["frame-unreadable"]
    shutil.rmtree(root / "valid/JPEGImages")
    assert kinds(check(root).warnings) == ["split-incomplete", "split-without-ids"]


def test_ref_davis_with_train_and_valid(tmp_path):
    root = write(tmp_path / "ref-davis", films())
    write(
        root, {"v": Film(3, {"1": one("hat", "a hat"), "2": one("hat", "another")})},
        expressions="meta_expressions/valid/meta_expressions.json", meta="valid/meta.json",
        images="valid/JPEGImages", masks="valid/Annotations",
    )  # fmt: skip
    result = check(tmp_path)
    assert (result.root, result.splits, result.findings) == (root, ["train", "valid"], [])
    assert result.counts["videos"] == 4
    repaint_valid = root / "valid/Annotations/v"
    for path in repaint_valid.glob("*.png"):
        edit_mask(path, lambda values: np.where(values == 2, 3, values))
    found = check(root).faults
    assert kinds(found) == ["object-in-no-mask", "value-in-no-json"]
    assert [one.file for one in found] == [root / "valid/meta.json", repaint_valid / "00000.png"]


def test_of_several_data_sets_a_layout_chooses_the_one_that_training_takes(tmp_path):
    ours = write_clean(tmp_path / "Mini-Ref-YouTube-VOS")
    sail = write(tmp_path / "Mini-Ref-SAIL-VOS", {name: Film(2, {"1": one("car", "a car")}) for name in "ab"})
    assert check(tmp_path, layout="ytvos").root == ours
    assert check(tmp_path, layout="sailvos").root == sail
    with pytest.raises(UserError, match="holds several data sets"):
        validate(tmp_path)


def test_own_category_names(tmp_path):
    bikes = {name: Film(2, {"1": one("golf cart", "a cart")}) for name in ("a", "b")}
    root = write(tmp_path, bikes)
    found = check(root).faults
    assert kinds(found) == ["category-unknown", "category-unknown", "categories-few"]
    (root / "categories.json").write_text(json.dumps({"categories": ["golf cart", "kite"]}))
    assert check(root).findings == []


def test_the_train_folder_of_a_set_is_the_set(root):
    result = check(root / "train")
    assert (result.root, result.layout, result.findings) == (root, "ytvos", [])


def test_the_current_folder_may_be_given(root, monkeypatch):
    monkeypatch.chdir(root)
    assert check(Path(".")).findings == []
    monkeypatch.chdir(root / "train")
    result = check(Path("."))
    assert (result.layout, result.findings, result.counts["videos"]) == ("ytvos", [], 3)


def test_what_is_no_data_set(root, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="empty: no data set"):
        validate(empty)
    with pytest.raises(UserError, match="nowhere: no such folder or file"):
        validate(tmp_path / "nowhere")
    with pytest.raises(UserError, match="layout must be one of auto, ytvos, sailvos, got 'x'"):
        validate(root, layout="x")
    with pytest.raises(UserError, match="group must be 1-4, got 5"):
        validate(root, group=5)
    with pytest.raises(UserError, match="workers must be at least 1, got 0"):
        validate(root, workers=0)
    (empty / "a.json").write_text('{"videos": {"a": {}}}')
    with pytest.raises(UserError, match=r"a.json: neither a meta_expressions.json nor a meta.json"):
        validate(empty / "a.json")
    write_clean(tmp_path / "second")
    with pytest.raises(UserError, match=r"holds several data sets, give one of them: .*second, .*set"):
        validate(tmp_path)
    (tmp_path / "mevis/train").mkdir(parents=True)
    (tmp_path / "mevis/train/mask_dict.json").write_text("{}")
    with pytest.raises(UserError, match="mevis: is in the layout of MeViS, which is not supported"):
        validate(tmp_path / "mevis")


# ---------------------------------------------------------------- a JSON file alone


def test_a_json_file_alone(root):
    result = check(root / EXPRESSIONS)
    assert (result.layout, result.findings) == (None, [])
    assert result.counts == {"videos": 3, "expressions": 5}
    assert check(root / META).counts == {"videos": 3, "objects": 4}
    edit_json(root / EXPRESSIONS, lambda videos: videos["pair"]["expressions"]["0"].update(exp=""))
    assert kinds(check(root / EXPRESSIONS).findings) == ["expression-empty"]
    cut(root / META, 0.5)
    assert kinds(check(root / META).findings) == ["json"]


@pytest.mark.parametrize("place", ["file", "folder", "train", "valid"])
def test_the_public_validation_file_is_told_of_in_one_statement(root, tmp_path, place):
    if not PUBLIC.is_file():
        pytest.skip("../shared with the public annotations is not here")
    path, file = PUBLIC, PUBLIC
    if place == "folder":
        path = PUBLIC.parent
    elif place == "train":
        path, file = root, Path(shutil.copy(PUBLIC, root / EXPRESSIONS))
        for folder in (IMAGES, MASKS):
            shutil.rmtree(root / folder)
    elif place == "valid":
        path = tmp_path / "alone"
        (path / "meta_expressions/valid").mkdir(parents=True)
        file = Path(shutil.copy(PUBLIC, path / "meta_expressions/valid/meta_expressions.json"))
    found = [one for one in check(path).faults if one.kind != "file-missing"]
    assert [(one.kind, one.file) for one in found] == [("no-object-ids", file)]
    assert 'none of its 2096 expressions of 507 videos has an "obj_id"' in found[0].problem
    assert "train split" in found[0].cure
