import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing

from fsrvos.engine.criterion import Criterion
from fsrvos.engine.matcher import Matcher
from fsrvos.ops.boxes import boxes_from_masks
from fsrvos.structures import Prediction, Targets

B, T, Q = 2, 3, 4
WEIGHTS = {"class": 2, "l1": 5, "giou": 2, "mask": 2, "dice": 5}


def random_layer(seed, clips=B, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(clips, T, Q, *shape, generator=generator, dtype=dtype)

    return Prediction(random(), random(4).sigmoid(), 2 * random(8, 16))


def example(seed=0, auxiliary=2, dtype=torch.float64):
    """Random layers and rectangles; the object leaves the second clip for two of three frames."""
    prediction = random_layer(seed, dtype=dtype)
    prediction.auxiliary = [random_layer(seed + 1 + i, dtype=dtype) for i in range(auxiliary)]
    masks = torch.zeros(B, T, 32, 64, dtype=torch.bool)
    for b in range(B):
        for t in range(T):
            masks[b, t, 5 + 2 * t : 15 + 3 * b, 8 + 4 * t : 30 + 4 * t] = True
    masks[1, 1:] = False
    return prediction, Targets(masks, boxes_from_masks(masks).to(dtype), masks.flatten(2).any(-1))


def clip_of(prediction, targets, b):
    """One clip as a batch of its own."""
    part = slice(b, b + 1)
    layers = [
        Prediction(layer.logits[part], layer.boxes[part], layer.masks[part])
        for layer in (prediction, *prediction.auxiliary)
    ]
    return (
        replace(layers[0], auxiliary=layers[1:]),
        Targets(targets.masks[part], targets.boxes[part], targets.is_visible[part]),
    )


def focal(logits, truth):
    p = 1 / (1 + np.exp(-logits))
    of_truth = np.where(truth, p, 1 - p)
    return -np.where(truth, 0.25, 0.75) * (1 - of_truth) ** 2 * np.log(of_truth)


def dice(logits, truth):
    p = 1 / (1 + np.exp(-logits))
    return 1 - (2 * (p * truth).sum() + 1) / (p.sum() + truth.sum() + 1)


def brute_force_terms(layer, targets, matched):
    """The five losses of one layer in NumPy, clip by clip and frame by frame."""
    sums = dict.fromkeys(WEIGHTS, 0.0)
    for b, q in enumerate(matched.tolist()):
        masks = targets.masks[b].numpy()[:, 2::4, 2::4]
        sums["mask"] += focal(layer.masks[b, :, q].numpy(), masks).mean()
        sums["dice"] += dice(layer.masks[b, :, q].numpy(), masks)
        for t in range(T):
            positive = np.zeros(Q, dtype=bool)
            positive[q] = bool(targets.is_visible[b, t])
            sums["class"] += focal(layer.logits[b, t].numpy(), positive).sum()
            box, truth = layer.boxes[b, t, q].numpy(), targets.boxes[b, t].numpy()
            sums["l1"] += np.abs(box - truth).sum()
            (l, u, r, d), (left, up, right, down) = (
                (x - wd / 2, y - ht / 2, x + wd / 2, y + ht / 2) for x, y, wd, ht in (box, truth)
            )
            overlap = max(min(r, right) - max(l, left), 0) * max(min(d, down) - max(u, up), 0)
            union = (r - l) * (d - u) + (right - left) * (down - up) - overlap
            hull = (max(r, right) - min(l, left)) * (max(d, down) - min(u, up))
            sums["giou"] += 1 - overlap / (union + 1e-6) + (hull - union) / (hull + 1e-6)
    return {name: value / targets.is_visible.sum().item() for name, value in sums.items()}


def test_every_layer_by_brute_force():
    prediction, targets = example()
    losses = Criterion()(prediction, targets)
    expected, total = {}, 0.0
    for suffix, layer in (("", prediction), ("_0", prediction.auxiliary[0]), ("_1", prediction.auxiliary[1])):
        matched = Matcher()(layer, targets)
        for name, value in brute_force_terms(layer, targets, matched).items():
            expected[name + suffix] = value
            total += WEIGHTS[name] * value
    assert set(losses.terms) == set(expected)
    for name, value in expected.items():
        assert losses.terms[name].item() == pytest.approx(value, rel=1e-9), name
    assert losses.total.item() == pytest.approx(total, rel=1e-9)
    assert losses.matched.tolist() == Matcher()(prediction, targets).tolist()


def test_layers_are_matched_on_their_own():
    prediction, targets = example(seed=4)
    matches = {tuple(Matcher()(layer, targets).tolist()) for layer in (prediction, *prediction.auxiliary)}
    assert len(matches) > 1, "choose another seed: the layers agree by chance"
    alone = [Criterion()(layer, targets) for layer in prediction.auxiliary]
    losses = Criterion()(prediction, targets)
    for i, other in enumerate(alone):
        assert losses.terms[f"dice_{i}"].item() == pytest.approx(other.terms["dice"].item())


def test_weights_reach_the_total():
    prediction, targets = example(auxiliary=1)
    weights = {"class": 0.5, "l1": 0.0, "giou": 3.0, "mask": 1.0, "dice": 0.25}
    losses = Criterion(**{f"{name}_weight": weight for name, weight in weights.items()})(prediction, targets)
    expected = sum(weights[name.split("_")[0]] * term.item() for name, term in losses.terms.items())
    assert losses.total.item() == pytest.approx(expected)


def test_only_the_matched_query_has_box_and_mask_gradients_but_every_class_does():
    prediction, targets = example(auxiliary=0)
    for tensor in (prediction.logits, prediction.boxes, prediction.masks):
        tensor.requires_grad_()
    losses = Criterion()(prediction, targets)
    losses.total.backward()
    assert not any(term.requires_grad for term in losses.terms.values())
    others = torch.ones(B, Q, dtype=torch.bool)
    others[torch.arange(B), losses.matched] = False
    for gradient in (prediction.boxes.grad, prediction.masks.grad):
        touched = gradient.transpose(1, 2).flatten(2).abs().sum(-1) > 0
        assert torch.equal(touched, ~others)
    assert (prediction.logits.grad != 0).all()
    at_match = prediction.logits.grad[torch.arange(B), :, losses.matched]
    assert torch.equal(at_match < 0, targets.is_visible)  # pulled up where visible, pushed down elsewhere


def test_gradient_is_the_slope():
    prediction, targets = example(auxiliary=0)
    criterion = Criterion()

    def total(logits, boxes, masks):
        return criterion(Prediction(logits, boxes, masks), targets).total

    tensors = [x.clone().requires_grad_() for x in (prediction.logits, prediction.boxes, prediction.masks)]
    assert torch.autograd.gradcheck(total, tensors, fast_mode=True)


def test_no_visible_frame_at_all_is_finite_and_pushes_every_score_down():
    prediction, targets = example()
    targets = Targets(*(torch.zeros_like(x) for x in (targets.masks, targets.boxes, targets.is_visible)))
    prediction.logits.requires_grad_()
    losses = Criterion()(prediction, targets)
    losses.total.backward()
    assert all(term.isfinite() for term in losses.terms.values())
    assert (prediction.logits.grad > 0).all()
    assert losses.terms["class"].item() == pytest.approx(
        focal(prediction.logits.detach().numpy(), np.zeros((B, T, Q), bool)).sum()
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("extreme", [-1e4, -30.0, 30.0, 1e4])
def test_extreme_predictions_have_finite_losses_and_gradients(dtype, extreme):
    _, targets = example(dtype=torch.float32)
    logits = torch.full((B, T, Q), extreme, dtype=dtype, requires_grad=True)
    boxes = torch.full((B, T, Q, 4), extreme, dtype=dtype, requires_grad=True)
    masks = torch.full((B, T, Q, 8, 16), extreme, dtype=dtype, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        losses = Criterion()(Prediction(logits, boxes.sigmoid(), masks), targets)
    losses.total.backward()
    assert losses.total.dtype == torch.float32
    assert losses.total.isfinite()
    assert all(tensor.grad.isfinite().all() for tensor in (logits, boxes, masks))


def test_autocast_changes_nothing():
    prediction, targets = example(dtype=torch.float32)
    plain = Criterion()(prediction, targets)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(Criterion()(prediction, targets).total, plain.total)


def test_a_frame_padded_whole_counts_nowhere():
    prediction, targets = example(dtype=torch.float32)
    padding = torch.zeros(B, T, dtype=torch.bool)
    padding[:, 2] = True
    for layer in (prediction, *prediction.auxiliary):
        for tensor in (layer.logits, layer.boxes, layer.masks):
            tensor[:, 2] = float("nan")
            tensor.requires_grad_()
    criterion = Criterion()
    losses = criterion(prediction, targets, padding)
    losses.total.backward()
    assert prediction.masks.grad.isfinite().all()
    layers = [
        Prediction(layer.logits[:, :2], layer.boxes[:, :2], layer.masks[:, :2])
        for layer in (prediction, *prediction.auxiliary)
    ]
    shorter = replace(layers[0], auxiliary=layers[1:])
    expected = criterion(
        shorter, Targets(targets.masks[:, :2], targets.boxes[:, :2], targets.is_visible[:, :2])
    )
    for name, term in expected.terms.items():
        torch.testing.assert_close(losses.terms[name], term)
    torch.testing.assert_close(losses.total, expected.total)


def test_bad_weights_are_refused():
    with pytest.raises(ValueError, match="weight of 'mask' must be finite and at least 0, got -1"):
        Criterion(mask_weight=-1)


def test_a_batch_of_two_is_the_visible_frames_mean_of_its_clips():
    prediction, targets = example()
    both = Criterion()(prediction, targets).total.item()
    alone = [Criterion()(*clip_of(prediction, targets, b)).total.item() for b in range(B)]
    visible = targets.is_visible.sum(1).tolist()
    assert visible == [3, 1]
    assert both == pytest.approx((3 * alone[0] + 1 * alone[1]) / 4)


def test_two_ranks_of_one_clip_are_one_rank_of_two(monkeypatch):
    """By summing: every rank sees the visible frames of both, and the mean over ranks is the batch's loss."""
    prediction, targets = example()
    both = Criterion()(prediction, targets).total.item()
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", lambda count: count.copy_(targets.is_visible.sum()))
    ranks = [Criterion()(*clip_of(prediction, targets, b)).total.item() for b in range(B)]
    assert sum(ranks) / 2 == pytest.approx(both)


def run_rank(rank, rendezvous):
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    prediction, targets = example()
    total = Criterion()(*clip_of(prediction, targets, rank)).total
    distributed.all_reduce(total)
    distributed.destroy_process_group()
    assert (total / 2).item() == pytest.approx(Criterion()(prediction, targets).total.item())


@pytest.mark.skipif(not distributed.is_gloo_available(), reason="torch was built without gloo")
def test_two_processes_of_one_clip_are_one_of_two(tmp_path):
    multiprocessing.spawn(run_rank, args=(tmp_path / "rendezvous",), nprocs=2)


def test_full_size_masks_are_compared_pixel_by_pixel():
    """By brute force: each pixel's logit from its four neighbouring cells, half a pixel centres, edges repeated."""
    prediction, targets = example(auxiliary=0)
    criterion = Criterion(full_size_masks=True)
    losses = criterion(prediction, targets)
    n = max(1, int(targets.is_visible.sum()))
    sums = {"mask": 0.0, "dice": 0.0}
    for b, q in enumerate(losses.matched.tolist()):
        cells = prediction.masks[b, :, q].numpy()
        height, width = targets.masks.shape[-2:]
        pixels = np.zeros((T, height, width))
        for y in range(height):
            for x in range(width):
                v, u = (np.clip((side + 0.5) / 4 - 0.5, 0, limit - 1) for side, limit in ((y, 8), (x, 16)))
                top, left = int(v), int(u)
                bottom, right = min(top + 1, 7), min(left + 1, 15)
                above = cells[:, top, left] * (1 - u + left) + cells[:, top, right] * (u - left)
                below = cells[:, bottom, left] * (1 - u + left) + cells[:, bottom, right] * (u - left)
                pixels[:, y, x] = above * (1 - v + top) + below * (v - top)
        sums["mask"] += focal(pixels, targets.masks[b].numpy()).mean()
        sums["dice"] += dice(pixels, targets.masks[b].numpy())
    for name, value in sums.items():
        assert losses.terms[name].item() == pytest.approx(value / n, rel=1e-6)
    published = Criterion()(prediction, targets)
    assert published.matched.tolist() == losses.matched.tolist()
    assert published.terms["class"] == losses.terms["class"]
    assert published.terms["mask"] != losses.terms["mask"]
