"""What holds for whole networks: padding, batching and odd inputs change nothing they should not."""

import pytest
import torch
import torch.nn.functional as F
from tiny import PHRASES, make_clip, make_support, tiny_model

from fsrvos.engine.criterion import Criterion
from fsrvos.models.cma import VARIANTS
from fsrvos.models.mask_head import STRIDE
from fsrvos.models.regroup import NOTHING, groups_of, is_tight, owned_by
from fsrvos.structures import Clip, Prediction, Support, Targets

SIZES = [(60, 90), (33, 47), (64, 96), (90, 40)]


def padded(clip, bottom, right, frames=0):
    """The same clips with more padding, and with frames behind them that are none."""
    room = (0, right, 0, bottom)
    behind = (0, 0) * 3 + (0, frames)
    changes = {
        "frames": F.pad(F.pad(clip.frames, room), behind),
        "padding_mask": F.pad(
            F.pad(clip.padding_mask, room, value=True), (0, 0) * 2 + (0, frames), value=True
        ),
    }
    if isinstance(clip, Support):
        changes["masks"] = F.pad(F.pad(clip.masks, room), (0, 0) * 2 + (0, frames))
    return type(clip)(**{**vars(clip), **changes})


def joined(clips):
    """Clips of any size and number of frames as one batch."""
    frames = max(clip.frames.shape[1] for clip in clips)
    sides = [max(clip.frames.shape[axis] for clip in clips) for axis in (-2, -1)]
    grown = [
        padded(c, sides[0] - c.frames.shape[-2], sides[1] - c.frames.shape[-1], frames - c.frames.shape[1])
        for c in clips
    ]
    parts = {
        name: torch.cat([getattr(clip, name) for clip in grown])
        for name in (
            "frames",
            "padding_mask",
            "sizes",
            *(("masks", "owner") if isinstance(clips[0], Support) else ()),
        )
    }
    return type(clips[0])(expressions=[e for clip in clips for e in clip.expressions], **parts)


def tight_clip(size, phrase=PHRASES[0], frames=2, seed=0):
    return make_clip([phrase], frames, size, seed=seed)


def tight_support(size, frames=2, owner=0, seed=1):
    return make_support((owner,), frames, size, seed=seed)


@pytest.fixture(scope="module")
def plus():
    return tiny_model("cma_plus", rest=True, judge_by_match=True, judge_by_phrase=True)


@pytest.fixture(scope="module")
def published():
    return tiny_model("cma")


def assert_same(found, expected, frames, size, tolerance=1e-4):
    """Two predictions, the first of more padding, agree where the clip is: frames and the size of its masks."""
    layers = zip([*found.auxiliary, found], [*expected.auxiliary, expected], strict=True)
    h, w = (-(-side // STRIDE) for side in size)
    for one, other in layers:
        for name in ("logits", "boxes"):
            difference = (getattr(one, name)[:, :frames] - getattr(other, name)).abs().max()
            assert difference < tolerance * getattr(other, name).abs().max(), name
        difference = (one.masks[:, :frames, :, :h, :w] - other.masks[..., :h, :w]).abs().max()
        assert difference < tolerance * other.masks[..., :h, :w].abs().max()


# Padding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(0, 32), (32, 0), (5, 11), (96, 64)])
@pytest.mark.parametrize("who", ["query", "support", "both"])
@pytest.mark.parametrize("size", SIZES[:2])
def test_padding_changes_nothing(plus, size, who, more):
    query, support = tight_clip(size), tight_support((50, 70))
    with torch.no_grad():
        expected = plus(query, support)
        wide_query = padded(query, *more) if who != "support" else query
        wide_support = padded(support, *more) if who != "query" else support
        found = plus(wide_query, wide_support)
    grid = [-(-side // STRIDE) for side in wide_query.frames.shape[-2:]]
    assert list(found.masks.shape[-2:]) == grid
    assert_same(found, expected, 2, size)


def test_the_published_network_sees_padding(published):
    """So the test above can fail."""
    query, support = tight_clip((64, 96)), tight_support((64, 96))
    with torch.no_grad():
        expected, found = published(query, support), published(padded(query, 32, 32), support)
    with pytest.raises(AssertionError):
        assert_same(found, expected, 2, (64, 96))


def test_one_switch_makes_padding_not_matter():
    query, support = tight_clip((40, 70)), tight_support((50, 70))
    model = tiny_model("cma", pad_support_masks=True)
    with torch.no_grad():
        expected = model(query, support)
        found = model(padded(query, 40, 5), padded(support, 7, 64))
    assert_same(found, expected, 2, (40, 70))


@pytest.mark.parametrize("frames", [1, 2])
def test_frames_that_are_none_change_nothing(plus, frames):
    query, support = tight_clip((60, 90), frames=3), tight_support((50, 70), frames=2)
    with torch.no_grad():
        expected = plus(query, support)
        found = plus(padded(query, 0, 0, frames), padded(support, 0, 0, 3))
    assert_same(found, expected, 3, (60, 90))
    assert (found.logits[:, 3:] == NOTHING).all()
    chosen, short = plus.segment(padded(query, 4, 4, frames), support), plus.segment(query, support)
    assert torch.equal(chosen.queries[:, :3], short.queries)
    torch.testing.assert_close(chosen.scores, short.scores)


def test_real_network_ignores_padding():
    """With a published backbone, whose convolutions and norms all see it."""
    model = tiny_model("cma_plus", backbone="resnet18")
    query, support = tight_clip((70, 50)), tight_support((64, 64))
    with torch.no_grad():
        assert_same(model(padded(query, 30, 80), padded(support, 64, 1)), model(query, support), 2, (70, 50))


# Batches ----------------------------------------------------------------------------------------------------------


def test_a_mixed_batch_equals_its_episodes(plus):
    """Sizes, words, numbers of support clips (2, 0, 1, 3), their sizes and their frames all differ."""
    phrases = (*PHRASES, "dax")
    queries = [tight_clip(SIZES[b], phrases[b], seed=b) for b in range(4)]
    supports = [
        tight_support((64, 96), 2, 0, seed=11),
        tight_support((50, 40), 3, 0, seed=12),
        tight_support((33, 100), 1, 2, seed=13),
        *(tight_support((48, 64 + 20 * i), 1 + i, 3, seed=14 + i) for i in range(3)),
    ]
    query, support = joined(queries), joined(supports)
    assert query.frames.shape[-2:] == (90, 96)
    with torch.no_grad():
        together = plus(query, support)
        for b, alone in enumerate(queries):
            own = owned_by(support, torch.tensor([b]))
            expected = plus(alone, own)
            row, *row.auxiliary = [
                Prediction(x.logits[b : b + 1], x.boxes[b : b + 1], x.masks[b : b + 1])
                for x in (together, *together.auxiliary)
            ]
            assert_same(row, expected, 2, SIZES[b])
            for joint, single in zip(together.matches, expected.matches, strict=True):
                h, w = single.logits.shape[-2:]
                h, w = min(h, joint.logits.shape[-2]), min(w, joint.logits.shape[-1])
                torch.testing.assert_close(
                    joint.logits[b, :, :h, :w].sigmoid(),
                    single.logits[0, :, :h, :w].sigmoid(),
                    atol=1e-5,
                    rtol=0,
                )
                torch.testing.assert_close(joint.prototypes[b], single.prototypes[0], atol=1e-5, rtol=1e-4)
    assert (together.masks[1, ..., 16:, :] == NOTHING).all(), "33 rows are 64 with their own padding"


def test_a_mixed_batch_is_trained(plus):
    """Losses are finite, those of the cells outside a clip next to nothing, and gradients flow."""
    model = tiny_model("cma_plus", rest=True).train()
    query = joined([tight_clip(size, seed=i) for i, size in enumerate(SIZES)])
    support = joined([tight_support((64, 96), 2, 0), tight_support((50, 40), 3, 2)])
    masks = torch.zeros_like(query.padding_mask)
    masks[:, :, 8:30, 4:36] = True
    targets = Targets(masks, torch.full((4, 2, 4), 0.4), masks.flatten(2).any(-1))
    losses = Criterion()(model(query, support), targets)
    losses.total.backward()
    assert losses.total.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_a_usual_batch_is_one_pass(plus, monkeypatch):
    passes = []
    monkeypatch.setattr(
        plus.transformer, "encode", lambda *a, f=plus.transformer.encode: passes.append(a) or f(*a)
    )
    with torch.no_grad():
        plus(make_clip(PHRASES), make_support((0, 1, 2)))
        assert len(passes) == 1
        plus(joined([tight_clip(size) for size in SIZES[:3]]), make_support((0, 1, 2)))
    assert len(passes) == 3, "64 x 96 twice, 64 x 64 once"


def test_groups():
    clip = joined([tight_clip(size, frames=f) for size, f in zip(SIZES, (2, 2, 1, 2), strict=True)])
    groups = groups_of(clip)
    assert [(g.rows.tolist(), g.size, g.frames.shape[1]) for g in groups] == [
        ([0], (64, 96), 2), ([1], (64, 64), 2), ([2], (64, 96), 1), ([3], (96, 64), 2),
    ]  # fmt: skip
    assert not is_tight(clip, groups)
    whole = make_clip(PHRASES, size=(64, 96), real=(60, 90))
    assert is_tight(whole, groups_of(whole))


def test_a_clip_without_any_frame_is_an_error(plus):
    clip = make_clip(PHRASES[:2])
    clip.padding_mask[1] = True
    with pytest.raises(ValueError, match="must have a frame"):
        plus(clip)


# Odd inputs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (20, 70)])
@pytest.mark.parametrize("hidden_dim", [32, 64])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_smallest_inputs_are_finite(variant, hidden_dim, size):
    """One frame, one query, one word, one decoder layer; where the coarsest level is a single cell too."""
    model = tiny_model(variant, num_queries=1, hidden_dim=hidden_dim, num_decoder_layers=1).train()
    query, support = make_clip(["dax"], 1, size), make_support((0,), 1, size)
    prediction = model(query, support)
    values = (prediction.logits, prediction.boxes, prediction.masks)
    assert all(x.isfinite().all() for x in values)
    sum(x.sum() for x in values).backward()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
    assert isinstance(query, Clip)
