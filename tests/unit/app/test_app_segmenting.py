"""What happens behind the button, without a page."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny import tiny_model

from fsrvos.app import uploads
from fsrvos.app.archive import pack
from fsrvos.app.example import SEED, make_example
from fsrvos.app.limits import Limits
from fsrvos.app.segmenting import phrases_of, segment
from fsrvos.app.stops import Stops
from fsrvos.app.uploads import open_upload, spread, spread_frames
from fsrvos.app.wording import about_video, problem, working
from fsrvos.data.synthetic.film import shoot
from fsrvos.errors import UserError
from fsrvos.predictor import Predictor
from fsrvos.predictor_settings import Settings
from fsrvos.video import VideoWriter


@pytest.fixture(scope="module")
def predictor():
    return Predictor(tiny_model(), Settings(short_side=32, max_long_side=64, window=3))


@pytest.fixture
def clip(tmp_path):
    """Ten frames, each with its own grey."""
    with VideoWriter(tmp_path / "clip.mp4", (32, 48), 10) as writer:
        for number in range(10):
            writer.write(np.full((32, 48, 3), 20 * number, np.uint8))
    return tmp_path / "clip.mp4"


def never():
    return False


def support_of(predictor):
    mask = np.zeros((1, 32, 48), bool)
    mask[:, 4:20, 6:30] = True
    return predictor.support((np.zeros((1, 32, 48, 3), np.uint8), mask), "a dax")


def test_the_run_is_that_of_the_predictor(predictor, clip, tmp_path):
    """Frame by frame on the page, and the same masks as Predictor.segment gives, in the zip."""
    phrases, support = ["the dax", "a wug"], support_of(predictor)
    steps = list(segment(predictor, open_upload(clip, 100), phrases, support, tmp_path / "out", never))
    assert [(step.done, step.total) for step in steps] == [(n, 10) for n in range(1, 11)]
    assert steps[0].picture.shape == (32, 48, 3)
    expected = predictor.segment(clip, phrases, support)
    with zipfile.ZipFile(pack(tmp_path / "out", tmp_path / "masks.zip")) as archive:
        said = json.loads(archive.read("predictions.json"))
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        masks = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names]
    assert [entry["expression"] for entry in said] == phrases
    assert len(archive.namelist()) == 21
    assert names[0] == "masks/1_the_dax/00000.png"
    np.testing.assert_array_equal(np.stack(masks[:10]) > 0, expected[0].masks)
    np.testing.assert_array_equal(np.stack(masks[10:]) > 0, expected[1].masks)


def test_a_stop_leaves_what_was_done(predictor, clip, tmp_path):
    stops = Stops()
    stops.stop("me")
    stops.begin("me")
    stops.begin("another")
    done = 0
    video, support = open_upload(clip, 100), support_of(predictor)
    for step in segment(predictor, video, ["a dax"], support, tmp_path / "out", stops.asked("me")):
        done = step.done
        if done == 4:
            stops.stop("another")
            stops.stop("me")
    assert done == 4
    with zipfile.ZipFile(pack(tmp_path / "out", tmp_path / "masks.zip")) as archive:
        assert len(archive.namelist()) == 5


def test_nothing_is_kept_of_who_has_gone():
    stops = Stops()
    empty = len(pickled(stops))
    for number in range(50):
        stops.begin(f"visitor {number}")
        stops.stop(f"visitor {number}")
        stops.stop(f"only looked {number}")
        assert stops.asked(f"visitor {number}")()
    assert len(pickled(stops)) == empty
    stops.begin("me")
    assert not stops.asked("me")()


def pickled(stops):
    return pickle.dumps({key: value for key, value in vars(stops).items() if key != "_lock"})


def test_long_videos_are_shortened(predictor, clip, tmp_path):
    video = open_upload(clip, 4)
    assert "10 frames" in about_video(video)
    assert "the first 4 of them" in about_video(video)
    assert "first" not in about_video(open_upload(clip, 10))
    assert (
        len(list(segment(predictor, video, ["a dax"], support_of(predictor), tmp_path / "out", never))) == 4
    )
    assert [frame.index for frame in video.frames(2)] == [2, 3]


def test_support_frames_are_spread_evenly(clip):
    frames = spread_frames(clip, 4, 100)
    greys = [round(float(frame.mean()) / 20) for frame in frames]
    assert greys == [0, 3, 6, 9]
    assert len(spread_frames(clip, 4, 2)) == 2
    greys = [round(float(frame.mean()) / 20) for frame in spread_frames(clip, 8, 9)]
    assert (len(greys), greys[0], greys[-1]) == (8, 0, 8), "8 of 9, not every second one"


def test_a_clip_of_unknown_length_is_spread_as_well(clip, monkeypatch):
    whole = uploads.open_upload

    def without_count(path, most):
        video = whole(path, most)
        video.count = None
        return video

    monkeypatch.setattr(uploads, "open_upload", without_count)
    greys = [round(float(frame.mean()) / 20) for frame in spread_frames(clip, 4, 600)]
    assert greys == [0, 3, 6, 9]


@given(st.integers(1, 700), st.integers(1, 24))
def test_a_spread_goes_from_the_first_to_the_last_in_even_steps(length, count):
    numbers = spread(length, count)
    assert len(set(numbers)) == min(length, count)
    assert numbers[0] == 0
    if count > 1:
        assert numbers[-1] == length - 1
    steps = np.diff(numbers)
    assert not len(steps) or steps.max() - steps.min() <= 1


@pytest.mark.parametrize("content", [b"this is text", b""])
def test_what_is_no_video_is_told_by_its_own_name(tmp_path, content):
    (tmp_path / "dog.mp4").write_bytes(content)
    with pytest.raises(UserError) as told:
        open_upload(tmp_path / "dog.mp4", 10)
    assert str(told.value).startswith("dog.mp4: ")
    assert str(tmp_path) not in str(told.value)


def test_phrases_one_a_line():
    assert phrases_of("  the dog \n\n a cat") == ["the dog", "a cat"]
    for nothing in ("", None, " \n \n"):
        with pytest.raises(UserError, match="the phrase is empty"):
            phrases_of(nothing)
    with pytest.raises(UserError, match="9 phrases are too many"):
        phrases_of("a dog\n" * 9)


def test_what_the_user_wrote_is_no_markup(predictor, clip, tmp_path):
    assert "<b>" not in problem("<b>.mp4: is not a video")
    (first, *_) = segment(
        predictor, open_upload(clip, 1), ["<i>"], support_of(predictor), tmp_path / "out", never
    )
    assert "<i>" not in working(first)


def test_the_example_shows_one_object_and_asks_for_two(tmp_path):
    example = make_example(tmp_path, Limits())
    noun = example.name.removeprefix("a ")
    assert len(set(example.phrases)) == 2
    assert all(noun in phrase.split() for phrase in example.phrases)
    ((frames, masks),) = example.painting.sources()
    assert frames.shape[:3] == masks.shape
    assert len(masks) == 2
    assert (masks.mean(axis=(1, 2)) > 0.01).all()
    assert example.painting.current in example.painting.masks
    assert open_upload(example.video, 1000).count == 24


def test_the_examples_masks_belong_to_the_frames_that_are_offered(tmp_path):
    """With tight limits other frames of the clip are offered; their masks come with them."""
    painting = make_example(tmp_path, Limits(support_frames=3, max_frames=7)).painting
    true = shoot(SEED, 1, 2, 8, (224, 384)).footage.masks
    assert len(painting.order) == 3
    assert len(painting.masks) == 2
    for (_, number), mask in painting.masks.items():
        labels = true[[0, 3, 6][number]]
        (wanted,) = np.unique(labels[mask])
        np.testing.assert_array_equal(mask, labels == wanted)


@pytest.mark.parametrize(
    "limits", [{"max_frames": 0}, {"max_upload_mb": -1}, {"support_frames": True}, {"max_support": None}]
)
def test_limits_that_forbid_everything(limits):
    with pytest.raises(UserError, match="must be a whole number of at least 1"):
        Limits(**limits)
