"""The cross-modal pyramid: its stages, written out, and the way down."""

import torch
import torch.nn.functional as F
from tiny import randomised

from fsrvos.models.mask_features import MaskFeatures
from fsrvos.models.pixel_decoder import CrossModalPyramid

B, T, C, M = 1, 2, 16, 6
WIDTHS = [4, C, C, C]
SIZES = [(16, 18), (8, 9), (4, 5), (2, 3)]


def test_equals_the_text():
    torch.manual_seed(0)
    pyramid = randomised(CrossModalPyramid(WIDTHS, C, M, 2, 16, dropout=0.1))
    features = [torch.randn(B, T, c, *s, dtype=torch.float64) for c, s in zip(WIDTHS, SIZES, strict=True)]
    position = [torch.randn(B, T, C, *s, dtype=torch.float64) for s in SIZES]
    padding = [torch.zeros(B, T, *s, dtype=torch.bool) for s in SIZES]
    for mask in padding:
        mask[..., -1] = True
    words, word_position = torch.randn(2, B, 3, C, dtype=torch.float64)
    phrase = (words, word_position, torch.tensor([[False, False, True]]))

    def convolve(convolution, norm, x, activate):
        x = F.conv2d(x, convolution.weight, padding=convolution.weight.shape[-1] // 2)
        x = F.group_norm(x, 8, norm.weight, norm.bias, 1e-5)
        return x.relu() if activate else x

    with torch.no_grad():
        found = pyramid(features, position, padding, phrase)
        merged = None
        for level in (3, 2, 1, 0):
            stage = pyramid.stages[level]
            x = convolve(stage.lateral[0], stage.lateral[1], features[level][0], activate=False)
            x = stage.block(x[None], position[level], padding[level], *phrase)[0]
            if merged is not None:
                (h, w), (small_h, small_w) = SIZES[level], SIZES[level + 1]
                rows = [i * small_h // h for i in range(h)]
                columns = [j * small_w // w for j in range(w)]
                x = x + merged[..., rows, :][..., columns]
            merged = convolve(stage.output[0], stage.output[1], x, activate=True)
        last = pyramid.mask_features
        expected = F.conv2d(merged, last.weight, last.bias, padding=1)
        torch.testing.assert_close(found.whole, expected)
    assert found.whole.shape == (B * T, M, *SIZES[0])


def test_stages_reduce_by_8_4_2_1():
    pyramid = CrossModalPyramid(WIDTHS, C, M, 2, 16, dropout=0.1)
    assert [stage.block.reduction for stage in pyramid.stages] == [8, 4, 2, 1]


def test_linear_maps_joined_with_the_convolution_see_the_same():
    """Few maps without gradient, as a mask head asks for them, against maps of the features made whole."""
    torch.manual_seed(0)
    merged, weights = torch.randn(3, 5, 6, 7).double(), torch.randn(3, 2, 8).double()
    for bias in (True, False):
        convolution = torch.nn.Conv2d(5, 8, 3, padding=1, bias=bias).double()
        expected = torch.stack(
            [
                F.conv2d(f[None], w[:, :, None, None])[0]
                for f, w in zip(convolution(merged), weights, strict=True)
            ]
        )
        torch.testing.assert_close(MaskFeatures(merged, convolution).through(weights), expected)
        with torch.no_grad():
            few = MaskFeatures(merged, convolution)
            torch.testing.assert_close(few.through(weights), expected)
            assert "whole" not in vars(few)
            many = MaskFeatures(merged, convolution)
            torch.testing.assert_close(many.through(weights.repeat(1, 4, 1)), expected.repeat(1, 4, 1, 1))
            assert "whole" in vars(many)
