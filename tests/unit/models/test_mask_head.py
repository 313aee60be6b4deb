"""The dynamic mask head against the naive one: features repeated for every query, three convolutions each."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import randomised

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


def repeated(head, states, centres, features):
    """model.md section 8 to the letter: every query gets mask features and offsets of its own."""
    m, d, scale = head.mask_channels, head.dynamic_channels, head.coordinate_scale
    n, q = states.shape[:2]
    h, w = features.shape[-2:]
    sizes = [(m + 2) * d, d * d, d, d, d, 1]
    w1, w2, w3, b1, b2, b3 = head.controller(states).flatten(0, 1).split(sizes, -1)
    cells = torch.stack(
        [
            (4 * torch.arange(w, dtype=states.dtype) + 2).expand(h, w),
            (4 * torch.arange(h, dtype=states.dtype) + 2)[:, None].expand(h, w),
        ]
    )
    offsets = (centres.flatten(0, 1)[..., None, None] - cells) * scale
    x = torch.cat((features.repeat_interleave(q, 0), offsets), 1).reshape(1, -1, h, w)
    groups = n * q
    x = F.conv2d(x, w1.reshape(groups * d, m + 2, 1, 1), b1.flatten(), groups=groups).relu()
    x = F.conv2d(x, w2.reshape(groups * d, d, 1, 1), b2.flatten(), groups=groups).relu()
    return F.conv2d(x, w3.reshape(groups, d, 1, 1), b3.flatten(), groups=groups).reshape(n, q, h, w)


few = st.integers(1, 4)


@settings(max_examples=40, deadline=None)
@given(few, few, few, few, few, st.integers(1, 9), st.integers(1, 9), st.integers(0, 10_000))
def test_equals_features_repeated_for_every_query_with_the_same_gradients(n, q, c, m, d, h, w, seed):
    generator = torch.Generator().manual_seed(seed)
    head = randomised(DynamicMaskHead(c, m, d, coordinate_scale=1 / 8), seed=seed)
    inputs = [
        torch.randn(n, q, c, generator=generator, dtype=torch.float64),
        torch.rand(n, q, 2, generator=generator, dtype=torch.float64) * 4 * max(h, w),
        torch.randn(n, m, h, w, generator=generator, dtype=torch.float64),
    ]
    read = [x.requires_grad_() for x in inputs] + list(head.parameters())
    found, expected = head(*inputs), repeated(head, *inputs)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
    towards = torch.randn(found.shape, generator=generator, dtype=torch.float64)
    gradients = [torch.autograd.grad((x * towards).sum(), read, allow_unused=True) for x in (found, expected)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=1e-8)
    assert all(gradient is not None for gradient in gradients[0])


def test_nothing_of_the_width_of_mask_features_is_made_for_every_query():
    """What the head makes for a query is as wide as its dynamic convolutions, whatever the mask features are."""
    head, q, m, h, w = DynamicMaskHead(8, 64, 2), 20, 64, 8, 8
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.numel()) or x, lambda x: x):
        head(torch.randn(1, q, 8), torch.rand(1, q, 2), torch.randn(1, m, h, w, requires_grad=True))
    assert max(saved) < q * m * h * w
    assert max(saved) >= m * h * w
