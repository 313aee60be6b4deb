"""Deformable attention against a loop with the bilinear rule written out, and against transformers'."""

import math

import pytest
import torch
from transformers import DeformableDetrConfig
from transformers.models.deformable_detr.modeling_deformable_detr import (
    DeformableDetrMultiscaleDeformableAttention,
)

from fsrvos.layers.deformable_attention import DeformableAttention

CHANNELS, HEADS, LEVELS, POINTS = 8, 2, 3, 2
SHAPES = [(4, 5), (2, 3), (1, 2)]


def attention(heads=HEADS):
    torch.manual_seed(0)
    module = DeformableAttention(CHANNELS, heads, LEVELS, POINTS).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return module


def inputs(coordinates):
    generator = torch.Generator().manual_seed(coordinates)
    cells = sum(h * w for h, w in SHAPES)
    query = torch.randn(2, 4, CHANNELS, generator=generator, dtype=torch.float64)
    memory = torch.randn(2, cells, CHANNELS, generator=generator, dtype=torch.float64)
    # Some references lie near the border, so that points fall outside.
    references = torch.rand(2, 4, LEVELS, coordinates, generator=generator, dtype=torch.float64)
    padding = torch.rand(2, cells, generator=generator) < 0.3
    return query, references, memory, padding


def bilinear(level, x, y):
    """Value (D,) of a map (h, w, D) at pixel coordinates, where cell (i, j) has its centre at (j, i); 0 outside."""
    h, w, _ = level.shape
    total = torch.zeros_like(level[0, 0])
    for i in (math.floor(y), math.floor(y) + 1):
        for j in (math.floor(x), math.floor(x) + 1):
            if 0 <= i < h and 0 <= j < w:
                total = total + (1 - abs(y - i)) * (1 - abs(x - j)) * level[i, j]
    return total


def by_loop(module, query, references, memory, padding):
    value = module.value_projection(memory) * ~padding[..., None]
    width = CHANNELS // HEADS
    result = torch.zeros_like(query)
    for b in range(len(query)):
        start, levels = 0, []
        for h, w in SHAPES:
            levels.append(value[b, start : start + h * w].reshape(h, w, CHANNELS))
            start += h * w
        for q in range(query.shape[1]):
            offsets = module.sampling_offsets(query[b, q]).reshape(HEADS, LEVELS, POINTS, 2)
            weights = module.attention_weights(query[b, q]).reshape(HEADS, LEVELS * POINTS).softmax(-1)
            for m in range(HEADS):
                part = slice(m * width, (m + 1) * width)
                for n, (h, w) in enumerate(SHAPES):
                    reference = references[b, q, n].tolist()
                    for p in range(POINTS):
                        dx, dy = offsets[m, n, p].tolist()
                        if len(reference) == 2:
                            x, y = reference[0] + dx / w, reference[1] + dy / h
                        else:
                            x = reference[0] + dx / POINTS * reference[2] * 0.5
                            y = reference[1] + dy / POINTS * reference[3] * 0.5
                        sampled = bilinear(levels[n][..., part], x * w - 0.5, y * h - 0.5)
                        result[b, q, part] += weights[m, n * POINTS + p] * sampled
    return module.output_projection(result)


@pytest.mark.parametrize("coordinates", [2, 4])
def test_equals_a_loop(coordinates):
    module, (query, references, memory, padding) = attention(), inputs(coordinates)
    with torch.no_grad():
        found = module(query, references, memory, padding, SHAPES)
        torch.testing.assert_close(found, by_loop(module, query, references, memory, padding))


@pytest.mark.parametrize("coordinates", [2, 4])
def test_equals_transformers(coordinates):
    module, (query, references, memory, padding) = attention(), inputs(coordinates)
    config = DeformableDetrConfig(d_model=CHANNELS, num_feature_levels=LEVELS)
    published = DeformableDetrMultiscaleDeformableAttention(config, HEADS, POINTS).double()
    names = {"value_proj": "value_projection", "output_proj": "output_projection"}
    state = module.state_dict()
    published.load_state_dict(
        {name: state[".".join([names.get(p, p) for p in name.split(".")])] for name in published.state_dict()}
    )
    with torch.no_grad():
        expected, _ = published(
            query,
            attention_mask=~padding,
            encoder_hidden_states=memory,
            reference_points=references,
            spatial_shapes=torch.tensor(SHAPES),
            spatial_shapes_list=SHAPES,
            level_start_index=None,
        )
        torch.testing.assert_close(module(query, references, memory, padding, SHAPES), expected)


def test_what_is_padded_is_not_read():
    module, (query, references, memory, padding) = attention(), inputs(2)
    disturbed = torch.where(padding[..., None], memory + 100, memory)
    with torch.no_grad():
        plain = module(query, references, memory, padding, SHAPES)
        torch.testing.assert_close(module(query, references, disturbed, padding, SHAPES), plain)
        assert not torch.allclose(module(query, references, disturbed, ~padding, SHAPES), plain)


def test_starts_on_rays_with_even_weights():
    """Four heads look right, down, left, up; point p at p + 1 cells, on every level alike."""
    module = DeformableAttention(CHANNELS, 4, LEVELS, POINTS)
    offsets = module.sampling_offsets(torch.randn(CHANNELS)).reshape(4, LEVELS, POINTS, 2)
    for head, ray in enumerate([(1, 0), (0, 1), (-1, 0), (0, -1)]):
        for point in range(POINTS):
            expected = torch.tensor(ray) * (point + 1.0)
            torch.testing.assert_close(offsets[head, :, point], expected.expand(LEVELS, 2), atol=1e-6, rtol=0)
    weights = module.attention_weights(torch.randn(CHANNELS))
    assert weights.unique().numel() == 1


def test_channels_that_do_not_divide():
    with pytest.raises(ValueError, match="got 8 and 3"):
        DeformableAttention(8, 3, LEVELS, POINTS)
