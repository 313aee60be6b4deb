"""From backbone maps and words to fused levels."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import make_clip, randomised
from torch import nn

from fsrvos.layers.position import position_1d, position_2d
from fsrvos.models.features import FeaturePyramid, TextProjection, positions, support_transform

CHANNELS = [4, 6, 8, 10]
C, HEADS = 32, 4


@pytest.fixture(scope="module")
def clip():
    return make_clip(["a", "b"], frames=2, size=(64, 96), real=(50, 70))


@pytest.fixture(scope="module")
def phrase():
    torch.manual_seed(0)
    padding = torch.tensor([[False] * 4, [False, False, True, True]])
    return TextProjection(12, C, 0.1).eval()(torch.randn(2, 4, 12), torch.randn(2, 12), padding)


def maps_of(clip):
    torch.manual_seed(3)
    b, t, _, h, w = clip.frames.shape
    return [torch.randn(b, t, c, h // s, w // s) for c, s in zip(CHANNELS, (4, 8, 16, 32), strict=True)]


def project(pyramid, i, raw):
    """Convolution and GroupNorm(32) by hand."""
    layer, norm = pyramid.projections[i]
    x = F.conv2d(raw, layer.weight, layer.bias, stride=2 if i == 3 else 1, padding=1 if i == 3 else 0)
    groups = x.reshape(len(x), 32, -1)
    groups = (groups - groups.mean(-1, keepdim=True)) / (
        groups.var(-1, unbiased=False, keepdim=True) + 1e-5
    ).sqrt()
    return groups.reshape(x.shape) * norm.weight[:, None, None] + norm.bias[:, None, None]


@pytest.mark.parametrize("transform_all_levels", [False, True])
@pytest.mark.parametrize("is_support", [False, True])
def test_levels(clip, phrase, is_support, transform_all_levels):
    pyramid = FeaturePyramid(CHANNELS, C, HEADS, transform_all_levels=transform_all_levels)
    pyramid = randomised(pyramid).float()
    maps = maps_of(clip)
    found = pyramid(maps, clip, phrase, is_support=is_support)
    assert [tuple(x.shape[-2:]) for x in found.levels] == [(8, 12), (4, 6), (2, 3), (1, 2)]
    assert found.finest is maps[0]
    for i, raw in enumerate((maps[1], maps[2], maps[3], maps[3])):
        x = project(pyramid, i, raw.flatten(0, 1)).unflatten(0, (2, 2))
        if is_support and (i < 3 or transform_all_levels):
            x = support_transform(x)
        x = pyramid.fusion(x, phrase.words, phrase.position, phrase.padding_mask)
        torch.testing.assert_close(found.levels[i], x, atol=1e-4, rtol=1e-4)


def test_padding_of_the_levels_is_the_nearest_pixels(clip, phrase):
    pyramid = FeaturePyramid(CHANNELS, C, HEADS, transform_all_levels=False)
    found = pyramid(maps_of(clip), clip, phrase)
    for padding, stride in zip([found.finest_padding, *found.padding], (4, 8, 16, 32, 64), strict=True):
        h, w = padding.shape[-2:]
        for i in range(h):
            for j in range(w):
                expected = i * stride >= 50 or j * 96 // w >= 70
                assert padding[0, 1, i, j] == expected


def test_support_transform():
    x = torch.linspace(-30, 30, 2001, dtype=torch.float64)

    def compress(y):
        return 1 / np.log(1 / (np.maximum(y, 0) + 1e-5) + 1) ** 1.3

    expected = compress(x.numpy()) - compress(-x.numpy())
    np.testing.assert_allclose(support_transform(x).numpy(), expected, rtol=1e-9, atol=1e-12)


def test_support_transform_has_finite_gradients_at_zero():
    x = torch.zeros(3, requires_grad=True)
    support_transform(x).sum().backward()
    assert x.grad.isfinite().all()


def test_text_projection_is_one_resizer_for_words_and_sentence():
    torch.manual_seed(0)
    projection = TextProjection(12, C, 0.1).eval()
    words, padding = torch.randn(2, 4, 12), torch.zeros(2, 4, dtype=torch.bool)
    phrase = projection(words, words[:, 1], padding)
    torch.testing.assert_close(phrase.sentence, phrase.words[:, 1])
    x = words @ projection.linear.weight.T + projection.linear.bias
    deviation = (x.var(-1, unbiased=False, keepdim=True) + 1e-12).sqrt()
    torch.testing.assert_close(phrase.words, (x - x.mean(-1, keepdim=True)) / deviation, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(phrase.position, position_1d(padding, C))
    assert isinstance(projection.norm, nn.LayerNorm)
    assert projection.norm.eps == 1e-12


def test_positions_of_every_level(clip):
    shrunk = clip.padding_mask[..., ::8, ::8]
    found = positions([clip.padding_mask, shrunk], C)
    torch.testing.assert_close(found[0], position_2d(clip.padding_mask, C))
    torch.testing.assert_close(found[1], position_2d(shrunk, C))
