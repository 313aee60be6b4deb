"""Predictions on disk: written and read back, from any method, and what is wrong with them."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from zoo import write, zoo

from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.engine.evaluation import evaluate_predictions, planned
from fsrvos.engine.predictions import Predictions, rle_entry, save_prediction, save_rle, told_missing
from fsrvos.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:.*fewer than two videos.*")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = write(tmp_path_factory.mktemp("zoo"), zoo())
    return EpisodeDataModule(
        root, group=1, window=5, support_frames=3, test_seeds=[0, 1], max_test_per_category=3
    )


@pytest.fixture(scope="module")
def specs(data):
    return [spec for _, spec, _ in planned(data, ["right"])]


def size_of(data, spec):
    path = data.annotations.layout.mask(spec.query.video, spec.query.frames[0])
    width, height = Image.open(path).size
    return height, width


def masks_of(data, spec):
    """Blocks that depend on the episode; the first frame is empty."""
    height, width = size_of(data, spec)
    generator = torch.Generator().manual_seed(spec.index + 100 * spec.seed)
    masks = torch.rand(len(spec.query.frames), height, width, generator=generator) > 0.6
    masks[0] = False
    return masks


@pytest.fixture
def written(data, specs, tmp_path):
    for spec in specs:
        save_prediction(tmp_path / "predictions", spec, masks_of(data, spec))
    save_rle(tmp_path / "predictions", [rle_entry(spec, masks_of(data, spec), 0.25) for spec in specs])
    return tmp_path / "predictions"


def test_what_is_written_is_read_back(data, specs, written):
    assert {path.name for path in written.iterdir()} == {"seed0", "seed1"}
    png = Predictions(written)
    assert png.seeds([0, 1]) == (0, 1)
    assert png.missing(specs) == {}
    for spec in specs:
        size = size_of(data, spec)
        assert torch.equal(png.read(spec, size), masks_of(data, spec))
        of_seed = written / f"seed{spec.seed}"
        for source in (of_seed, of_seed / "predictions.json", of_seed / "Annotations"):
            alone = Predictions(source)
            assert torch.equal(alone.read(spec, size), masks_of(data, spec))
            assert alone.seeds([5]) == ((spec.seed,) if source.name != "Annotations" else (5,))


def test_the_json_is_what_it_says(data, specs, written):
    entries = json.loads((written / "seed1" / "predictions.json").read_text())
    mine = [spec for spec in specs if spec.seed == 1]
    assert len(entries) == len(mine)
    entry, spec = entries[0], next(s for s in mine if s.query.video == entries[0]["video"])
    assert entry["frames"] == list(spec.query.frames)
    assert entry["segmentations"][0] is None, "an empty mask"
    assert entry["segmentations"][1]["size"] == entry["size"] == list(size_of(data, spec))
    assert (entry["score"], entry["seed"], entry["category"]) == (0.25, 1, spec.category)


def test_other_methods_need_no_seeds_palette_or_annotations_folder(data, specs, tmp_path):
    """VIDEO/EXPRESSION/FRAME.png of 0 and 255, in grey, in one bit, and in colour."""
    spec = specs[0]
    masks = masks_of(data, spec)
    folder = tmp_path / spec.query.video / spec.query.expression_id
    folder.mkdir(parents=True)
    modes = ["L", "1", "RGB"]
    for number, (mask, frame) in enumerate(zip(masks, spec.query.frames, strict=True)):
        grey = Image.fromarray(mask.numpy().astype(np.uint8) * 255)
        grey.convert(modes[number % 3]).save(folder / f"{frame}.png")
    predictions = Predictions(tmp_path)
    assert predictions.seeds([0, 3]) == (0, 3)
    assert torch.equal(predictions.read(spec, size_of(data, spec)), masks)


def test_perfect_predictions_are_perfect(data, specs, tmp_path):
    layout = data.annotations.layout
    for spec in specs:
        truth = [
            np.asarray(Image.open(layout.mask(spec.query.video, frame))) == int(spec.query.object_id)
            for frame in spec.query.frames
        ]
        save_prediction(tmp_path, spec, torch.from_numpy(np.stack(truth)))
    told = []
    trials = list(evaluate_predictions(Predictions(tmp_path), data, lambda *x: told.append(x)))
    assert told[-1] == (len(specs), len(specs))
    for trial in trials:
        assert trial.condition == "right"
        assert {(r.J, r.F, r.paper_J, r.paper_F) for r in trial.records} == {(1, 1, 1, 1)}


def test_missing_frames_are_all_found(specs, written):
    first, second = specs[0], specs[1]
    places = {}
    for spec, lost in ((first, list(first.query.frames)), (second, [second.query.frames[1]])):
        place = written / "seed0" / "Annotations" / spec.query.video / spec.query.expression_id
        for frame in lost:
            (place / f"{frame}.png").unlink()
        places[str(place.relative_to(written))] = lost
    assert Predictions(written).missing(specs) == places
    line = told_missing(written, places)
    count = len(first.query.frames) + 1
    assert line.startswith(f"{written}: {count} frames of 2 expressions are missing: ")
    assert all(place in line for place in places)
    many = {f"v/{number}": ["00000"] for number in range(9)}
    assert told_missing(written, many).endswith("v/4 (00000) and 4 more expressions")
    file = written / "seed0" / "predictions.json"
    kept = [e for e in json.loads(file.read_text()) if e["video"] != first.query.video]
    file.write_text(json.dumps(kept))
    lacking = Predictions(file).missing(spec for spec in specs if spec.seed == 0)
    assert lacking[f"{first.query.video}/{first.query.expression_id}"] == list(first.query.frames)


def test_what_is_wrong_is_one_line(data, specs, written, tmp_path):
    spec = specs[0]
    height, width = size_of(data, spec)
    place = written / "seed0" / "Annotations" / spec.query.video / spec.query.expression_id
    file = place / f"{spec.query.frames[1]}.png"
    with pytest.raises(
        UserError, match=rf"is {width}x{height}, but the video is {width + 1}x{height}; .*native size"
    ):
        Predictions(written).read(spec, (height, width + 1))
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(UserError, match=f"{file}: cannot be decoded"):
        Predictions(written).read(spec, (height, width))
    for kind, size in (("EPS", (4, 4)), ("PNG", (9000, 9000))):  # neither Ghostscript nor gigabytes
        Image.new("L", size).save(file, kind)
        with pytest.raises(UserError, match=f"{file}: (cannot be decoded as a PNG|has over 64 megapixels)"):
            Predictions(written).read(spec, (height, width))
    with pytest.raises(UserError, match="no such folder of predictions"):
        Predictions(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no mask; expected Annotations/VIDEO/EXPRESSION"):
        Predictions(tmp_path / "empty")
    damaged = tmp_path / "damaged.json"
    for content, words in (
        ("[{", "not valid JSON"),
        ("{}", "entry 0 must have video"),
        (
            '[{"video": "a", "expression_id": "0", "frames": ["0"], "segmentations": []}]',
            "as many segmentations",
        ),
    ):
        damaged.write_text(content)
        with pytest.raises(UserError, match=words):
            Predictions(damaged)
    entry = {
        "video": spec.query.video,
        "expression_id": spec.query.expression_id,
        "frames": list(spec.query.frames),
    }
    damaged.write_text(json.dumps([{**entry, "segmentations": [{"counts": 3}] * len(spec.query.frames)}]))
    with pytest.raises(UserError, match="must be COCO RLE"):
        Predictions(damaged).read(spec, (height, width))
    shutil.rmtree(written)
