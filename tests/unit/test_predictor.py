"""The predictor against evaluation, against itself in pieces, and against what users give it."""

import json
import warnings

import numpy as np
import pytest
import torch
from tiny import PHRASES, make_clip, tiny_model

from fsrvos import predictor as module
from fsrvos.data.collate import collate_clip, collate_support
from fsrvos.data.resizing import resize, resized_size
from fsrvos.data.transforms import normalised
from fsrvos.engine.evaluation import segment_video
from fsrvos.errors import UserError
from fsrvos.predictor import Predictor
from fsrvos.predictor_settings import Settings, settings_of
from fsrvos.structures import Batch, SupportClip
from fsrvos.video import Frame, Video, open_video

SETTINGS = Settings(64, None, 4)


def pixels(frames=10, height=90, width=121, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (frames, height, width, 3), dtype=np.uint8)


def annotated(frames=2, height=64, width=96, seed=1):
    masks = np.zeros((frames, height, width), dtype=bool)
    masks[:, 8 : height // 2, 16 : width // 2] = True
    return pixels(frames, height, width, seed), masks


def make(variant="cma_plus", settings=SETTINGS, **options):
    return Predictor(tiny_model(variant), settings, **options)


@pytest.mark.parametrize("variant", ["cma", "cma_plus", "base"])
def test_masks_are_those_of_an_evaluation(variant):
    """Same size, windows and choice: what fsrvos-eval scores is what a user gets."""
    predictor, video, (frames, masks) = make(variant, jump_cost=0.0), pixels(), annotated(4)
    answer = predictor.segment(video, "The red  DAX", predictor.support((frames, masks), "a dax"))
    multiple = 32 if variant == "cma_plus" else 1

    def as_read(clip, masks=None):
        clip = torch.from_numpy(clip).permute(0, 3, 1, 2)
        masks = torch.zeros(len(clip), *clip.shape[-2:], dtype=torch.bool) if masks is None else masks
        return resize(clip, masks, resized_size(*clip.shape[-2:], 64, 114))

    shown, shown_masks = as_read(frames, torch.from_numpy(masks))
    support = collate_support([[SupportClip(normalised(shown), shown_masks, "a dax")]], multiple)
    query = collate_clip(normalised(as_read(video)[0]), "the red dax", multiple)
    # The published choice is one query a window, by its mean score.
    found = segment_video(predictor.model, Batch(query, support, None), 4, [video.shape[1:3]])
    assert np.array_equal(answer.masks, (found.logits[0] > 0).numpy())
    assert answer.score == pytest.approx(found.score, abs=1e-5)
    assert 0 < answer.masks.mean() < 1


def test_masks_of_the_last_decoder_layer_alone_are_drawn():
    predictor, drawn = make(), []
    predictor.model.mask_head.register_forward_hook(lambda *_: drawn.append(1))
    predictor.segment(pixels(10), ["the red dax", "a wug"], predictor.support(annotated(), "a dax"))
    assert len(drawn) == 3 * 2  # windows of four frames, phrases


def test_support_and_backbone_run_once_for_all_windows_phrases_and_videos(monkeypatch):
    predictor = make()
    counts = {"support": 0, "backbone": 0}
    encode, backbone = predictor.model.encode_support, predictor.model.backbone.forward
    monkeypatch.setattr(
        predictor.model,
        "encode_support",
        lambda s: (counts.update(support=counts["support"] + 1), encode(s))[1],
    )
    monkeypatch.setattr(
        predictor.model.backbone,
        "forward",
        lambda x: (counts.update(backbone=counts["backbone"] + 1), backbone(x))[1],
    )
    support = predictor.support(annotated(), "a dax")
    assert counts == {"support": 1, "backbone": 1}
    predictor.segment(pixels(10), ["the red dax", "a wug", "a blicket"], support)
    predictor.segment(pixels(4, seed=3), "a dax", support)
    assert counts == {"support": 1, "backbone": 1 + 3 + 1}


def test_several_phrases_answer_as_one_by_one():
    predictor = make()
    support = predictor.support([annotated(2), annotated(1, 80, 60, seed=4)], ["a dax", "one more dax"])
    together = predictor.segment(pixels(6), list(PHRASES), support)
    for phrase, answer in zip(PHRASES, together, strict=True):
        alone = predictor.segment(pixels(6), phrase, support)
        assert (answer.phrase, alone.phrase) == (phrase, phrase)
        assert np.array_equal(answer.masks, alone.masks)
        assert np.array_equal(answer.scores, alone.scores)


def test_boxes_enclose_the_masks():
    predictor = make()
    answer = predictor.segment(pixels(5), "a dax", predictor.support(annotated(), "a dax"))
    for mask, (left, top, right, bottom) in zip(answer.masks, answer.boxes, strict=True):
        rows, columns = np.nonzero(mask)
        if len(rows):
            expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert (left, top, right, bottom) == expected
        else:
            assert not any((left, top, right, bottom))


@pytest.mark.parametrize("start", [4, 8])
def test_going_on_at_a_window_gives_what_one_call_gives(start):
    """As after a stop: windows begin where they would have begun, and the object is carried over."""
    predictor, video = make(), open_video(pixels(11))
    support = predictor.support(annotated(), "a dax")
    whole = np.concatenate([w.masks for w in predictor.stream(video, PHRASES[:2], support)], 1)
    rest = predictor.stream(video, PHRASES[:2], support, start=start, previous=whole[:, start - 1])
    assert np.array_equal(np.concatenate([w.masks for w in rest], 1), whole[:, start:])


def test_no_more_than_a_window_of_frames_is_held():
    """Frames are taken when they are needed, and let go."""

    class Counting(Video):
        name, size, rate, count = "counting", (64, 96), 10.0, 1000
        taken = 0

        def frames(self, start=0):
            for index in range(start, 1000):
                self.taken += 1
                yield Frame(index, str(index), index / 10, np.zeros((64, 96, 3), np.uint8))

    video, predictor = Counting(), make()
    windows = predictor.stream(video, ["a dax"], predictor.support(annotated(), "a dax"))
    for number in range(1, 4):
        assert len(next(windows).frames) == 4
        assert video.taken == 4 * number


@pytest.mark.parametrize(
    "shape", [(1, 64, 96, 3), (3, 33, 47, 3), (5, 200, 20, 3), (2, 1, 1, 3), (2, 8, 900, 3)]
)
def test_any_size_and_length(shape):
    predictor = make()
    answer = predictor.segment(pixels(*shape[:3]), "a dax", predictor.support(annotated(1), "a dax"))
    assert answer.masks.shape == shape[:3]
    assert answer.boxes.shape == (shape[0], 4)


def test_without_support_it_works_and_says_so_once():
    predictor = make()
    with pytest.warns(UserWarning, match="no support is given"):
        predictor.segment(pixels(2), "a dax")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor.segment(pixels(2), "a dax")


def test_a_network_that_reads_no_support_says_so():
    predictor = make("referformer")
    support = predictor.support(annotated(), "a dax")
    with pytest.warns(UserWarning, match="referformer reads no support"):
        with_support = predictor.segment(pixels(2), "a dax", support)
    assert np.array_equal(with_support.masks, predictor.segment(pixels(2), "a dax").masks)


def test_many_annotated_frames_are_thinned_to_those_that_show_the_object():
    frames, masks = annotated(20)
    masks[:10] = False
    with pytest.warns(UserWarning, match="20 annotated frames: 4 of them"):
        support = make().support((frames, masks), "a dax", frames=4)
    (clip,) = support.clips
    assert clip.masks.flatten(1).any(1).all()
    kept = [
        i
        for i, f in enumerate(frames)
        if any((f == k).all() for k in clip.frames.permute(0, 2, 3, 1).numpy())
    ]
    assert kept == [10, 13, 16, 19]
    assert support.picture().shape[0] == 180


@pytest.mark.parametrize("phrase", ["", "  ", [], ["a dax", " "], [3]])
def test_an_empty_phrase_is_told(phrase):
    with pytest.raises(UserError, match="phrase is empty"):
        make().segment(pixels(2), phrase)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: p.support(annotated()), "has no phrase"),
        (lambda p: p.support([annotated()], ["a", "b"]), "2 phrases of the support"),
        (lambda p: p.support(annotated(), "a dax", frames=0), "frames=0"),
        (lambda p: p.segment(pixels(2), "a dax", support="dogs/"), "what Predictor.support returns"),
        (lambda p: Predictor(p.model, device="cuda:77"), "device=cuda:77"),
        (lambda p: Predictor(p.model, device="gpu"), "device=gpu"),
        (lambda p: Predictor(p.model, jump_cost=None), "jump_cost"),
        (lambda p: p.support(annotated(), "a dax", frames=None), "frames=None"),
        (lambda p: Predictor.from_pretrained("nowhere.ckpt"), "does not exist"),
        (lambda p: Predictor.from_pretrained("tests/nowhere"), "does not exist"),
        (lambda p: Predictor(p.model, jump_cost=-1), "jump_cost"),
        (lambda p: Predictor.from_pretrained("/no/such/place"), "does not exist"),
    ],
)
def test_mistakes_are_told_in_one_line(call, words):
    with pytest.raises(UserError, match=words) as told:
        call(make())
    assert "\n" not in str(told.value)


def test_an_object_that_vanishes_at_the_size_of_the_network_is_told():
    frames, masks = annotated(1, 400, 600)
    masks[:] = False
    masks[0, 1, 1] = True
    with pytest.raises(UserError, match="too small"):
        make(settings=Settings(32, None, 4)).support((frames, masks), "a dax")


def test_a_saved_predictor_comes_back_with_its_settings(tmp_path):
    made = make()
    made.save_pretrained(tmp_path / "mine")
    loaded = Predictor.from_pretrained(tmp_path / "mine")
    assert loaded.settings == SETTINGS
    assert Predictor.from_pretrained(tmp_path / "mine", window=7).settings == Settings(64, None, 7)
    answers = [p.segment(pixels(3), "a dax", p.support(annotated(), "a dax")).masks for p in (made, loaded)]
    assert np.array_equal(*answers)


def test_what_is_no_hub_id_either_is_told():
    with pytest.raises(UserError, match="is no folder, and could not be had from the hub"):
        Predictor.from_pretrained("no such thing")


def test_a_hub_id_is_fetched_once_for_network_and_settings(tmp_path, monkeypatch):
    make().save_pretrained(tmp_path / "snapshot")
    asked = []
    monkeypatch.setattr(module, "fetched", lambda place: (asked.append(place), tmp_path / "snapshot")[1])
    assert Predictor.from_pretrained("someone/mine").settings == SETTINGS
    assert asked == ["someone/mine"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"window": 12, "test_transform": {"short_side": 208}}, Settings(208, 640, 12)),
        ({"window": 5, "test_transform": {"short_side": 360, "max_long_side": 512}}, Settings(360, 512, 5)),
        ({"train_transform": {"short_sides": [96, 112]}, "test_transform": None}, Settings(112, None, 10)),
        ({}, Settings()),
    ],
)  # fmt: skip
def test_settings_are_those_of_the_run(tmp_path, data, expected):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.yaml").write_text(json.dumps({"data": data}))  # JSON is YAML
    assert settings_of(tmp_path / "checkpoints" / "last.ckpt") == expected


def test_weights_from_elsewhere_have_the_published_settings(tmp_path):
    assert settings_of(tmp_path / "deep" / "r50.pth") == Settings(360, 640, 10)
    (tmp_path / "config.yaml").write_text("data: {window: 3}")  # of something else
    assert settings_of(tmp_path / "weights" / "r50.pth") == Settings(360, 640, 10)


def test_a_config_that_is_no_run_s_says_nothing(tmp_path):
    (tmp_path / "config.yaml").write_text("data: coco.yaml")
    assert settings_of(tmp_path / "checkpoints" / "last.ckpt") == Settings()


def test_a_new_short_side_has_a_longest_side_of_its_own():
    assert Settings(360, 640, 10).changed(short_side=720).longest == 1280
    assert Settings(360, 640, 10).changed(short_side=720, max_long_side=800).longest == 800
    assert Settings(360, 640, 10).changed(window=3) == Settings(360, 640, 3)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"short_side": 0}', '{"side": 3}', '{"window": "4"}', '{"window": true}']
)
def test_a_damaged_settings_file_is_told(tmp_path, text):
    (tmp_path / "predictor.json").write_text(text)
    with pytest.raises(UserError, match=r"predictor\.json"):
        settings_of(tmp_path / "model.safetensors")


def test_frames_are_seen_as_in_training():
    """Resized by the published rule, normalised, padded to cells of 32 with the padding marked."""
    predictor, seen = make(), []
    predictor.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    predictor.segment(pixels(2, 90, 121), "a dax", predictor.support(annotated(), "a dax"))
    (clip,) = seen
    assert clip.frames.shape == (1, 2, 3, 64, 96)
    assert clip.sizes.tolist() == [[64, 86]]
    assert clip.padding_mask[..., 86:].all()
    assert not clip.padding_mask[..., :86].any()
    assert isinstance(clip, type(make_clip()))
