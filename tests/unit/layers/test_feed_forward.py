"""The feed-forward network in blocks against the formula."""

import pytest
import torch
from torch import nn

from fsrvos.layers.feed_forward import ROWS, feed_forward


@pytest.mark.parametrize("tokens", [1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS + 7])
def test_blocks_equal_the_formula(tokens):
    torch.manual_seed(0)
    inward, outward, dropout = nn.Linear(3, 8).double(), nn.Linear(8, 3).double(), nn.Dropout(0.5).eval()
    x = torch.randn(2, tokens, 3, dtype=torch.float64)
    expected = (x @ inward.weight.T + inward.bias).clamp(min=0) @ outward.weight.T + outward.bias
    torch.testing.assert_close(feed_forward(x, inward, outward, dropout), expected)
    with torch.no_grad():
        torch.testing.assert_close(feed_forward(x, inward, outward, dropout), expected.detach())
        turned = x.transpose(0, 1)  # not contiguous
        torch.testing.assert_close(
            feed_forward(turned, inward, outward, dropout), expected.detach().transpose(0, 1)
        )


def test_gradient_is_that_of_finite_differences():
    torch.manual_seed(0)
    inward, outward, dropout = nn.Linear(3, 4).double(), nn.Linear(4, 3).double(), nn.Dropout(0.0)
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: feed_forward(x, inward, outward, dropout), x)


def test_no_hidden_state_is_kept_whole_without_gradient():
    rows = []
    inward, outward = nn.Linear(3, 8), nn.Linear(8, 3)
    inward.register_forward_hook(lambda _, given, __: rows.append(len(given[0])))
    with torch.no_grad():
        feed_forward(torch.randn(5, ROWS, 3), inward, outward, nn.Dropout(0.0))
    assert rows == [ROWS] * 5


def test_hidden_states_are_dropped_in_training():
    torch.manual_seed(0)
    inward, outward = nn.Linear(3, 64), nn.Linear(64, 3)
    x = torch.randn(4, 3)
    dropped = feed_forward(x, inward, outward, nn.Dropout(0.5))
    assert not torch.allclose(dropped, feed_forward(x, inward, outward, nn.Dropout(0.0)))
