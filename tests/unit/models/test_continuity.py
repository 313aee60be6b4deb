"""The path through queries, against every possible path."""

import itertools

import numpy as np
import pytest
import torch

from fsrvos.models.continuity import choose_path, leaving


def boxes(*columns, width=8):
    """Masks (len, 2, width), each the columns [a, b) of a strip."""
    masks = torch.zeros(len(columns), 2, width, dtype=torch.bool)
    for mask, (a, b) in zip(masks, columns, strict=True):
        mask[:, a:b] = True
    return masks


def step_cost(before, after):
    """Of one mask to each of several, in plain NumPy."""
    before, after = before.numpy(), after.numpy()
    ious = [(before & a).sum() / max(1, (before | a).sum()) for a in after]
    return [0.0 if max(ious) == 0 else 1 - iou / max(ious) for iou in ious]


def worth(path, scores, masks, previous, jump_cost):
    total = sum(scores[t, q].item() for t, q in enumerate(path))
    if previous is not None:
        total -= jump_cost * step_cost(previous, masks[0])[path[0]]
    for t in range(1, len(path)):
        total -= jump_cost * step_cost(masks[t - 1, path[t - 1]], masks[t])[path[t]]
    return total


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("jump_cost", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("carried", [False, True])
def test_path_is_the_best_of_all(seed, jump_cost, carried):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(5, 3, generator=generator)
    masks = torch.rand(5, 3, 4, 6, generator=generator) > 0.7
    previous = (torch.rand(4, 6, generator=generator) > 0.7) if carried else None
    found = choose_path(scores, masks, previous, jump_cost, frame_by_frame=True).tolist()
    best = max(
        worth(path, scores, masks, previous, jump_cost) for path in itertools.product(range(3), repeat=5)
    )
    assert worth(found, scores, masks, previous, jump_cost) == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_one_query_for_a_window_is_the_best_of_all(seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(4, 3, generator=generator)
    masks = torch.rand(4, 3, 4, 6, generator=generator) > 0.6
    previous = torch.rand(4, 6, generator=generator) > 0.6
    found = choose_path(scores, masks, previous, 1.5, frame_by_frame=False)
    cost = step_cost(previous, masks[0])
    best = int(np.argmax([scores[:, q].sum().item() - 1.5 * cost[q] for q in range(3)]))
    assert found.tolist() == [best] * 4


def test_no_jump_cost_takes_the_best_of_every_frame():
    scores = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(6, 4, 2, 2, dtype=torch.bool)
    assert torch.equal(choose_path(scores, masks, None, 0.0, frame_by_frame=True), scores.argmax(-1))


def test_a_weak_moment_does_not_lose_the_object_but_lasting_evidence_does():
    left, right = (0, 3), (5, 8)
    masks = torch.stack([boxes(left, right)] * 5)
    scores = torch.tensor([[0.9, 0.1]] * 2 + [[0.4, 0.6]] + [[0.9, 0.1]] * 2)
    assert choose_path(scores, masks, None, 1.0, frame_by_frame=True).tolist() == [0] * 5
    assert choose_path(scores, masks, None, 0.0, frame_by_frame=True).tolist() == [0, 0, 1, 0, 0]
    before = boxes(right)[0]
    assert choose_path(scores, masks, before, 1.0, frame_by_frame=True).tolist() == [0] * 5
    assert choose_path(scores[2:3], masks[2:3], boxes(left)[0], 1.0, frame_by_frame=True).tolist() == [0]


def test_the_object_is_followed_when_it_changes_its_query():
    """Queries that swap their objects: the path swaps with them, at no cost."""
    left, right = (0, 3), (5, 8)
    masks = torch.stack([boxes(left, right), boxes(right, left), boxes(left, right)])
    scores = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.5, 0.5]])
    assert choose_path(scores, masks, None, 1.0, frame_by_frame=True).tolist() == [0, 1, 0]


def test_a_moving_object_costs_no_more_than_a_resting_one():
    fast, still = boxes((0, 3), (5, 8)), boxes((1, 4), (5, 8))
    cost = leaving(fast[None], still[None])[0]
    assert cost[0, 0] == 0
    assert cost[1, 1] == 0
    assert cost[0, 1] == 1


def test_nothing_is_charged_where_nothing_is_known():
    nothing = torch.zeros(1, 2, 2, 8, dtype=torch.bool)
    assert leaving(nothing, boxes((0, 2), (3, 5))[None]).tolist() == [[[0, 0], [0, 0]]]
    assert leaving(boxes((0, 2), (3, 5))[None], nothing).tolist() == [[[0, 0], [0, 0]]]
