import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss as torchvision_focal_loss

from fsrvos.ops.losses import (
    class_matching_cost,
    dice_loss,
    full_precision,
    mask_matching_costs,
    mean_over_frames,
    sample_masks,
    sigmoid_focal_loss,
)


def logits_and_targets(*shape, seed=0, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(*shape, generator=generator, dtype=torch.float64)
    return logits, torch.rand(*shape, generator=generator) > 0.6


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.6, 1.5)])
def test_focal_loss_is_torchvisions(alpha, gamma):
    logits, targets = logits_and_targets(4, 7)
    expected = torchvision_focal_loss(logits, targets.double(), alpha, gamma)
    torch.testing.assert_close(sigmoid_focal_loss(logits, targets, alpha, gamma), expected)


def test_dice_loss_by_hand():
    logits, targets = logits_and_targets(2, 9)
    p, t = 1 / (1 + np.exp(-logits.numpy())), targets.numpy()
    expected = 1 - (2 * (p * t).sum(-1) + 1) / (p.sum(-1) + t.sum(-1) + 1)
    np.testing.assert_allclose(dice_loss(logits, targets).numpy(), expected)


def test_dice_loss_of_a_perfect_and_of_an_empty_mask_is_zero():
    targets = torch.tensor([[0, 1, 1, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(dice_loss(200.0 * targets - 100, targets), torch.zeros(2))


def test_class_cost_by_hand():
    logits = torch.linspace(-60, 60, 25, dtype=torch.float64)
    p = 1 / (1 + np.exp(-logits.numpy()))
    expected = -0.25 * (1 - p) ** 2 * np.log(p + 1e-8) + 0.75 * p**2 * np.log(1 - p + 1e-8)
    np.testing.assert_allclose(class_matching_cost(logits).numpy(), expected, rtol=1e-9)
    assert class_matching_cost(torch.tensor([-1e4, 1e4])).abs().max() < 15


def test_mask_costs_by_brute_force():
    logits, _ = logits_and_targets(2, 3, 4, 5, 6)
    _, targets = logits_and_targets(2, 3, 5, 6, seed=1)
    targets[1, 2] = False
    focal, dice = mask_matching_costs(logits, targets)
    for b in range(2):
        for q in range(4):
            p, t = 1 / (1 + np.exp(-logits[b, :, q].numpy())), targets[b].numpy()
            truth = np.where(t, p, 1 - p)
            expected = (-np.where(t, 0.25, 0.75) * (1 - truth) ** 2 * np.log(truth)).mean()
            assert focal[b, q].item() == pytest.approx(expected)
            expected = -(2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
            assert dice[b, q].item() == pytest.approx(expected)


def test_mask_costs_do_not_see_what_is_no_frame():
    logits, _ = logits_and_targets(2, 3, 4, 5, 6)
    _, targets = logits_and_targets(2, 3, 5, 6, seed=1)
    is_frame = torch.tensor([[True, True, False], [True, True, True]])
    spoilt, wrong = logits.clone(), targets.clone()
    spoilt[0, 2], wrong[0, 2] = float("nan"), True
    focal, dice = mask_matching_costs(spoilt, wrong, is_frame)
    shorter = mask_matching_costs(logits[:1, :2], targets[:1, :2])
    whole = mask_matching_costs(logits[1:], targets[1:])
    torch.testing.assert_close(focal, torch.cat([shorter[0], whole[0]]))
    torch.testing.assert_close(dice, torch.cat([shorter[1], whole[1]]))


def test_mask_costs_of_bfloat16_are_summed_in_float32():
    logits = torch.full((1, 1, 1, 64, 64), -2.0, dtype=torch.bfloat16)
    targets = torch.ones(1, 1, 64, 64, dtype=torch.bool)
    focal, dice = mask_matching_costs(logits, targets)
    assert focal.dtype == dice.dtype == torch.float32
    torch.testing.assert_close(dice, mask_matching_costs(logits.double(), targets)[1].float())


@pytest.mark.parametrize("extreme", [-1e4, -90.0, 0.0, 90.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_logits_have_finite_losses_and_gradients(extreme, dtype):
    for target in (0.0, 1.0):
        logits = torch.full((3, 8), extreme, dtype=dtype, requires_grad=True)
        targets = torch.full((3, 8), target)
        x = full_precision(logits)
        loss = (
            sigmoid_focal_loss(x, targets).sum() + dice_loss(x, targets).sum() + class_matching_cost(x).sum()
        )
        loss.backward()
        assert loss.isfinite()
        assert logits.grad.isfinite().all()


def test_mean_over_frames_ignores_others_and_no_frames_at_all():
    values = torch.arange(12.0).reshape(2, 3, 2)
    is_frame = torch.tensor([[True, False, True], [False, False, False]])
    assert mean_over_frames(values, is_frame).tolist() == [[2.0, 3.0], [0.0, 0.0]]


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([4, 8]), st.integers(0, 1), st.integers(0, 1))
@settings(max_examples=60, deadline=None)
def test_targets_are_sampled_from_the_padded_mask(height, width, stride, pads_y, pads_x):
    _, masks = logits_and_targets(2, height, width)
    padded = F.pad(masks, (0, -width % 32, 0, -height % 32))[
        ..., stride // 2 :: stride, stride // 2 :: stride
    ]
    h = padded.shape[-2] if pads_y else -(-height // stride)
    w = padded.shape[-1] if pads_x else -(-width // stride)
    sampled = sample_masks(masks, h, w, stride)
    assert sampled.dtype == torch.bool
    assert torch.equal(sampled, padded[..., :h, :w])
    assert not padded[..., h:, :].any()
    assert not padded[..., w:].any()


def test_a_map_of_other_frames_is_refused():
    masks = torch.zeros(1, 96, 122, dtype=torch.bool)
    assert sample_masks(masks, 24, 31).shape == (1, 24, 31)
    with pytest.raises(
        ValueError, match="height 23 do not fit target masks of height 96: stride 4 gives 24;"
    ):
        sample_masks(masks, 23, 31)
    with pytest.raises(
        ValueError, match="width 33 do not fit target masks of width 122: stride 4 gives 31 to 32;"
    ):
        sample_masks(masks, 24, 33)
