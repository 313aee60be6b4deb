from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED
from PIL import Image
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


def in_expressions(change: Callable[[dict], object]) -> Callable[[Path], object]:
    return lambda root: edit_json(root / EXPRESSIONS, change)


def in_meta(change: Callable[[dict], object]) -> Callable[[Path], object]:
    return lambda root: edit_json(root / META, change)


def of_pair(**changes) -> Callable[[Path], object]:
    return in_expressions(lambda videos: videos["pair"]["expressions"]["0"].update(changes))


def without(key: str) -> Callable[[Path], object]:
    return in_expressions(lambda videos: videos["pair"]["expressions"]["0"].pop(key))


def resize(path: str, size: tuple[int, int]) -> Callable[[Path], object]:
    def plant(root: Path) -> None:
        with Image.open(root / path) as image:
            small = image.resize(size)
        small.save(root / path)

    return plant


def both_resized(root: Path) -> None:
    resize(f"{IMAGES}/pair/00005.jpg", (20, 12))(root)
    resize(f"{MASKS}/pair/00005.png", (20, 12))(root)


def truncated(path: str, share: float) -> Callable[[Path], object]:
    return lambda root: cut(root / path, share)


def as_rgb(root: Path) -> None:
    path = root / MASKS / "pair/00005.png"
    with Image.open(path) as image:
        coloured = image.convert("RGB")
    coloured.save(path)


def repaint(videos: list[str], old: int, new: int, frames: str = "*") -> Callable[[Path], object]:
    def plant(root: Path) -> None:
        for video in videos:
            for path in (root / MASKS / video).glob(f"{frames}.png"):
                edit_mask(path, lambda values: np.where(values == old, new, values))

    return plant


def twice_in_text(root: Path) -> None:
    text = (root / EXPRESSIONS).read_text().replace('"1": {"obj_id"', '"0": {"obj_id"', 1)
    (root / EXPRESSIONS).write_text(text)


def frog_and_owl(videos: dict) -> None:
    """One frog and no plant; the owl is of no category of the benchmark."""
    videos["pair"]["objects"]["2"].update(category="frog")
    videos["plant_a"]["objects"]["1"].update(category="owl")


# kind: (what to do, file of the fault, what the line says)
PLANTED: dict[str, list[tuple[Callable[[Path], object], str, str]]] = {
    "file-missing": [
        (lambda root: (root / META).unlink(), META, "missing (train.json would do as well)"),
        (lambda root: (root / EXPRESSIONS).unlink(), EXPRESSIONS, "missing; it lists the frames"),
        (lambda root: shutil.rmtree(root / IMAGES), IMAGES, "a folder of frames for each video"),
        (lambda root: shutil.rmtree(root / MASKS), MASKS, "a folder of masks for each video"),
    ],
    "json": [
        (lambda root: cut(root / META, 0.5), META, "not valid JSON"),
        (lambda root: cut(root / EXPRESSIONS, 0.5), EXPRESSIONS, "not valid JSON"),
        (lambda root: (root / META).write_text("[]"), META, "must be a JSON object ({...}), found a list"),
        (lambda root: (root / META).write_text("[" * 100_000), META, "nested too deep"),
        (lambda root: (root / META).write_text('{"videos": {}}'), META, "lists no video"),
        (lambda root: (root / "categories.json").write_text("{}"), "categories.json", "list of names"),
        (
            in_expressions(lambda videos: videos["pair"].pop("expressions")),
            EXPRESSIONS,
            "'pair', \"expressions\"",
        ),
        (
            in_meta(lambda videos: videos["pair"]["objects"]["2"].pop("frames")),
            META,
            "object '2' has no \"frames\"",
        ),
    ],
    "unsafe-id": [
        (
            in_expressions(lambda videos: videos["pair"]["frames"].append("../../x")),
            EXPRESSIONS,
            "frame '../../x'",
        ),
        (
            in_meta(lambda videos: videos["pair"]["objects"]["1"]["frames"].append("/etc")),
            META,
            "frame '/etc'",
        ),
        (in_meta(lambda videos: videos.update({"../pair": {"objects": {}}})), META, "video '../pair'"),
    ],
    "no-object-ids": [
        (
            in_expressions(
                lambda videos: [e.pop("obj_id") for v in videos.values() for e in v["expressions"].values()]
            ),
            EXPRESSIONS,
            'none of its 5 expressions of 3 videos has an "obj_id"',
        )
    ],
    "expression-empty": [
        (of_pair(exp="  "), EXPRESSIONS, "video 'pair', expression '0' has no text"),
        (without("exp"), EXPRESSIONS, "video 'pair', expression '0' has no text"),
    ],
    "expression-without-object": [
        (without("obj_id"), EXPRESSIONS, "video 'pair', expression '0' has no \"obj_id\""),
        (
            of_pair(obj_id="7"),
            EXPRESSIONS,
            "expression '0' of video 'pair' refers to object '7', which is not in",
        ),
    ],
    "distractor": [(of_pair(distractor_expression="0"), EXPRESSIONS, "expression '0'")],
    "object-entry": [
        (
            in_meta(lambda videos: videos["pair"]["objects"]["2"].pop("category")),
            META,
            "object '2' has no \"category\"",
        )
    ],
    "object-id": [
        (in_meta(lambda videos: videos["pair"]["objects"].update({"300": {}})), META, "object '300'"),
        (
            in_meta(lambda videos: videos["pair"]["objects"].update({"9" * 5000: {}})),
            META,
            "must be a number 1-255",
        ),
    ],
    "category-unknown": [
        (
            in_meta(lambda videos: videos["pair"]["objects"]["2"].update(category="plnt")),
            META,
            "object '2' of video 'pair' has the unknown category 'plnt'",
        )
    ],
    "video-without-frames": [
        (
            lambda root: shutil.rmtree(root / IMAGES / "pair"),
            f"{IMAGES}/pair",
            "video 'pair' has no frames there",
        ),
        (
            in_expressions(lambda videos: videos["pair"].update(frames=[])),
            EXPRESSIONS,
            "'pair' has no frames",
        ),
    ],
    "video-without-masks": [
        (
            lambda root: shutil.rmtree(root / MASKS / "pair"),
            f"{MASKS}/pair",
            "video 'pair' has no masks there",
        )
    ],
    "video-unknown": [(in_meta(lambda videos: videos.pop("pair")), EXPRESSIONS, "video 'pair' is not in")],
    "frame-missing": [
        (lambda root: (root / IMAGES / "pair/00005.jpg").unlink(), f"{IMAGES}/pair/00005.jpg", "missing")
    ],
    "frame-unreadable": [
        *[
            (truncated(f"{IMAGES}/pair/00005.jpg", share), f"{IMAGES}/pair/00005.jpg", "cannot be decoded")
            for share in (0, 0.1, 0.6, 0.95, 0.999)
        ],
        (
            lambda root: (root / IMAGES / "pair/00005.jpg").write_text("no"),
            f"{IMAGES}/pair/00005.jpg",
            "cannot",
        ),
    ],
    "mask-missing": [
        (lambda root: (root / MASKS / "pair/00005.png").unlink(), f"{MASKS}/pair/00005.png", "missing")
    ],
    "mask-unreadable": [
        (truncated(f"{MASKS}/pair/00005.png", share), f"{MASKS}/pair/00005.png", "cannot be decoded")
        for share in (0, 0.1, 0.6, 0.9)
    ],
    "mask-mode": [(as_rgb, f"{MASKS}/pair/00005.png", "this one has mode RGB")],
    "frame-size": [
        (both_resized, f"{IMAGES}/pair/00005.jpg", "is 20x12, but 2 of 3 frames of its video are 40x24")
    ],
    "mask-size": [
        (resize(f"{MASKS}/pair/00005.png", (41, 24)), f"{MASKS}/pair/00005.png", "is 41x24, but its frame")
    ],
    "object-in-no-mask": [
        (repaint(["pair"], 2, 0), META, "video 'pair', object '2': none of the 3 masks in"),
        (
            in_meta(
                lambda videos: videos["pair"]["objects"].update(
                    {"5": {"category": "frog", "frames": ["00000", "00005", "00010"]}}
                )
            ),
            META,
            "video 'pair', object '5': none of the 3 masks in",
        ),
    ],
    "value-in-no-json": [
        (
            repaint(["hat_a"], 0, 9, "00005"),
            f"{MASKS}/hat_a/00005.png",
            "has the value 9 (frame 00005 of the video)",
        )
    ],
    "json-key-twice": [(twice_in_text, EXPRESSIONS, "the key '0' stands twice")],
    "category-one-video": [
        (
            in_meta(frog_and_owl),
            META,
            "category 'frog' has one video, 'pair'",
        )
    ],
    "expression-repeated": [
        (
            in_expressions(lambda videos: videos["hat_a"]["expressions"]["1"].update(exp="A  hat")),
            EXPRESSIONS,
            "video 'hat_a', expressions '0', '1': 'a hat' stands there more than once",
        )
    ],
    "expression-ambiguous": [
        (of_pair(exp="a plant"), EXPRESSIONS, "expressions '0', '1': 'a plant' is said of the objects 1, 2")
    ],
    "object-without-expression": [
        (in_expressions(lambda videos: videos["pair"]["expressions"].pop("1")), META, "object '2' (plant)")
    ],
    "object-never-visible": [
        (
            in_meta(lambda videos: videos["pair"]["objects"]["2"].update(frames=[])),
            META,
            "is listed in no frame",
        )
    ],
    "object-not-in-frame": [
        (
            repaint(["pair"], 2, 0, "00005"),
            META,
            "video 'pair', object '2' is listed visible in frame 00005, but not in the masks",
        )
    ],
    "object-not-listed": [
        (
            in_meta(lambda videos: videos["pair"]["objects"]["2"].update(frames=["00000"])),
            META,
            "video 'pair', object '2' is in the masks of 2 frames: 00005, 00010",
        )
    ],
    "frame-not-listed": [
        (
            in_meta(lambda videos: videos["pair"]["objects"]["1"]["frames"].append("00099")),
            META,
            "00099 first",
        )
    ],
    "video-without-expression": [
        (in_meta(lambda videos: videos.update(more={"objects": {}})), META, "video 'more' is not in"),
        (
            in_expressions(lambda videos: videos["pair"].update(expressions={})),
            EXPRESSIONS,
            "'pair' has no expression",
        ),
    ],
}
CASES = [(kind, number) for kind, cases in PLANTED.items() for number in range(len(cases))]


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


# Kinds of fault that training stops at; the others teach what is false, and training cannot see them.
SILENT = {"object-in-no-mask", "value-in-no-json"}


@pytest.mark.parametrize(("kind", "number"), [case for case in CASES if not KINDS[case[0]].is_warning])
def test_what_is_called_a_fault_stops_training(root, kind, number):
    if kind in SILENT:
        pytest.skip("training cannot see it")
    PLANTED[kind][number][0](root)
    if kind in ("frame-unreadable", "mask-unreadable") and "end marker" in check(root).faults[0].problem:
        pytest.skip("cut off behind the last pixel, which training does not need")
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
