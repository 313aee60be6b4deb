"""The deformable transformer against loops over queries and levels."""

import math

import pytest
import torch
from torch import nn

from fsrvos.layers.position import position_of_boxes
from fsrvos.models.transformer import DeformableTransformer, Memory, inverse_sigmoid

N, Q, C = 2, 3, 16
SHAPES = [(4, 6), (2, 3), (1, 2), (1, 1)]
# Unpadded cells (rows, columns) of the two frames on each level.
REAL = [[(4, 6), (2, 3), (1, 2), (1, 1)], [(3, 4), (1, 2), (1, 1), (1, 1)]]


def transformer(**options):
    torch.manual_seed(0)
    module = DeformableTransformer(C, 2, 2, 3, 16, num_points=2, dropout=0.1, **options).eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


def levels(shapes=SHAPES, real=REAL):
    torch.manual_seed(1)
    features = [torch.randn(N, C, h, w) for h, w in shapes]
    position = [torch.randn(N, C, h, w) for h, w in shapes]
    padding = [torch.ones(N, h, w, dtype=torch.bool) for h, w in shapes]
    for n in range(N):
        for mask, (h, w) in zip(padding, real[n], strict=True):
            mask[n, :h, :w] = False
    return features, padding, position


def ratio(n, level):
    """Share of a level that is real: (w, h)."""
    (h, w), (rows, columns) = SHAPES[level], REAL[n][level]
    return columns / w, rows / h


class Calls:
    """What a module was called with, call by call."""

    def __init__(self, *modules):
        self.arguments = []
        for module in modules:
            module.register_forward_pre_hook(lambda _, arguments: self.arguments.append(arguments))


def test_encoder_looks_from_cell_centres_of_the_real_part():
    module = transformer()
    calls = Calls(*module.encoder_layers)
    features, padding, position = levels()
    memory = module.encode(features, padding, position)
    assert memory.tokens.shape == (N, sum(h * w for h, w in SHAPES), C)
    _, placed, references = calls.arguments[0]
    for n in range(N):
        cell = 0
        for own, (h, w) in enumerate(SHAPES):
            for i in range(h):
                for j in range(w):
                    x = (j + 0.5) / (ratio(n, own)[0] * w)
                    y = (i + 0.5) / (ratio(n, own)[1] * h)
                    for level in range(4):
                        expected = (x * ratio(n, level)[0], y * ratio(n, level)[1])
                        assert references[n, cell, level].tolist() == pytest.approx(expected, abs=1e-5)
                    embedded = position[own][n, :, i, j] + module.level_embedding[own]
                    torch.testing.assert_close(placed[n, cell], embedded)
                    cell += 1


def test_encoder_layer_is_post_norm():
    module = transformer()
    layer = module.encoder_layers[0]
    features, padding, position = levels()
    calls = Calls(layer)
    module.encode(features, padding, position)
    memory, placed, references = calls.arguments[0]
    fresh = Memory(
        torch.cat([f.flatten(2).transpose(1, 2) for f in features], 1),
        memory.padding_mask,
        memory.valid_ratios,
        SHAPES,
    )
    x = fresh.tokens
    seen = layer.self_attention(x + placed, references, x, fresh.padding_mask, SHAPES)
    y = nn.functional.layer_norm(x + seen, (C,), layer.norm1.weight, layer.norm1.bias, 1e-5)
    wide = (y @ layer.linear1.weight.T + layer.linear1.bias).clamp(min=0)
    y = y + wide @ layer.linear2.weight.T + layer.linear2.bias
    y = nn.functional.layer_norm(y, (C,), layer.norm2.weight, layer.norm2.bias, 1e-5)
    torch.testing.assert_close(layer(fresh, placed, references), y)


def test_memory_gives_its_levels_back():
    features, padding, position = levels()
    module = DeformableTransformer(C, 2, 0, 1, 16)
    memory = module.encode(features, padding, position)
    for index, level in enumerate(features):
        torch.testing.assert_close(memory.level(index), level)


def decoded(module):
    calls = Calls(*module.decoder_layers)
    memory = module.encode(*levels())
    torch.manual_seed(2)
    content = torch.randn(Q, C).expand(N, -1, -1)
    anchors = torch.randn(Q, 4) if module.dab else torch.randn(Q, C)
    return module.decode(memory, content, anchors), calls.arguments, content, anchors


@pytest.mark.parametrize("true_first_anchors", [False, True])
def test_references_of_the_dab_decoder(true_first_anchors):
    """Published: before layer 1 coordinate l of the anchor stands for the whole box on level l."""
    module = transformer(true_first_anchors=true_first_anchors)
    found, arguments, _, anchors = decoded(module)
    start = [[1 / (1 + math.exp(-v)) for v in anchor] for anchor in anchors.tolist()]
    for index, (_, _, placed, _) in enumerate(arguments):
        for n in range(N):
            for q in range(Q):
                box = start[q] if index == 0 else found.boxes[index - 1][n, q].tolist()
                for level in range(4):
                    w, h = ratio(n, level)
                    seen = [box[level]] * 4 if index == 0 and not true_first_anchors else box
                    expected = [v * r for v, r in zip(seen, (w, h, w, h), strict=True)]
                    assert placed[n, q, level].tolist() == pytest.approx(expected, abs=1e-5)
        # Box refinement and later layers start from the anchors themselves, slip or not.
        before = torch.tensor(start).expand(N, -1, -1) if index == 0 else found.boxes[index - 1]
        torch.testing.assert_close(found.references[index], before)
        assert not found.references[index].requires_grad or index == 0


def test_query_position_and_boxes_of_the_dab_decoder():
    module = transformer()
    found, arguments, content, _ = decoded(module)
    for index, (before, position, placed, _) in enumerate(arguments):
        torch.testing.assert_close(before, content if index == 0 else found.states[index - 1])
        expected = module.anchor_head(position_of_boxes(placed[:, :, 0], C))
        torch.testing.assert_close(position, expected * (1 if index == 0 else module.query_scale(before)))
        reference = found.references[index]
        logits = module.box_heads[index](found.states[index]) + torch.log(reference / (1 - reference))
        torch.testing.assert_close(found.boxes[index], logits.sigmoid(), atol=1e-5, rtol=1e-4)


def test_non_dab_decoder():
    module = transformer(dab=False)
    found, arguments, sentence, positions = decoded(module)
    torch.testing.assert_close(arguments[0][0], sentence)
    points = (positions @ module.reference_points.weight.T + module.reference_points.bias).sigmoid()
    for index, (_, position, placed, _) in enumerate(arguments):
        torch.testing.assert_close(position, positions.expand(N, -1, -1))
        reference = points.expand(N, -1, -1) if index == 0 else found.boxes[index - 1]
        torch.testing.assert_close(found.references[index], reference)
        for n in range(N):
            for level in range(4):
                w, h = ratio(n, level)
                scale = torch.tensor([w, h] if index == 0 else [w, h, w, h])
                torch.testing.assert_close(placed[n, :, level], reference[n] * scale)
    first = module.box_heads[0](found.states[0])
    first[..., :2] += torch.log(points / (1 - points))
    torch.testing.assert_close(found.boxes[0], first.sigmoid())


def test_decoder_layer_norms_stand_in_the_published_order():
    module = transformer()
    _, arguments, _, _ = decoded(module)
    layer, (x, position, placed, memory) = module.decoder_layers[1], arguments[1]
    key = x + position
    x = layer.norm2(x + layer.self_attention(key, key, x)[0])
    found = layer.cross_attention(x + position, placed, memory.tokens, memory.padding_mask, memory.shapes)
    x = layer.norm1(x + found)
    expected = layer.norm3(x + layer.linear2(layer.linear1(x).relu()))
    torch.testing.assert_close(layer(arguments[1][0], position, placed, memory), expected)


def test_the_published_slip_needs_four_levels():
    with pytest.raises(ValueError, match="num_levels=4, got 3"):
        DeformableTransformer(C, 2, 1, 1, 16, num_levels=3)
    three = DeformableTransformer(C, 2, 1, 1, 16, num_levels=3, true_first_anchors=True)
    features, padding, position = levels(SHAPES[:3], [real[:3] for real in REAL])
    memory = three.encode(features, padding, position)
    assert three.decode(memory, torch.randn(N, Q, C), torch.randn(Q, 4)).boxes[0].isfinite().all()


@pytest.mark.parametrize("x", [0.0, 1e-7, 1e-5, 0.3, 0.999, 1 - 1e-7, 1.0, -0.2, 1.2])
def test_inverse_sigmoid(x):
    inside = min(max(x, 0.0), 1.0)
    expected = math.log(max(inside, 1e-5) / max(1 - inside, 1e-5))
    assert inverse_sigmoid(torch.tensor(x, dtype=torch.float64)).item() == pytest.approx(expected)


def test_boxes_start_at_their_references():
    """Except the first layer's width and height, which start small."""
    module = DeformableTransformer(C, 2, 1, 3, 16)
    memory = module.encode(*levels())
    found = module.decode(memory, torch.randn(N, Q, C), torch.randn(Q, 4))
    torch.testing.assert_close(found.boxes[0][..., :2], found.references[0][..., :2])
    shrunk = (inverse_sigmoid(found.references[0][..., 2:]) - 2).sigmoid()
    torch.testing.assert_close(found.boxes[0][..., 2:], shrunk)
    torch.testing.assert_close(found.boxes[2], found.references[2])
