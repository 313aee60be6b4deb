"""Sine positions: transformers' published ones for pixels, the formula of model.md written out elsewhere."""

import math

import numpy as np
import pytest
import torch
from transformers.models.deformable_detr.modeling_deformable_detr import DeformableDetrSinePositionEmbedding

from fsrvos.layers.position import position_1d, position_2d, position_of_boxes


def feature(angle, i, width):
    """Feature i of ``width``, as model.md section 3 words it."""
    x = angle / 10_000 ** (2 * (i // 2) / width)
    return math.sin(x) if i % 2 == 0 else math.cos(x)


@pytest.fixture
def padding():
    mask = torch.zeros(2, 5, 7, dtype=torch.bool)
    mask[1, 4:] = True
    mask[1, :, 5:] = True
    return mask


def test_position_2d_equals_deformable_detr(padding):
    published = DeformableDetrSinePositionEmbedding(16, normalize=True)
    expected = published((2, 32, 5, 7), padding.device, torch.float32, mask=~padding)
    torch.testing.assert_close(position_2d(padding, 32), expected)


def test_position_2d_by_hand(padding):
    """Row 2 of four real rows, column 3 of five real columns."""
    found = position_2d(padding, 8)[1, :, 2, 3]
    y, x = ((i + 0.5) / (n + 1e-6) * 2 * math.pi for i, n in ((2, 4), (3, 5)))
    expected = [feature(y, i, 4) for i in range(4)] + [feature(x, i, 4) for i in range(4)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_position_2d_takes_any_leading_axes(padding):
    stacked = position_2d(padding[:, None].expand(-1, 3, -1, -1), 8)
    assert stacked.shape == (2, 3, 8, 5, 7)
    torch.testing.assert_close(stacked[:, 1], position_2d(padding, 8))


def test_position_of_what_is_padded_whole_is_finite():
    assert position_2d(torch.ones(1, 3, 3, dtype=torch.bool), 8).isfinite().all()


def test_position_1d_counts_real_words():
    padding = torch.tensor([[False, False, False, True], [False, False, False, False]])
    found = position_1d(padding, 6)
    for row, real in enumerate((3, 4)):
        for word in range(real):
            angle = (word + 1) / (real + 1e-6) * 2 * math.pi
            expected = [feature(angle, i, 6) for i in range(6)]
            np.testing.assert_allclose(found[row, word], expected, atol=1e-5)


def test_position_of_boxes_orders_y_x_w_h():
    box = [0.2, 0.7, 0.4, 0.1]
    found = position_of_boxes(torch.tensor([[box]]), 8)[0, 0]
    x, y, w, h = box
    expected = [feature(value * 2 * math.pi, i, 4) for value in (y, x, w, h) for i in range(4)]
    np.testing.assert_allclose(found, expected, atol=1e-5)
