"""What the phrase says of a query: what is measured is right, and nothing else is read."""

import math

import pytest
import torch
from tiny import make_clip, make_support, tiny_model

from fsrvos.models import phrase_judge
from fsrvos.models.features import Phrase
from fsrvos.models.phrase_judge import PhraseJudge

SURE = 20.0


def make_phrase(words, padded=0):
    padding = torch.zeros(words.shape[:2], dtype=torch.bool)
    if padded:
        padding[:, -padded:] = True
    return Phrase(words, torch.zeros_like(words), padding, words.mean(1))


def make_seen(seed=0, b=2, t=3, q=4):
    g = torch.Generator().manual_seed(seed)
    masks = torch.randn(b, t, q, 4, 6, generator=g) * SURE
    boxes = torch.rand(b, t, q, 4, generator=g)
    frames = torch.randn(b, t, 3, 16, 24, generator=g)
    return masks, boxes, frames, torch.zeros(b, t, 4, 6, dtype=torch.bool)


def test_colour_is_the_mean_under_the_mask():
    frames = torch.zeros(1, 1, 3, 8, 8)
    frames[0, 0, :, :4, :4] = torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    masks = torch.full((1, 1, 2, 2, 2), -SURE)
    masks[0, 0, 0, 0, 0] = SURE
    masks[0, 0, 1, 0] = SURE
    found = phrase_judge._colour(masks, frames, torch.zeros(1, 1, 2, 2, dtype=torch.bool))
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(found[0, 0, 1], torch.tensor([0.5, 1.0, 1.5]))
    right_padded = torch.tensor([[[[False, True], [False, True]]]])
    torch.testing.assert_close(
        phrase_judge._colour(masks, frames, right_padded)[0, 0, 1], torch.tensor([1.0, 2.0, 3.0])
    )


def test_velocity_is_a_mean_that_leaves_out_jumps_and_frames_that_are_none():
    boxes = torch.full((1, 5, 1, 4), 0.5)
    boxes[0, :, 0, 0] = torch.tensor([0.1, 0.15, 0.9, 0.94, 7.0])  # 0.05, a change of objects, 0.04, no frame
    padding = torch.zeros(1, 5, 2, 2, dtype=torch.bool)
    padding[0, 4] = True
    found = phrase_judge._geometry(boxes, padding)
    assert found.shape == (1, 5, 1, 7)
    torch.testing.assert_close(found[0, :4, 0, 3], torch.full((4,), 20 * 0.045))
    torch.testing.assert_close(found[..., 4], torch.zeros(1, 5, 1))
    torch.testing.assert_close(found[0, 0, 0, :3], torch.tensor([4 * 0.1 - 2, 0.0, 2 * math.log(0.5) + 3]))
    leftward = boxes.clone()
    leftward[..., 0] = 1 - boxes[..., 0]
    mirrored = phrase_judge._geometry(leftward, padding)
    torch.testing.assert_close(mirrored[0, :4, :, 3], -found[0, :4, :, 3])
    torch.testing.assert_close(mirrored[0, :4, :, 5], found[0, :4, :, 5])


def test_a_still_image_has_no_velocity():
    assert torch.equal(
        phrase_judge._geometry(torch.rand(2, 1, 3, 4), torch.zeros(2, 1, 2, 2, dtype=torch.bool))[..., 3:],
        torch.zeros(2, 1, 3, 4),
    )


def test_a_fit_is_a_distribution_over_the_queries_and_its_term_is_bounded():
    judge, phrase = PhraseJudge(8), make_phrase(torch.randn(2, 5, 8) * 1000)
    fit, term = judge(*make_seen(), phrase)
    torch.testing.assert_close(fit.exp().sum(-1), torch.ones(2, 3))
    torch.testing.assert_close(term, (fit + math.log(4)).clamp(min=-phrase_judge.SUREST))
    assert (fit < -phrase_judge.SUREST - math.log(4)).any()  # else the bound would not have been met


def test_a_phrase_that_prefers_none_adds_nothing():
    judge = PhraseJudge(8)
    torch.nn.init.zeros_(judge.read.weight)
    torch.nn.init.zeros_(judge.read.bias)
    _, term = judge(*make_seen(), make_phrase(torch.randn(2, 5, 8)))
    torch.testing.assert_close(term, torch.zeros(2, 3, 4))


def test_padded_words_are_not_read():
    judge, words = PhraseJudge(8), torch.randn(2, 5, 8)
    fit, _ = judge(*make_seen(), make_phrase(words[:, :3]))
    padded = words.clone()
    padded[:, 3:] = torch.nan
    torch.testing.assert_close(judge(*make_seen(), make_phrase(padded, padded=2))[0], fit)


def test_gradients_stay_in_the_judge_and_the_words():
    masks, boxes, frames, padding = make_seen()
    masks.requires_grad_()
    boxes.requires_grad_()
    words = torch.randn(2, 5, 8, requires_grad=True)
    judge = PhraseJudge(8)
    fit, term = judge(masks, boxes, frames, padding, make_phrase(words))
    term.square().sum().backward()
    assert words.grad is None
    assert judge.weight.grad is not None
    assert all(p.grad is None for p in judge.describe.parameters())
    fit.square().sum().backward()
    assert words.grad is not None
    assert all(p.grad is not None for p in judge.describe.parameters())
    assert masks.grad is None
    assert boxes.grad is None


@pytest.mark.parametrize("variant", ["cma_plus", "referformer"])
def test_it_is_a_term_of_the_class_logits(variant):
    model = tiny_model(variant, judge_by_phrase=True)
    query, support = make_clip(), make_support()
    with torch.no_grad():
        model.phrase_judge.weight.fill_(2.0)
        judged = model(query, support)
        model.phrase_judge.weight.zero_()
        ignored = model(query, support)
        model.phrase_judge = None
        plain = model(query, support)
    torch.testing.assert_close(ignored.logits, plain.logits)
    assert plain.fit is None
    for layer, bare in zip([*judged.auxiliary, judged], [*plain.auxiliary, plain], strict=True):
        assert layer.fit.shape == layer.logits.shape
        torch.testing.assert_close(
            layer.logits - bare.logits, 2 * (layer.fit + math.log(layer.fit.shape[-1])).clamp(min=-4.0)
        )
        assert torch.equal(layer.masks, bare.masks)
