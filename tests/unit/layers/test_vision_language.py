"""Early fusion and the vision-language block against attention with its softmax written out."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fsrvos.layers.mlp import MLP
from fsrvos.layers.vision_language import EarlyFusion, VisionLanguageBlock

B, T, C, H, W, L, HEADS = 2, 2, 8, 5, 7, 4, 2


def attend(module, query, key, value, padding):
    """Multi-head attention of one sample: (n, C), (m, C), (m, C), (m,) -> (n, C)."""
    q, k, v = (
        x @ weight.T + bias
        for x, weight, bias in zip(
            (query, key, value),
            module.in_proj_weight.chunk(3),
            module.in_proj_bias.chunk(3),
            strict=True,
        )
    )
    heads = []
    for part in torch.arange(C).chunk(HEADS):
        scores = q[:, part] @ k[:, part].T / math.sqrt(C // HEADS)
        scores[:, padding] = -math.inf
        weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
        heads.append(weights @ v[:, part])
    return torch.cat(heads, -1) @ module.out_proj.weight.T + module.out_proj.bias


@pytest.fixture
def sample():
    torch.manual_seed(1)
    features, position = torch.randn(2, B, T, C, H, W, dtype=torch.float64)
    words, word_position = torch.randn(2, B, L, C, dtype=torch.float64)
    word_padding = torch.tensor([[False, False, False, True], [False] * 4])
    padding = torch.zeros(B, T, H, W, dtype=torch.bool)
    padding[0, :, 4:] = True
    padding[0, :, :, 5:] = True
    return features, position, padding, words, word_position, word_padding


def randomised(module):
    torch.manual_seed(2)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double().eval()


def tokens_of(maps):
    """(T, C, h, w) -> (T*h*w, C), by loops' own order: frame, row, column."""
    return torch.stack([m[:, i, j] for m in maps for i in range(m.shape[1]) for j in range(m.shape[2])])


def maps_of(tokens, t, h, w):
    maps = torch.zeros(t, tokens.shape[-1], h, w, dtype=tokens.dtype)
    for n, token in enumerate(tokens):
        maps[n // (h * w), :, n // w % h, n % w] = token
    return maps


def test_early_fusion(sample):
    features, _, _, words, word_position, word_padding = sample
    fusion = randomised(EarlyFusion(C, HEADS))
    with torch.no_grad():
        found = fusion(features, words, word_position, word_padding)
        for b in range(B):
            pixels = tokens_of(features[b])
            read = attend(fusion.attention, pixels, words[b] + word_position[b], words[b], word_padding[b])
            torch.testing.assert_close(found[b], maps_of(pixels * read, T, H, W))


def nearest(maps, h, w):
    rows = [int(i * maps.shape[-2] / h) for i in range(h)]
    columns = [int(j * maps.shape[-1] / w) for j in range(w)]
    return maps[..., rows, :][..., columns]


def bilinear(maps, h, w):
    """Half-pixel centres, edges repeated: what align_corners=False means."""

    def weights(size, small):
        matrix = torch.zeros(size, small, dtype=maps.dtype)
        for i in range(size):
            x = min(max((i + 0.5) * small / size - 0.5, 0), small - 1)
            low = int(x)
            matrix[i, low] += 1 - (x - low)
            matrix[i, min(low + 1, small - 1)] += x - low
        return matrix

    return weights(h, maps.shape[-2]) @ maps @ weights(w, maps.shape[-1]).T


@pytest.mark.parametrize("reduction", [1, 2])
def test_block(sample, reduction):
    features, position, padding, words, word_position, word_padding = sample
    block = randomised(VisionLanguageBlock(C, HEADS, 16, reduction, dropout=0.1))
    h, w = (H, W) if reduction == 1 else (2, 3)
    with torch.no_grad():
        found = block(*sample)
        for b in range(B):
            small, places, hidden = (nearest(m[b], h, w) for m in (features, position, padding))
            key = tokens_of(small) + tokens_of(places)
            seen = attend(
                block.self_attention, key, key, tokens_of(small), tokens_of(hidden[:, None]).squeeze(1)
            )
            seen = tokens_of(bilinear(maps_of(seen, T, h, w), H, W))
            x = block.norm1(tokens_of(features[b]) + seen)
            read = attend(
                block.cross_attention,
                x + tokens_of(position[b]),
                words[b] + word_position[b],
                words[b],
                word_padding[b],
            )
            x = block.norm2(x + read)
            x = block.norm3(x + block.linear2(block.linear1(x).clamp(min=0)))
            torch.testing.assert_close(found[b], maps_of(x, T, H, W))


def test_frames_of_a_clip_see_each_other_and_clips_do_not(sample):
    features, *rest = sample
    block = randomised(VisionLanguageBlock(C, HEADS, 16, 1, dropout=0.0))
    disturbed = features.clone()
    disturbed[1, 0] += torch.randn_like(disturbed[1, 0])
    with torch.no_grad():
        change = (block(disturbed, *rest) - block(features, *rest)).abs().amax((2, 3, 4))
    assert (change > 1e-6).tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 3)])
def test_maps_smaller_than_the_reduction(size):
    """Stride-4 maps of a 32x32 frame have 8x8 cells; those of a smaller one still need a cell to look at."""
    torch.manual_seed(0)
    block = VisionLanguageBlock(C, HEADS, 16, 8, dropout=0.0)
    features, position = torch.randn(2, 1, 1, C, *size)
    words = torch.randn(1, 2, C)
    padding = torch.zeros(1, 1, *size, dtype=torch.bool)
    found = block(features, position, padding, words, words, torch.zeros(1, 2, dtype=torch.bool))
    assert found.shape == features.shape
    assert found.isfinite().all()


def test_mlp_has_relu_between_its_layers_only():
    mlp = MLP(3, 5, 2, 3)
    first, second, third = mlp.layers
    nn.init.constant_(third.bias, -2.0)
    x = torch.randn(64, 3)
    expected = third(F.relu(second(F.relu(first(x)))))
    torch.testing.assert_close(mlp(x), expected)
    assert [(layer.in_features, layer.out_features) for layer in mlp.layers] == [(3, 5), (5, 5), (5, 2)]
    assert (expected < 0).any()
