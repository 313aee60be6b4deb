"""The dynamic mask head against the naive one: features repeated for every query, three convolutions each."""

import pytest
import torch
import torch.nn.functional as F

from fsrvos.models.mask_head import DynamicMaskHead

N, Q, C, M, D, H, W = 2, 3, 16, 6, 4, 5, 7


def naive(head, states, centres, features, scale):
    result = torch.zeros(N, Q, H, W)
    for n in range(N):
        for q in range(Q):
            parameters = head.controller(states[n, q])
            sizes = [(M + 2) * D, D * D, D, D, D, 1]
            w1, w2, w3, b1, b2, b3 = parameters.split(sizes)
            offset = torch.zeros(2, H, W)
            for i in range(H):
                for j in range(W):
                    offset[0, i, j] = centres[n, q, 0] - (4 * j + 2)
                    offset[1, i, j] = centres[n, q, 1] - (4 * i + 2)
            x = torch.cat((features[n], offset * scale))[None]
            x = F.conv2d(x, w1.reshape(D, M + 2, 1, 1), b1).relu()
            x = F.conv2d(x, w2.reshape(D, D, 1, 1), b2).relu()
            result[n, q] = F.conv2d(x, w3.reshape(1, D, 1, 1), b3)[0, 0]
    return result


@pytest.mark.parametrize("scale", [1.0, 1 / 64])
def test_equals_the_naive_head(scale):
    torch.manual_seed(0)
    head = DynamicMaskHead(C, M, D, coordinate_scale=scale)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    states = torch.randn(N, Q, C)
    centres = torch.rand(N, Q, 2) * 28
    features = torch.randn(N, M, H, W)
    found, expected = head(states, centres, features), naive(head, states, centres, features, scale)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert expected.std() > 0.1


def test_published_number_of_parameters():
    """256 mask channels, 8 dynamic ones: 2136 weights and 17 biases."""
    head = DynamicMaskHead(256, 256)
    assert head.controller.layers[-1].out_features == 2136 + 17
    assert sum(head.parameter_sizes[:3]) == 2136
