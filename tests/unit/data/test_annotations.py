from __future__ import annotations

import json
import random
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SHARED
from PIL import Image
from zoo import Film, Thing, annotation_json, draw, frame_name, one, read_quietly, rectangle, write, zoo

from fsrvos.data.annotation_files import read_expressions
from fsrvos.data.annotations import Annotations
from fsrvos.data.clips import native_masks, read_clip
from fsrvos.errors import UserError

EXPRESSIONS = "meta_expressions/train/meta_expressions.json"
META = "train/meta.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    films = {name: film for name, film in zoo().items() if name.startswith("plant")}
    return write(tmp_path / "set", films)


def error(root: Path, layout: str = "ytvos") -> str:
    """Returns the one line that reading ends in."""
    with pytest.raises(UserError) as caught:
        read_quietly(root, layout)
    message = str(caught.value)
    assert "\n" not in message
    return message


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content["videos"])
    path.write_text(json.dumps(content))


# ---------------------------------------------------------------- what is read


def test_videos_objects_and_expressions_are_joined(annotations):
    twins = annotations.videos["twins"]
    assert twins.frames == tuple(frame_name(frame) for frame in range(7))
    assert annotations.objects("twins", "hat") == ("1", "2")
    assert twins.expression_ids("2") == ("1",)
    assert annotations.objects("mixed", "plant") == ("3",)
    assert annotations.videos["mixed"].objects["3"].frames == (frame_name(4), frame_name(5))
    expression = annotations.expression("twins", "0")
    assert (expression.text, expression.object_id) == ("the red hat", "1")
    assert (expression.kind, expression.distractor) == ("color", "1")
    assert annotations.expression("twins", "1").distractor == "0"  # a number in the file
    plain = annotations.expression("plant_0", "1")
    assert (plain.text, plain.kind, plain.distractor) == ("the plant on the left", None, None)


def test_a_video_stands_under_every_category_of_its_objects(annotations):
    expected: dict[str, list[str]] = {}
    for name, film in sorted(zoo().items()):
        for category in {thing.category for thing in film.things.values()} - {"owl"}:
            expected.setdefault(category, []).append(name)
    assert annotations.category_videos == {
        category: tuple(names) for category, names in expected.items() if len(names) > 1
    }
    assert "mixed" in annotations.category_videos["raccoon"]
    assert "mixed" in annotations.category_videos["plant"]


def test_objects_outside_the_benchmark_are_known_but_not_used(annotations):
    assert list(annotations.videos["crocs_a"].objects) == ["2"]


def test_one_warning_names_the_categories_with_fewer_than_two_videos(zoo_root):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Annotations(zoo_root)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "fewer than two videos" in message
    assert "frog (1)" in message
    assert "zebra (0)" in message
    assert "raccoon" not in message
    assert caught[0].filename == __file__


def test_the_order_in_the_files_does_not_matter(root, annotations, zoo_root, tmp_path):
    shuffled = tmp_path / "shuffled"
    shutil.copytree(zoo_root, shuffled)
    rng = random.Random(1)

    def shuffle(value):
        if isinstance(value, dict):
            items = [(key, shuffle(item)) for key, item in value.items()]
            rng.shuffle(items)
            return dict(items)
        return rng.sample(value, len(value)) if isinstance(value, list) else value

    for path in (shuffled / META, shuffled / EXPRESSIONS):
        path.write_text(json.dumps(shuffle(json.loads(path.read_text()))))
    again = read_quietly(shuffled)
    assert list(again.videos) == list(annotations.videos)
    assert again.category_videos == annotations.category_videos
    for name, video in annotations.videos.items():
        assert again.videos[name] == video
        assert list(again.videos[name].expressions) == list(video.expressions)
        assert list(again.videos[name].objects) == list(video.objects)


def test_the_root_may_be_the_set_its_parent_or_its_train_folder(tmp_path):
    write(tmp_path / "Mini-Ref-YouTube-VOS", zoo())
    roots = (tmp_path, tmp_path / "Mini-Ref-YouTube-VOS", tmp_path / "Mini-Ref-YouTube-VOS/train")
    assert len({read_quietly(root).layout.meta for root in roots}) == 1


def test_train_json_does_as_well_as_meta_json(root):
    (root / META).rename(root / "train/train.json")
    assert "plant" in read_quietly(root).category_videos


def test_a_categories_file_replaces_the_names(root):
    names = ["bloof", "plant", "zorp", "trink"]
    (root / "categories.json").write_text(json.dumps({"name": "Tiny", "categories": names}))
    annotations = read_quietly(root)
    assert annotations.categories == tuple(names)
    (root / "categories.json").write_text(json.dumps({"categories": ["bloof"]}))
    message = error(root)
    assert "'plant'" in message
    assert "known are bloof" in message


@pytest.mark.parametrize(
    "content", [{"categories": []}, {}, {"categories": ["a", 1]}, {"categories": ["a", "a"]}]
)
def test_a_bad_categories_file(root, content):
    (root / "categories.json").write_text(json.dumps(content))
    assert "categories.json" in error(root)


# ---------------------------------------------------------------- SAIL-VOS

SAIL_ARRANGEMENTS = {
    "readme, bmp": ("Mini-Ref-SAIL-VOS", {"images": "train/Images", "suffix": ".bmp"}),
    "readme, jpg": ("Mini-Ref-SAIL-VOS", {"meta": "train/train.json"}),
    "code, bmp": (
        "mini-SAIL-VOS",
        {
            "expressions": "meta_expressions.json",
            "meta": "meta.json",
            "images": "Images",
            "masks": "Annotations",
            "suffix": ".bmp",
        },
    ),
}


@pytest.mark.parametrize("arrangement", SAIL_ARRANGEMENTS)
@pytest.mark.parametrize("mask_value", [1, 255])
@pytest.mark.parametrize("where", ["", "folder"])
def test_sail_vos(tmp_path, arrangement, mask_value, where):
    folder, options = SAIL_ARRANGEMENTS[arrangement]
    films = {name: Film(3, {"1": one("car", "a car")}) for name in ("a", "b")}
    written = write(tmp_path / folder, films, mask_value=mask_value, **options)
    annotations = read_quietly(written if where else tmp_path, "sailvos")
    assert annotations.categories == ("dog", "car", "person")
    assert annotations.category_videos == {"car": ("a", "b")}
    clip = read_clip(annotations, annotations.clip("a", "1", "0", annotations.videos["a"].frames))
    truth = np.stack([draw("a", films["a"], frame)[1] > 0 for frame in range(3)])
    assert np.array_equal(clip.masks.numpy(), truth)


def test_the_train_folder_of_sail_vos(tmp_path):
    write(tmp_path, {name: Film(2, {"1": one("dog", "a dog")}) for name in ("a", "b")})
    assert read_quietly(tmp_path / "train", "sailvos").category_videos == {"dog": ("a", "b")}


# ---------------------------------------------------------------- pixels


def test_frames_and_masks_are_those_on_disk(annotations):
    film = zoo()["mixed"]
    names = (frame_name(4), frame_name(5), frame_name(5))
    clip = read_clip(annotations, annotations.clip("mixed", "3", "1", names))
    assert clip.frames.dtype == torch.uint8
    assert clip.frames.shape == (3, 3, 40, 24)
    assert clip.expression == "a plant"
    for position, frame in enumerate((4, 5, 5)):
        path = annotations.layout.images / "mixed" / f"{frame_name(frame)}.jpg"
        decoded = np.asarray(Image.open(path).convert("RGB"))
        assert np.array_equal(clip.frames[position].permute(1, 2, 0).numpy(), decoded)
        truth = np.zeros((40, 24), bool)
        truth[rectangle(film, "3", frame)] = True
        assert np.array_equal(clip.masks[position].numpy(), truth)
    assert torch.equal(native_masks(annotations, annotations.clip("mixed", "3", "1", names)), clip.masks)


def test_grey_frames_become_three_channels(root):
    path = root / "train/JPEGImages/plant_0" / f"{frame_name(0)}.jpg"
    Image.open(path).convert("L").save(path)
    annotations = read_quietly(root)
    clip = read_clip(annotations, annotations.clip("plant_0", "1", "0", (frame_name(0),)))
    assert clip.frames.shape == (1, 3, 24, 40)


def read_plant(root: Path, num_frames: int = 2):
    annotations = read_quietly(root)
    frames = annotations.videos["plant_0"].frames[:num_frames]
    return read_clip(annotations, annotations.clip("plant_0", "1", "0", frames))


@pytest.mark.parametrize(("folder", "suffix"), [("JPEGImages", ".jpg"), ("Annotations", ".png")])
def test_a_missing_file(root, folder, suffix):
    path = root / "train" / folder / "plant_0" / f"{frame_name(1)}{suffix}"
    path.unlink()
    with pytest.raises(UserError, match=f"^{path}: missing; .*restore"):
        read_plant(root)


@pytest.mark.parametrize(
    ("folder", "suffix", "share"),
    [
        *[("JPEGImages", ".jpg", share) for share in (0.0, 0.02, 0.1, 0.3, 0.6, 0.9)],
        # The last fifth of so small a PNG holds its end marker and checksum alone.
        *[("Annotations", ".png", share) for share in (0.0, 0.02, 0.1, 0.3, 0.6, 0.7)],
    ],
)
def test_a_truncated_file(root, folder, suffix, share):
    path = root / "train" / folder / "plant_0" / f"{frame_name(1)}{suffix}"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=f"^{path}: cannot be decoded .*again$") as caught:
        read_plant(root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("folder", "suffix"), [("JPEGImages", ".jpg"), ("Annotations", ".png")])
def test_damaged_files_never_raise_anything_but_a_user_error(root, folder, suffix):
    path = root / "train" / folder / "plant_0" / f"{frame_name(0)}{suffix}"
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    told = 0
    for _ in range(150):
        damaged = bytearray(content)
        for place in rng.integers(len(content), size=4):
            damaged[place] = int(rng.integers(256))
        path.write_bytes(damaged)
        try:
            read_plant(root)
        except UserError as caught:
            told += str(path) in str(caught) and "\n" not in str(caught)
    assert told > 30


def test_a_mask_of_another_size(root):
    path = root / "train/Annotations/plant_0" / f"{frame_name(1)}.png"
    Image.open(path).resize((41, 24)).save(path)
    with pytest.raises(UserError, match=f"^{path}: is 41x24, but .*{frame_name(1)}.jpg is 40x24"):
        read_plant(root)


def test_frames_of_two_sizes(root):
    for folder, suffix in (("JPEGImages", ".jpg"), ("Annotations", ".png")):
        path = root / "train" / folder / "plant_0" / f"{frame_name(1)}{suffix}"
        Image.open(path).resize((20, 12)).save(path)
    with pytest.raises(UserError, match=f"{frame_name(1)}.jpg: is 20x12, but .*{frame_name(0)}.jpg is 40x24"):
        read_plant(root)
    annotations = read_quietly(root)
    with pytest.raises(UserError, match=f"{frame_name(1)}.png: is 20x12"):
        native_masks(
            annotations, annotations.clip("plant_0", "1", "0", annotations.videos["plant_0"].frames[:2])
        )


def test_a_coloured_mask_is_refused(root):
    path = root / "train/Annotations/plant_0" / f"{frame_name(1)}.png"
    Image.open(path).convert("RGB").save(path)
    with pytest.raises(UserError, match=f"^{path}: a mask must be a PNG of one 8-bit channel .* mode RGB$"):
        read_plant(root)


# ---------------------------------------------------------------- errors


def test_a_missing_data_root(tmp_path):
    message = error(tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'}: no such data root" in message
    assert "Mini-Ref-YouTube-VOS" in message


def test_a_root_without_a_data_set(tmp_path):
    assert f"{tmp_path}: holds no Mini-Ref-YouTube-VOS" in error(tmp_path)
    assert f"{tmp_path}: holds no Mini-Ref-SAIL-VOS" in error(tmp_path, "sailvos")


def test_an_unknown_layout(root):
    assert "layout must be one of ytvos, sailvos, got 'davis'" in error(root, "davis")


@pytest.mark.parametrize("missing", [EXPRESSIONS, META])
def test_a_missing_json(root, missing):
    (root / missing).unlink()
    assert f"{root / missing}: missing" in error(root)


def test_missing_frame_folders(root):
    (root / "train/JPEGImages").rename(root / "train/Frames")
    assert f"{root / 'train/JPEGImages'}: missing" in error(root)


@pytest.mark.parametrize("file", [EXPRESSIONS, META])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"videos": {', "not valid JSON"),
        ("", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ("{}", '"videos" must be a JSON object'),
        ('{"videos": []}', '"videos" must be a JSON object'),
        ('{"videos": {"plant_0": 1}}', "'plant_0' must be a JSON object"),
        ('{"videos": {"plant_0": {}}}', "video 'plant_0'"),
    ],
)
def test_bad_json(root, file, text, said):
    (root / file).write_text(text)
    message = error(root)
    assert str(root / file) in message
    assert said in message


def test_json_that_is_no_text(root):
    (root / META).write_bytes(b"\xff\xfe\x00\x81")
    assert f"{root / META}: not valid JSON" in error(root)


def test_a_file_without_videos(root):
    (root / EXPRESSIONS).write_text('{"videos": {}}')
    assert f"{root / EXPRESSIONS}: lists no video" in error(root)


def test_a_video_without_frames_in_the_json(root):
    edit(root / EXPRESSIONS, lambda videos: videos["plant_1"].update(frames=[]))
    assert f"{root / EXPRESSIONS}: video 'plant_1' has no frames" in error(root)


@pytest.mark.parametrize("keep_folder", [True, False])
def test_a_video_without_frames_on_disk(root, keep_folder):
    folder = root / "train/JPEGImages/plant_1"
    shutil.rmtree(folder)
    if keep_folder:
        folder.mkdir()
    message = error(root)
    assert f"{folder}: video 'plant_1' has no frames" in message
    assert str(root / EXPRESSIONS) in message


def test_a_video_that_meta_does_not_know(root):
    edit(root / META, lambda videos: videos.pop("plant_2"))
    message = error(root)
    assert "video 'plant_2' is not in" in message
    assert str(root / META) in message


def test_an_expression_of_an_unknown_object(root):
    edit(root / EXPRESSIONS, lambda videos: videos["plant_0"]["expressions"]["1"].update(obj_id="7"))
    message = error(root)
    assert f"{root / EXPRESSIONS}: expression '1' of video 'plant_0' refers to object '7'" in message
    assert f"not in {root / META} (it lists 1 there)" in message


def test_an_unknown_category(root):
    edit(root / META, lambda videos: videos["plant_1"]["objects"]["1"].update(category="plnt"))
    message = error(root)
    assert f"{root / META}: object '1' of video 'plant_1' has the unknown category 'plnt'" in message
    assert "known are hat, plant" in message


@pytest.mark.parametrize("phrase", [{"exp": ""}, {"exp": "  "}, {"exp": None}, {"obj_id": None}])
def test_an_expression_without_text_or_object(root, phrase):
    edit(root / EXPRESSIONS, lambda videos: videos["plant_0"]["expressions"]["1"].update(phrase))
    assert f"{root / EXPRESSIONS}: video 'plant_0', expression '1' has no" in error(root)


def test_object_ids_may_be_numbers_in_the_expressions(root):
    edit(root / EXPRESSIONS, lambda videos: videos["plant_0"]["expressions"]["1"].update(obj_id=1))
    assert read_quietly(root).expression("plant_0", "1").object_id == "1"


@pytest.mark.parametrize("object_id", ["one", "0", "256", "-1", "²", "../1"])
def test_object_ids_are_mask_values(root, object_id):
    edit(root / META, lambda videos: videos["plant_0"]["objects"].update({object_id: {}}))
    assert "an object id must be a number 1-255" in error(root)


@pytest.mark.parametrize("distractor", ["9", "1"])
def test_a_distractor_must_be_an_expression_of_another_object(root, distractor):
    edit(
        root / EXPRESSIONS,
        lambda videos: videos["plant_0"]["expressions"]["0"].update(distractor_expression=distractor),
    )
    message = error(root)
    assert "distractor_expression" in message
    assert "expression '0'" in message


@pytest.mark.parametrize(
    "name", ["..", ".", "", "../../plant_0", "/etc", "a/b", "a\\b", "C:x", "\\\\host\\x", "a\0b"]
)
@pytest.mark.parametrize("kind", ["video", "video in meta", "frame", "frame in meta"])
def test_ids_never_leave_the_data_root(root, name, kind):
    def change(videos):
        if kind.startswith("video"):
            videos[name] = videos.pop("plant_0")
        elif kind == "frame":
            videos["plant_0"]["frames"][0] = name
        else:
            videos["plant_0"]["objects"]["1"]["frames"][0] = name

    file = root / (META if kind.endswith("meta") else EXPRESSIONS)
    edit(file, change)
    message = error(root)
    assert str(file) in message
    assert "an id must be a plain name" in message


def test_frames_that_are_numbers_are_refused(root):
    edit(root / EXPRESSIONS, lambda videos: videos["plant_0"]["frames"].append(3))
    assert "plain name" in error(root)


@pytest.mark.filterwarnings("ignore:.*fewer than two videos.*")
def test_an_object_that_is_never_visible_is_left_out_with_a_warning(tmp_path):
    films = {
        "a": Film(4, {"1": one("hat", "a hat"), "2": one("hat", "another", visible=[])}),
        "b": Film(4, {"1": one("hat", "a hat")}),
    }
    write(tmp_path, films)
    with pytest.warns(UserWarning, match="visible in no frame .*: a/2$"):
        annotations = Annotations(tmp_path)
    assert list(annotations.videos["a"].objects) == ["1"]


def test_an_object_without_a_phrase_is_not_used(tmp_path):
    films = {name: Film(4, {"1": one("hat", "a hat"), "2": Thing("plant", [])}) for name in "ab"}
    annotations = read_quietly(write(tmp_path, films))
    assert annotations.category_videos == {"hat": ("a", "b")}


def test_an_empty_group(root):
    annotations = read_quietly(root)
    assert annotations.usable(["hat", "plant"]) == ("plant",)
    with pytest.raises(UserError, match=f"^{root / META}: the group is empty: .*hat, frog.*plant; choose"):
        annotations.usable(["hat", "frog"])


def test_the_public_validation_file_without_object_ids(root):
    file = SHARED / "annotations/ref_youtube_vos_valid_meta_expressions.json"
    if not file.is_file():
        pytest.skip("../shared with the public annotations is not here")
    with pytest.raises(UserError, match=r"expression '0' has no \"obj_id\"; .*training annotations"):
        read_expressions(file)
    shutil.copy(file, root / EXPRESSIONS)
    assert str(root / EXPRESSIONS) in error(root)


def test_the_written_json_is_what_the_reader_expects_of_the_real_set(real_root, annotations):
    real = json.loads((real_root / "Mini-Ref-YouTube-VOS" / EXPRESSIONS).read_text())["videos"]["dog"]
    ours = annotation_json(zoo())[0]["videos"]["hat_0"]
    assert set(ours) == set(real)
    assert set(ours["expressions"]["0"]) == set(real["expressions"]["0"])


def test_the_real_clips(real_root):
    annotations = read_quietly(real_root)
    assert annotations.category_videos == {
        "dog": ("dog", "libby"),
        "sedan": ("car-shadow", "drift-chicane"),
        "person": ("breakdance", "parkour"),
    }
    clip = read_clip(annotations, annotations.clip("dog", "1", "0", annotations.videos["dog"].frames))
    assert clip.frames.shape == (12, 3, 480, 854)
    assert clip.masks.flatten(1).any(1).all()
