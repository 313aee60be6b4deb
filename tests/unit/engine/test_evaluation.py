"""Evaluation: windows, cropping, controls, and scores that a loop over frames finds too."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from tiny import make_clip, make_support, tiny_model
from zoo import write, zoo

from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.data.transforms import TestTransform as SizeTransform
from fsrvos.engine.evaluation import evaluate, planned, segment_video
from fsrvos.engine.frame_scores import CONDITIONS
from fsrvos.errors import UserError
from fsrvos.models.full_size import mask_logits
from fsrvos.structures import Batch, Segmentation

pytestmark = pytest.mark.filterwarnings("ignore:.*fewer than two videos.*")


class Recorder:
    """Stands in for a network without support: logits are frame numbers, given as pixel values; keeps its calls."""

    uses_support = pad_support_masks = False

    def __init__(self):
        self.calls = []

    def segment(self, query, support):
        self.calls.append((query.frames[0, :, 0, 0, 0].tolist(), query.padding_mask.shape[1], support))
        masks = query.frames[:, :, 0, ::4, ::4]
        nothing = torch.zeros(1)
        return Segmentation(masks, nothing, nothing, nothing)


@pytest.mark.parametrize(("frames", "lengths"), [(23, [10, 10, 3]), (10, [10]), (11, [10, 1]), (4, [4])])
def test_a_video_is_cut_into_windows(frames, lengths):
    clip = make_clip(frames=frames, size=(8, 12))
    clip.frames[:] = torch.arange(frames)[:, None, None, None].float()
    support = make_support(size=(8, 12))
    model = Recorder()
    small, large = segment_video(model, Batch(clip, support, None), 10, [(4, 6), (16, 20)]).logits
    assert [len(numbers) for numbers, _, _ in model.calls] == lengths
    assert [number for numbers, _, _ in model.calls for number in numbers] == list(range(frames))
    assert [length for _, length, _ in model.calls] == lengths
    assert all(given is support for _, _, given in model.calls)
    assert small.shape == (frames, 4, 6)
    assert large.shape == (frames, 16, 20)
    for result in (small, large):
        torch.testing.assert_close(result, torch.arange(frames)[:, None, None].expand_as(result).float())


def test_mask_logits_leave_the_padding_out():
    clip = make_clip(["a", "b"], frames=3, size=(64, 96), real=(50, 70))
    clip.sizes[1] = torch.tensor([64, 33])
    masks = torch.randn(2, 3, 16, 24)
    nothing = torch.zeros(2)
    found = mask_logits(Segmentation(masks, nothing, nothing, nothing), clip, [(50, 70), (128, 66)])
    for result, cells, size in zip(
        found, (masks[0, :, :13, :18], masks[1, :, :16, :9]), [(50, 70), (128, 66)], strict=True
    ):
        expected = F.interpolate(cells[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
        torch.testing.assert_close(result, expected)


def test_mask_logits_of_an_unpadded_clip_keep_their_cells_in_place():
    """A cell of stride 4 covers its own four pixels: their mean is the cell, away from the border."""
    clip = make_clip(frames=1, size=(32, 32))
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    nothing = torch.zeros(1)
    (found,) = mask_logits(Segmentation(ramp, nothing, nothing, nothing), clip, [(32, 32)])
    torch.testing.assert_close(found[0, 0].reshape(8, 4).mean(1)[1:-1], torch.arange(8.0)[1:-1])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Group 1 of the zoo: hats (two of them twins), raccoons and crocodiles."""
    root = write(tmp_path_factory.mktemp("zoo"), zoo())
    return EpisodeDataModule(
        root,
        group=1,
        window=5,
        support_frames=3,
        test_seeds=[0, 1],
        max_test_per_category=4,
        test_transform=SizeTransform(32, None),
    )


def test_plan_disturbs_one_thing_at_a_time(data):
    plan = planned(data, CONDITIONS)
    categories = {spec.query.video: spec.category for _, spec, _ in plan}
    seen = {
        condition: [(spec, shown) for c, spec, shown in plan if c == condition] for condition in CONDITIONS
    }
    assert len(seen["right"]) == sum(len(data.test_episodes(seed)) for seed in (0, 1))
    assert all(spec == shown for spec, shown in seen["right"])
    assert len(seen["no_support"]) == len(seen["right"])
    for spec, shown in seen["no_support"]:
        assert shown.support == ()
        assert shown.query == spec.query
    assert seen["wrong_support"]
    for spec, shown in seen["wrong_support"]:
        assert shown.query == spec.query
        assert {categories.get(clip.video) for clip in shown.support} != {spec.category}
        assert (
            shown.support
            == data.test_episodes(spec.seed).support[
                next(c for c, s in data.test_episodes(spec.seed).support.items() if s == shown.support)
            ]
        )
    # Only the twins have another hat in view.
    twins = {
        (spec.seed, spec.query.expression_id) for spec, _ in seen["right"] if spec.query.video == "twins"
    }
    assert {(spec.seed, spec.query.expression_id) for spec, _ in seen["wrong_text"]} == twins != set()
    for spec, shown in seen["wrong_text"]:
        assert shown.support == spec.support
        assert {spec.query.expression, shown.query.expression} == {"the red hat", "the blue hat"}
        assert shown.query.object_id == spec.query.object_id


def test_unknown_condition(data):
    with pytest.raises(UserError, match=r"evaluation\.conditions must be among right, .*; got wrong"):
        planned(data, ["right", "wrong"])


def by_hand(mask, truth):
    union = np.logical_or(mask, truth).sum()
    return np.logical_and(mask, truth).sum() / union if union else 1.0


def test_trials_are_scored_at_native_size_against_the_files(data):
    model = tiny_model("cma_plus", hidden_dim=64).train()
    told = []
    trials = list(evaluate(model, data, ["right", "wrong_text"], on_trial=lambda *x: told.append(x)))
    plan = planned(data, ["right", "wrong_text"])
    assert not model.training
    assert told == [(n + 1, len(plan)) for n in range(len(plan))]
    assert [(trial.condition, trial.spec) for trial in trials] == [(c, spec) for c, spec, _ in plan]
    annotations = data.annotations
    scores = []
    for trial in trials:
        query = trial.spec.query
        assert trial.masks.shape == trial.truth.shape == (len(query.frames), *trial.batch.native_sizes[0])
        assert [record.frame for record in trial.records] == list(query.frames)
        for record, mask, frame in zip(trial.records, trial.masks, query.frames, strict=True):
            file = np.asarray(Image.open(annotations.layout.mask(query.video, frame)))
            expected = by_hand(mask.numpy(), file == int(query.object_id))
            assert abs(record.J - expected) < 1e-9
            # A control keeps the ids of the episode that it disturbs, its words apart.
            assert (record.video, record.object_id, record.expression_id) == (
                query.video,
                query.object_id,
                query.expression_id,
            )
            assert (record.condition, record.seed) == (trial.condition, trial.spec.seed)
            scores.append(record.J)
        expected = np.mean([record.J for record in trial.records])
        assert trial.similarity == pytest.approx(expected)
        shown = trial.batch.query.expressions[0]
        assert (shown != query.expression) == (trial.condition == "wrong_text")
        assert {record.kind for record in trial.records} == {"color" if query.video == "twins" else ""}
    assert len(set(scores)) > 5


@pytest.mark.parametrize(("real", "times"), [((64, 96), 1), ((30, 90), 2)])
def test_support_is_encoded_once_for_all_windows_of_a_video(real, times, monkeypatch):
    """Windows answer as each for itself, and so do those of clips that are padded, which are cut size by size."""
    model, encoded = tiny_model(), []
    clip, support = make_clip(frames=4, real=real), make_support()
    parts = [
        replace(clip, frames=clip.frames[:, cut], padding_mask=clip.padding_mask[:, cut])
        for cut in (slice(0, 2), slice(2, 4))
    ]
    expected = [mask_logits(model.segment(part, support), part, [(64, 96)])[0] for part in parts]
    encode = model.encode_support
    monkeypatch.setattr(model, "encode_support", lambda given: encoded.append(given) or encode(given))
    (found,) = segment_video(model, Batch(clip, support, None), 2, [(64, 96)]).logits
    torch.testing.assert_close(found, torch.cat(expected))
    assert len(encoded) == times
