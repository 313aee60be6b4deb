import numpy as np
import pytest
import torch
from test_criterion import B, T, dice, example, focal

from fsrvos.engine.affinity_criterion import AffinityCriterion
from fsrvos.engine.criterion import Criterion
from fsrvos.structures import Match

C = 6


def matches(seed=0, levels=4, dtype=torch.float64):
    """Random matches for frames of 32 x 64, strides 8, 16, 32, 64."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    sizes = [(4, 8), (2, 4), (1, 2), (1, 1)][:levels]
    return [Match(random(B, T, *size), random(B, T, *size, C), random(B, C)) for size in sizes]


def everything(targets):
    return torch.ones_like(targets.is_visible)


def test_mask_terms_by_brute_force():
    _, targets = example()
    levels = matches()
    weighted, terms = AffinityCriterion(3, 4, 0)(levels, targets, everything(targets), None)
    mask = overlap = 0.0
    for match, stride in zip(levels[:2], (8, 16), strict=True):
        cells = targets.masks.numpy()[:, :, stride // 2 :: stride, stride // 2 :: stride]
        maps = match.logits.numpy()
        mask += sum(focal(maps[b], cells[b]).mean() for b in range(B)) / 2
        overlap += sum(dice(maps[b], cells[b]) for b in range(B)) / 2
    assert terms["match_mask"].item() == pytest.approx(mask)
    assert terms["match_dice"].item() == pytest.approx(overlap)
    assert weighted.item() == pytest.approx(3 * mask + 4 * overlap)


def test_contrast_by_brute_force():
    _, targets = example()
    levels = matches()
    _, terms = AffinityCriterion(0, 0, 1)(levels, targets, everything(targets), ["zorbel", "mipkan"])
    expected = 0.0
    for match, stride in zip(levels[:2], (8, 16), strict=True):
        cells = targets.masks.numpy()[:, :, stride // 2 :: stride, stride // 2 :: stride]
        asked, prototypes = match.asked.numpy(), match.prototypes.numpy()
        for b in range(B):
            for t in range(T):
                losses = []
                for y, x in np.argwhere(cells[b, t]):
                    scores = prototypes @ asked[b, t, y, x] / np.sqrt(C)
                    losses.append(np.log(np.exp(scores).sum()) - scores[b])
                expected += np.mean(losses) / 2 if losses else 0.0
    assert terms["match_contrast"].item() == pytest.approx(expected)


def test_episodes_of_one_category_do_not_push_each_other_away():
    _, targets = example()
    _, terms = AffinityCriterion(0, 0, 1)(matches(), targets, everything(targets), ["zorbel", "zorbel"])
    assert terms["match_contrast"].item() == pytest.approx(0)


def test_criterion_adds_it_per_visible_frame():
    prediction, targets = example()
    prediction.matches = matches()
    affinity = AffinityCriterion(3, 4, 5)
    plain = Criterion()(prediction, targets)
    losses = Criterion(affinity=affinity)(prediction, targets, categories=["a", "b"])
    weighted, terms = affinity(prediction.matches, targets, everything(targets), ["a", "b"])
    n = targets.is_visible.sum()
    assert losses.total.item() == pytest.approx((plain.total + weighted / n).item())
    assert losses.terms["match_dice"].item() == pytest.approx((terms["match_dice"] / n).item())
    assert "match_dice" not in plain.terms


def test_a_frame_padded_whole_counts_nowhere():
    _, targets = example()
    is_frame = everything(targets)
    is_frame[:, 2] = False
    clean, dirty = matches(), matches()
    for match in dirty:
        match.logits[:, 2] = float("nan")
        match.asked[:, 2] = float("nan")
        match.logits.requires_grad_()
        match.asked.requires_grad_()
    criterion = AffinityCriterion()
    expected, _ = criterion(clean, targets, is_frame, ["a", "b"])
    found, _ = criterion(dirty, targets, is_frame, ["a", "b"])
    found.backward()
    assert found.item() == pytest.approx(expected.item())
    assert dirty[0].asked.grad.isfinite().all()
    assert dirty[0].logits.grad.isfinite().all()


def test_what_it_needs_is_told():
    _, targets = example()
    with pytest.raises(ValueError, match=r"model\.rest=true"):
        AffinityCriterion()([], targets, everything(targets), ["a", "b"])
    with pytest.raises(ValueError, match="needs the categories"):
        AffinityCriterion()(matches(), targets, everything(targets), None)
    with pytest.raises(ValueError, match="weight of 'match_mask' must be finite and at least 0, got -1"):
        AffinityCriterion(mask_weight=-1)
