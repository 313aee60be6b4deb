"""What the phrase says of a query: what is measured is right, and nothing else is read."""

import math

import pytest
import torch
from tiny import PHRASES, make_clip, make_support, tiny_model

from fsrvos.errors import UserError
from fsrvos.models import phrase_judge
from fsrvos.models.features import Phrase
from fsrvos.models.phrase_judge import PhraseJudge

SURE = 20.0


def make_phrase(words, padded=0):
    padding = torch.zeros(words.shape[:2], dtype=torch.bool)
    if padded:
        padding[:, -padded:] = True
    return Phrase(words, torch.zeros_like(words), padding, words.mean(1))


def make_seen(seed=0, b=2, t=3, k=4):
    """Mask logits, boxes, frames and padding."""
    g = torch.Generator().manual_seed(seed)
    masks = torch.randn(b, t, k, 4, 6, generator=g) * SURE
    boxes = torch.rand(b, t, k, 4, generator=g)
    frames = torch.randn(b, t, 3, 16, 24, generator=g)
    return masks, boxes, frames, torch.zeros(b, t, 4, 6, dtype=torch.bool)


def test_colour_is_the_mean_of_what_is_covered():
    frames = torch.zeros(1, 1, 3, 8, 8)
    frames[0, 0, :, :4, :4] = torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    coverage = torch.zeros(1, 1, 3, 2, 2)
    coverage[0, 0, 0, 0, 0] = 1
    coverage[0, 0, 1, 0] = torch.tensor([1.0, 0.25])
    padding = torch.zeros(1, 1, 2, 2, dtype=torch.bool)
    found = phrase_judge._colour(coverage, frames, padding)
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(found[0, 0, 1], torch.tensor([0.8, 1.6, 2.4]))
    assert (found[0, 0, 2] == 0).all()
    padding[..., 1] = True
    found = phrase_judge._colour(coverage, frames, padding)
    torch.testing.assert_close(found[0, 0, 1], torch.tensor([1.0, 2.0, 3.0]))


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


def test_a_term_is_what_the_phrase_prefers_up_to_a_bound():
    judge, phrase = PhraseJudge(8), make_phrase(torch.randn(2, 5, 8) * 1000)
    masks, *seen = make_seen()
    coverage = masks.sigmoid() * (masks > 0)
    share = judge.fit(coverage, *seen, phrase).softmax(-1)
    term = judge(masks, *seen, phrase)
    torch.testing.assert_close(term, (4 * share).log().clamp(min=-phrase_judge.SUREST))
    assert (share < 0.01).any()  # else the bound would not have been met


def test_a_phrase_that_prefers_none_adds_nothing():
    judge = PhraseJudge(8)
    torch.nn.init.zeros_(judge.read.weight)
    torch.nn.init.zeros_(judge.read.bias)
    term = judge(*make_seen(), make_phrase(torch.randn(2, 5, 8)))
    torch.testing.assert_close(term, torch.zeros(2, 3, 4))


def test_padded_words_are_not_read():
    judge, words = PhraseJudge(8), torch.randn(2, 5, 8)
    masks, *seen = make_seen()
    fit = judge.fit(masks.sigmoid(), *seen, make_phrase(words[:, :3]))
    padded = words.clone()
    padded[:, 3:] = torch.nan
    torch.testing.assert_close(judge.fit(masks.sigmoid(), *seen, make_phrase(padded, padded=2)), fit)


def test_class_logits_teach_the_weight_alone():
    masks, boxes, *seen = make_seen()
    masks.requires_grad_()
    boxes.requires_grad_()
    words = torch.randn(2, 5, 8, requires_grad=True)
    judge = PhraseJudge(8)
    judge(masks, boxes, *seen, make_phrase(words)).square().sum().backward()
    assert judge.weight.grad is not None
    assert all(x.grad is None for x in (words, masks, boxes, *judge.describe.parameters()))


def test_the_fit_teaches_judge_and_words():
    masks, *seen = make_seen()
    words = torch.randn(2, 5, 8, requires_grad=True)
    judge = PhraseJudge(8)
    judge.fit(masks.sigmoid(), *seen, make_phrase(words)).square().sum().backward()
    assert words.grad is not None
    assert all(p.grad is not None for p in (*judge.describe.parameters(), *judge.read.parameters()))


def test_several_phrases_of_a_clip_see_its_objects():
    judge, (masks, *rest), words = PhraseJudge(8), make_seen(), torch.randn(3, 5, 8)
    seen = (masks.sigmoid(), *rest)
    owner = torch.tensor([0, 0, 1])
    found = judge.fit(*seen, make_phrase(words), owner)
    assert found.shape == (3, 3, 4)
    for i, clip in enumerate(owner.tolist()):
        alone = judge.fit(*(x[clip : clip + 1] for x in seen), make_phrase(words[i : i + 1]))
        torch.testing.assert_close(found[i], alone[0])


def test_a_network_fits_phrases_to_given_objects():
    model, clip = tiny_model("cma_plus", judge_by_phrase=True), make_clip(PHRASES[:2])
    masks = torch.rand(2, 2, 3, 64, 96) < 0.3
    boxes = torch.rand(2, 2, 3, 4)
    phrases, owner = list(PHRASES), torch.tensor([0, 1, 1])
    fit = model.fit(clip, masks, boxes, phrases, owner)
    assert fit.shape == (3, 2, 3)
    order = [2, 0, 1]
    moved = model.fit(clip, masks[:, :, order], boxes[:, :, order], phrases, owner)
    torch.testing.assert_close(moved, fit[..., order])
    other = model.fit(clip, masks, boxes, phrases[::-1], owner)
    assert not torch.allclose(other, fit)


def test_a_network_without_a_judge_says_what_to_set():
    with pytest.raises(UserError, match=r"needs model\.judge_by_phrase=true"):
        tiny_model("cma_plus").fit(
            make_clip(), torch.ones(1, 2, 1, 64, 96), torch.rand(1, 2, 1, 4), ["a dax"], torch.tensor([0])
        )


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
    for layer, bare in zip([*judged.auxiliary, judged], [*plain.auxiliary, plain], strict=True):
        share = ((layer.logits - bare.logits) / 2).exp() / layer.logits.shape[-1]
        torch.testing.assert_close(share.sum(-1), torch.ones_like(share[..., 0]))  # none at the bound here
        assert not torch.allclose(share, share.mean())
        assert torch.equal(layer.masks, bare.masks)
