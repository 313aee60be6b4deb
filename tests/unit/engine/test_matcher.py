import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fsrvos.engine.matcher import Matcher
from fsrvos.ops.boxes import boxes_from_masks
from fsrvos.structures import Prediction, Targets

B, T, Q = 2, 3, 4
PUBLISHED = {"class": 2, "l1": 5, "giou": 2, "mask": 2, "dice": 5}


def example(seed=0, size=(32, 64), dtype=torch.float64):
    """Random predictions and drifting rectangles; the second clip's last frame is empty."""
    generator = torch.Generator().manual_seed(seed)
    h, w = -(-size[0] // 4), -(-size[1] // 4)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    prediction = Prediction(random(B, T, Q), random(B, T, Q, 4).sigmoid(), 2 * random(B, T, Q, h, w))
    masks = torch.zeros(B, T, *size, dtype=torch.bool)
    for b in range(B):
        for t in range(T):
            masks[b, t, 5 + 2 * t : 15 + 3 * b, 8 + 4 * t : 30 + 4 * t] = True
    masks[1, 2] = False
    return prediction, Targets(masks, boxes_from_masks(masks).to(dtype), masks.flatten(2).any(-1))


def brute_force_cost(prediction, targets, b, q, weights):
    """One query of one clip, frame by frame, in NumPy and float64."""
    cost, shared, total = 0.0, 0.0, 0.0
    for t in range(T):
        p = 1 / (1 + np.exp(-prediction.logits[b, t, q].item()))
        cost += weights["class"] * (
            -0.25 * (1 - p) ** 2 * np.log(p + 1e-8) + 0.75 * p**2 * np.log(1 - p + 1e-8)
        )
        box, truth = prediction.boxes[b, t, q].numpy(), targets.boxes[b, t].numpy()
        cost += weights["l1"] * np.abs(box - truth).sum()
        (l, u, r, d), (left, up, right, down) = (
            (x - wd / 2, y - ht / 2, x + wd / 2, y + ht / 2) for x, y, wd, ht in (box, truth)
        )
        overlap = max(min(r, right) - max(l, left), 0) * max(min(d, down) - max(u, up), 0)
        union = (r - l) * (d - u) + (right - left) * (down - up) - overlap
        hull = (max(r, right) - min(l, left)) * (max(d, down) - min(u, up))
        cost -= weights["giou"] * (overlap / (union + 1e-6) - (hull - union) / (hull + 1e-6))
        p = 1 / (1 + np.exp(-prediction.masks[b, t, q].numpy()))
        cells = targets.masks[b, t].numpy()[2::4, 2::4]
        of_truth = np.where(cells, p, 1 - p)
        cost += (
            weights["mask"] * (-np.where(cells, 0.25, 0.75) * (1 - of_truth) ** 2 * np.log(of_truth)).mean()
        )
        shared, total = shared + (p * cells).sum(), total + p.sum() + cells.sum()
    return cost / T - weights["dice"] * (2 * shared + 1) / (total + 1)


@pytest.mark.parametrize(
    "weights",
    [PUBLISHED, {"class": 1, "l1": 0, "giou": 0.5, "mask": 7, "dice": 0.1}],
    ids=["published", "other"],
)
def test_costs_by_brute_force(weights):
    prediction, targets = example()
    matcher = Matcher(**{f"{name}_weight": weight for name, weight in weights.items()})
    expected = [[brute_force_cost(prediction, targets, b, q, weights) for q in range(Q)] for b in range(B)]
    np.testing.assert_allclose(matcher.costs(prediction, targets).numpy(), expected, rtol=1e-9)
    matched = matcher(prediction, targets)
    assert matched.dtype == torch.int64
    assert matched.tolist() == np.argmin(expected, axis=1).tolist()


def test_defaults_are_the_published_weights():
    assert Matcher().weights == PUBLISHED


@given(st.integers(0, 2**31), st.permutations(range(Q)), st.permutations(range(B)), st.permutations(range(T)))
@settings(max_examples=25, deadline=None)
def test_order_of_queries_clips_and_frames_does_not_matter(seed, queries, clips, frames):
    prediction, targets = example(seed)
    matched = Matcher()(prediction, targets)
    moved = Prediction(
        prediction.logits[clips][:, frames][:, :, queries],
        prediction.boxes[clips][:, frames][:, :, queries],
        prediction.masks[clips][:, frames][:, :, queries],
    )
    targets = Targets(*(x[clips][:, frames] for x in (targets.masks, targets.boxes, targets.is_visible)))
    again = Matcher()(moved, targets)
    assert torch.tensor(queries)[again].tolist() == matched[clips].tolist()


def test_the_perfect_query_wins_and_equals_go_to_the_first():
    prediction, targets = example()
    cells = targets.masks[:, :, 2::4, 2::4].double()
    for q in (2, 3):
        prediction.logits[:, :, q] = 5.0
        prediction.boxes[:, :, q] = targets.boxes
        prediction.masks[:, :, q] = 40 * cells - 20
    assert Matcher()(prediction, targets).tolist() == [2, 2]


def test_each_clip_is_matched_on_its_own():
    prediction, targets = example(3)
    costs = Matcher().costs(prediction, targets)
    for b in range(B):
        alone = Matcher().costs(
            Prediction(
                prediction.logits[b : b + 1], prediction.boxes[b : b + 1], prediction.masks[b : b + 1]
            ),
            Targets(targets.masks[b : b + 1], targets.boxes[b : b + 1], targets.is_visible[b : b + 1]),
        )
        torch.testing.assert_close(costs[b : b + 1], alone)


def test_a_frame_padded_whole_counts_nowhere():
    prediction, targets = example()
    padding = torch.tensor([[False, False, True], [False, False, False]])
    for tensor in (prediction.logits, prediction.boxes, prediction.masks):
        tensor[0, 2] = float("nan")
    costs = Matcher().costs(prediction, targets, padding)
    shorter = Matcher().costs(
        Prediction(prediction.logits[:1, :2], prediction.boxes[:1, :2], prediction.masks[:1, :2]),
        Targets(targets.masks[:1, :2], targets.boxes[:1, :2], targets.is_visible[:1, :2]),
    )
    torch.testing.assert_close(costs[:1], shorter)
    assert costs.isfinite().all()


def test_frames_of_any_size_match_whether_or_not_the_network_pads_them():
    cropped, targets = example(size=(37, 50))
    assert cropped.masks.shape[-2:] == (10, 13)
    matcher = Matcher(class_weight=0, l1_weight=0, giou_weight=0, mask_weight=0)
    padded = Prediction(cropped.logits, cropped.boxes, torch.full((B, T, Q, 16, 16), -1e4).double())
    padded.masks[..., :10, :13] = cropped.masks
    torch.testing.assert_close(matcher.costs(padded, targets), matcher.costs(cropped, targets))


def test_half_precision_is_matched_in_float32():
    prediction, targets = example()
    half = Prediction(prediction.logits.bfloat16(), prediction.boxes.bfloat16(), prediction.masks.bfloat16())
    rounded = Prediction(half.logits.double(), half.boxes.double(), half.masks.double())
    costs = Matcher().costs(half, targets)
    assert costs.dtype == torch.float32
    torch.testing.assert_close(costs.double(), Matcher().costs(rounded, targets), rtol=1e-4, atol=1e-4)


def test_nothing_is_recorded_for_the_gradient():
    prediction, targets = example()
    prediction.masks.requires_grad_()
    assert not Matcher().costs(prediction, targets).requires_grad


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_bad_weights_are_refused(weight):
    with pytest.raises(ValueError, match="weight of 'giou' must be finite and at least 0"):
        Matcher(giou_weight=weight)


def test_no_weight_at_all_is_refused():
    with pytest.raises(ValueError, match="at least one weight above 0"):
        Matcher(0, 0, 0, 0, 0)


def test_what_does_not_belong_together_is_refused():
    prediction, targets = example()
    chosen = Prediction(prediction.logits, prediction.boxes, prediction.masks[:, :, :1])
    with pytest.raises(
        ValueError, match=r"prediction.masks is \(2, 3, 1, 8, 16\), must be \(2, 3, 4, 8, 16\)"
    ):
        Matcher()(chosen, targets)
    with pytest.raises(ValueError, match=r"targets.boxes is \(2, 2, 4\)"):
        Matcher()(prediction, Targets(targets.masks, targets.boxes[:, :2], targets.is_visible))
    with pytest.raises(ValueError, match=r"frame_padding_mask is \(2, 4\)"):
        Matcher()(prediction, targets, torch.zeros(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"targets.is_visible must be bool, got torch.int64"):
        Matcher()(prediction, Targets(targets.masks, targets.boxes, targets.is_visible.long()))
    with pytest.raises(ValueError, match=r"prediction.logits must be \(B, T, Q\)"):
        Matcher()(Prediction(prediction.logits[..., None], prediction.boxes, prediction.masks), targets)
    larger = Targets(torch.zeros(B, T, 64, 64, dtype=torch.bool), targets.boxes, targets.is_visible)
    with pytest.raises(ValueError, match="mask logits of height 8 do not fit target masks of height 64"):
        Matcher()(prediction, larger)
