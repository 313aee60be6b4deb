"""Two ways to sample: the gather against ``grid_sample``, values, gradients and what lies outside."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fsrvos.layers.deformable_sampling import sample, sample_by_gather, sample_by_grid

side = st.integers(1, 5)


def inputs(shapes, heads, points, width, seed, dtype=torch.float64, spread=1.6):
    """Two clips, three queries, locations from well outside one border to well outside the other."""
    generator = torch.Generator().manual_seed(seed)
    cells, levels = sum(h * w for h, w in shapes), len(shapes)
    value = torch.randn(2, cells, heads, width, generator=generator, dtype=dtype)
    locations = torch.rand(2, 3, heads, levels, points, 2, generator=generator, dtype=dtype) * spread
    weights = torch.rand(2, 3, heads, levels, points, generator=generator, dtype=dtype)
    return [x.requires_grad_() for x in (value, locations - (spread - 1) / 2, weights)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(side, side), min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(0, 10_000),
)
def test_both_ways_say_the_same_with_the_same_gradients(shapes, heads, points, width, seed):
    given_inputs = inputs(shapes, heads, points, width, seed)
    found, expected = (by(*given_inputs, shapes) for by in (sample_by_gather, sample_by_grid))
    assert found.shape == (2, 3, heads * width)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)
    towards = torch.randn(found.shape, generator=torch.Generator().manual_seed(seed), dtype=found.dtype)
    gradients = [torch.autograd.grad((x * towards).sum(), given_inputs) for x in (found, expected)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


def test_gradient_of_the_gather_is_that_of_finite_differences():
    shapes = [(3, 4), (2, 2)]
    assert torch.autograd.gradcheck(lambda *x: sample_by_gather(*x, shapes), inputs(shapes, 2, 2, 2, seed=3))


def test_what_lies_outside_is_zero():
    shapes = [(3, 4)]
    value, locations, weights = inputs(shapes, 1, 1, 2, seed=0)
    for beyond in (-0.5, 1.5):
        assert not sample_by_gather(value, torch.full_like(locations, beyond), weights, shapes).any()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_locations_that_are_not_finite_end_nothing_and_stay_where_they_are(bad):
    """A step that went wrong is for the training to skip: it sees a loss that is not finite."""
    shapes = [(3, 4)]
    value, locations, weights = (x.detach() for x in inputs(shapes, 1, 1, 2, seed=0, spread=0.5))
    plain = sample_by_gather(value, locations, weights, shapes)
    locations[0, 1] = bad
    found = sample_by_gather(value, locations, weights, shapes)
    assert not found[0, 1].isfinite().any()
    found[0, 1] = plain[0, 1]
    assert torch.equal(found, plain)


def test_values_of_half_the_width_are_summed_in_full():
    """Under autocast values come in bfloat16, locations and weights in float32."""
    shapes = [(3, 4), (2, 2)]
    value, locations, weights = (
        x.detach() for x in inputs(shapes, 2, 2, 4, seed=1, dtype=torch.float32, spread=1.0)
    )
    value = value.bfloat16()
    found, expected = (
        sample(value, locations, weights, shapes),
        sample(value.float(), locations, weights, shapes),
    )
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
