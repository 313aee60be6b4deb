"""The loss on which query the phrase is about, by hand."""

import math

import pytest
import torch

from fsrvos.engine.criterion import Criterion
from fsrvos.engine.phrase_loss import phrase_loss
from fsrvos.ops.boxes import boxes_from_masks
from fsrvos.structures import Prediction, Targets

SURE = 20.0


def example(shares, covering=()):
    """One clip of two frames with ``shares`` of the phrase; query 0 and those ``covering`` lie on the object."""
    shares = torch.tensor(shares)
    masks = torch.full((1, 2, len(shares), 4, 4), -SURE)
    masks[:, :, :, 2:, 2:] = SURE
    for query in (0, *covering):
        masks[:, :, query] = -SURE
        masks[:, :, query, :2, :2] = SURE
    fit = shares.log().expand(1, 2, -1).clone().requires_grad_()
    truth = torch.zeros(1, 2, 16, 16, dtype=torch.bool)
    truth[:, :, :8, :8] = True
    prediction = Prediction(
        torch.zeros(1, 2, len(shares)), torch.full((1, 2, len(shares), 4), 0.5), masks, fit=fit
    )
    return prediction, Targets(truth, boxes_from_masks(truth), truth.flatten(2).any(-1))


def loss_of(prediction, targets, matched=0, is_frame=None, is_visible=None):
    is_frame = torch.ones(1, 2, dtype=torch.bool) if is_frame is None else is_frame
    is_visible = targets.is_visible if is_visible is None else is_visible
    return phrase_loss(prediction, targets, torch.tensor([matched]), is_frame, is_visible)


def test_it_is_the_cross_entropy_of_the_matched_query():
    prediction, targets = example([0.2, 0.5, 0.3])
    assert loss_of(prediction, targets).item() == pytest.approx(-2 * math.log(0.2))


def test_other_queries_on_the_object_are_as_right():
    prediction, targets = example([0.2, 0.5, 0.3], covering=[2])
    assert loss_of(prediction, targets).item() == pytest.approx(-2 * math.log(0.5))


def test_a_matched_query_is_right_wherever_it_lies():
    prediction, targets = example([0.2, 0.5, 0.3])
    assert loss_of(prediction, targets, matched=1).item() == pytest.approx(-2 * math.log(0.7))


def test_frames_without_the_object_count_nothing():
    prediction, targets = example([0.2, 0.5, 0.3])
    seen = torch.tensor([[True, False]])
    assert loss_of(prediction, targets, is_visible=seen).item() == pytest.approx(-math.log(0.2))


def test_the_gradient_raises_what_is_right_and_nothing_else():
    prediction, targets = example([0.2, 0.5, 0.3], covering=[1])
    loss_of(prediction, targets).backward()
    gradient = prediction.fit.grad[0, 0]
    assert (gradient[:2] < 0).all()
    assert gradient[2] == 0


def test_the_criterion_adds_it_layer_by_layer():
    prediction, targets = example([0.2, 0.5, 0.3])
    prediction.auxiliary = [example([0.6, 0.1, 0.3])[0]]
    plain = Criterion()(prediction, targets)
    losses = Criterion(phrase_weight=3.0)(prediction, targets)
    first, last = -math.log(0.6), -math.log(0.2)  # two frames, both visible: their mean
    assert losses.terms["phrase"].item() == pytest.approx(last)
    assert losses.terms["phrase_0"].item() == pytest.approx(first)
    assert (losses.total - plain.total).item() == pytest.approx(3 * (first + last), rel=1e-4)
    assert "phrase" not in plain.terms


def test_a_network_without_a_judge_says_what_to_set():
    prediction, targets = example([0.2, 0.5, 0.3])
    prediction.fit = None
    with pytest.raises(ValueError, match=r"model\.judge_by_phrase=true"):
        Criterion(phrase_weight=1.0)(prediction, targets)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_are_checked(weight):
    with pytest.raises(ValueError, match="phrase"):
        Criterion(phrase_weight=weight)
