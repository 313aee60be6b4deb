"""What the support says of a query's mask, by hand."""

import math

import pytest
import torch
from tiny import make_clip, make_support, tiny_model

from fsrvos.errors import UserError
from fsrvos.models.match_judge import MatchJudge
from fsrvos.structures import Match

SURE = 20.0


def match_of(logits):
    b, t, h, w = logits.shape
    return Match(logits, torch.zeros(b, t, h, w, 3), torch.zeros(b, 3))


def test_the_match_is_averaged_over_what_a_mask_covers():
    logits = torch.full((1, 1, 2, 2), math.log(0.2 / 0.8))
    logits[..., 0, 0] = math.log(0.9 / 0.1)
    masks = torch.full((1, 1, 3, 2, 2), -SURE)
    masks[0, 0, 0, 0, 0] = SURE  # the cell that matches
    masks[0, 0, 1, 1] = SURE  # two that do not
    masks[0, 0, 2, 0] = SURE  # one of each
    judge = MatchJudge()
    with torch.no_grad():
        judge.scale.fill_(2.0)
        judge.shift.fill_(0.5)
        found = judge(masks, match_of(logits))[0, 0].tolist()
    expected = [2 * math.log(p / (1 - p)) + 0.5 for p in (0.9, 0.2, 0.55)]
    assert found == pytest.approx(expected, abs=1e-4)


def test_gradients_reach_the_two_numbers_alone():
    masks, logits = (
        torch.randn(1, 2, 3, 4, 4, requires_grad=True),
        torch.randn(1, 2, 2, 2, requires_grad=True),
    )
    judge = MatchJudge()
    judge(masks, match_of(logits)).sum().backward()
    assert judge.scale.grad is not None
    assert judge.shift.grad is not None
    assert masks.grad is None
    assert logits.grad is None


def test_empty_masks_and_certain_matches_are_finite():
    masks, logits = torch.full((1, 1, 2, 4, 4), -100.0), torch.full((1, 1, 2, 2), 100.0)
    assert MatchJudge()(masks, match_of(logits)).isfinite().all()


def test_it_is_a_term_of_the_class_logits():
    model = tiny_model("cma_plus", rest=True, judge_by_match=True)
    query, support = make_clip(), make_support()
    with torch.no_grad():
        judged = model(query, support)
        for judge in model.judges:
            judge.scale.zero_()
            judge.shift.fill_(3.0)
        shifted = model(query, support)
        model.judges = None
        plain = model(query, support)
    torch.testing.assert_close(shifted.logits, plain.logits + 3)
    assert not torch.allclose(judged.logits - plain.logits, (judged.logits - plain.logits).mean())
    assert torch.equal(judged.masks, plain.masks)


@pytest.mark.parametrize("options", [{"variant": "cma_plus"}, {"variant": "referformer", "rest": True}])
def test_it_needs_a_match(options):
    with pytest.raises(UserError, match=r"set model\.rest=true"):
        tiny_model(**options, judge_by_match=True)
