"""The loss on which object the phrase is about, by hand."""

import math

import pytest
import torch

from fsrvos.engine.criterion import Criterion
from fsrvos.engine.phrase_loss import phrase_loss
from fsrvos.ops.boxes import boxes_from_masks
from fsrvos.structures import Prediction, Rivals, Targets

YES = torch.ones(1, 2, dtype=torch.bool)


def example(shown=(True, True), about=(0,)):
    """One clip of two frames; the object and two rivals, of which ``shown`` says who is there in the second frame."""
    masks = torch.zeros(1, 2, 3, 16, 16, dtype=torch.bool)
    for k in range(3):
        masks[:, :, k, :8, 5 * k : 5 * k + 4] = True
    for k, there in enumerate(shown, start=1):
        masks[:, 1, k] &= there
    truth, seen = masks[:, :, 0], masks[:, :, 1:]
    phrases = [f"phrase {i}" for i in range(len(about))]
    owner = torch.zeros(len(about), dtype=torch.long)
    rivals = Rivals(seen, boxes_from_masks(seen), phrases, owner, torch.tensor(about))
    targets = Targets(truth, boxes_from_masks(truth), YES.clone(), rivals)
    shares = torch.tensor([0.2, 0.5, 0.3])
    return (shares.log() + 7).expand(len(about), 2, 3).clone().requires_grad_(), targets


def test_it_is_the_cross_entropy_of_the_object():
    assert phrase_loss(*example(), YES).item() == pytest.approx(-2 * math.log(0.2))


def test_of_several_phrases_it_is_the_mean():
    loss = phrase_loss(*example(about=(0, 1, 2, 2)), YES)
    assert loss.item() == pytest.approx(-2 * math.log(0.2 * 0.5 * 0.3 * 0.3) / 4)


def test_clips_are_summed():
    fit, targets = example(about=(0, 1))
    both = {
        "masks": targets.rivals.masks.repeat(2, 1, 1, 1, 1),
        "boxes": targets.rivals.boxes.repeat(2, 1, 1, 1),
        "phrases": ["a", "b", "c"],
        "owner": torch.tensor([0, 0, 1]),
        "about": torch.tensor([0, 1, 2]),
    }
    targets = Targets(
        targets.masks.repeat(2, 1, 1, 1), targets.boxes.repeat(2, 1, 1), YES.repeat(2, 1), Rivals(**both)
    )
    loss = phrase_loss(torch.cat((fit, fit[:1])), targets, YES.repeat(2, 1))
    assert loss.item() == pytest.approx(-math.log(0.2 * 0.5) - 2 * math.log(0.3))


@pytest.mark.parametrize(
    ("shown", "second"), [((True, False), 0.2 / 0.7), ((False, True), 0.2 / 0.5), ((False, False), 1.0)]
)
def test_what_is_not_there_is_no_choice(shown, second):
    loss = phrase_loss(*example(shown), YES)
    assert loss.item() == pytest.approx(-math.log(0.2) - math.log(second))


def test_frames_without_the_object_count_nothing():
    fit, targets = example()
    targets.is_visible[0, 1] = False
    assert phrase_loss(fit, targets, YES).item() == pytest.approx(-math.log(0.2))
    assert phrase_loss(*example((False, True), about=(1,)), YES).item() == pytest.approx(-math.log(0.5))
    fit, targets = example()
    no_frame = torch.tensor([[True, False]])
    fit = torch.where(no_frame[..., None], fit, torch.nan)
    assert phrase_loss(fit, targets, no_frame).item() == pytest.approx(-math.log(0.2))


def test_the_gradient_raises_the_object_alone():
    fit, targets = example((True, False))
    phrase_loss(fit, targets, YES).backward()
    assert (fit.grad[..., 0] < 0).all()
    assert (fit.grad[:, 0, 1:] > 0).all()
    assert fit.grad[0, 1, 2] == 0


def test_an_object_alone_costs_nothing_and_keeps_its_path():
    fit, targets = example((False, False))
    targets.rivals.masks[:] = False
    loss = phrase_loss(fit, targets, YES)
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert fit.grad is not None


def test_the_criterion_adds_it():
    fit, targets = example()
    prediction = Prediction(torch.zeros(1, 2, 4), torch.full((1, 2, 4, 4), 0.5), torch.randn(1, 2, 4, 4, 4))
    plain = Criterion()(prediction, targets)
    losses = Criterion(phrase_weight=3.0)(prediction, targets, fit=fit)
    assert losses.terms["phrase"].item() == pytest.approx(
        -math.log(0.2)
    )  # a mean over the two visible frames
    assert (losses.total - plain.total).item() == pytest.approx(-3 * math.log(0.2), rel=1e-4)
    assert "phrase" not in plain.terms


def test_what_is_missing_is_named():
    fit, targets = example()
    prediction = Prediction(torch.zeros(1, 2, 4), torch.full((1, 2, 4, 4), 0.5), torch.randn(1, 2, 4, 4, 4))
    with pytest.raises(ValueError, match="fit"):
        Criterion(phrase_weight=1.0)(prediction, targets)
    targets.rivals = None
    with pytest.raises(ValueError, match=r"data\.rivals=1"):
        phrase_loss(fit, targets, YES)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_are_checked(weight):
    with pytest.raises(ValueError, match="phrase"):
        Criterion(phrase_weight=weight)
