import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_convert, generalized_box_iou, masks_to_boxes

from fsrvos.ops.boxes import boxes_from_masks, cxcywh_to_xyxy, generalized_iou, xyxy_to_cxcywh

SEEDS = st.integers(0, 2**31)


def random_boxes(seed, *shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, 4, generator=generator, dtype=dtype)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_formats_are_torchvisions_and_each_others_inverse(seed):
    boxes = random_boxes(seed, 3, 2)
    corners = cxcywh_to_xyxy(boxes)
    torch.testing.assert_close(corners, box_convert(boxes, "cxcywh", "xyxy"))
    torch.testing.assert_close(xyxy_to_cxcywh(corners), boxes)


def test_giou_is_torchvisions_but_for_the_epsilon():
    boxes, others = cxcywh_to_xyxy(random_boxes(0, 20)), cxcywh_to_xyxy(random_boxes(1, 30))
    pairs = generalized_iou(boxes[:, None], others[None], eps=0.0)
    torch.testing.assert_close(pairs, generalized_box_iou(boxes, others))
    assert not torch.equal(generalized_iou(boxes[:, None], others[None]), pairs)


def test_epsilon_stands_in_both_denominators():
    left = torch.tensor([0.1, 0.1, 0.101, 0.101], dtype=torch.float64)
    right = torch.tensor([0.1005, 0.1, 0.103, 0.102], dtype=torch.float64)
    overlap, union, hull = 0.0005 * 0.001, 1e-6 + 5e-6 - 0.5e-6, 0.003 * 0.002
    expected = overlap / (union + 1e-6) - (hull - union) / (hull + 1e-6)
    assert generalized_iou(left, right).item() == pytest.approx(expected, rel=1e-9)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_giou_is_symmetric_and_bounded(seed):
    boxes, others = cxcywh_to_xyxy(random_boxes(seed, 8)), cxcywh_to_xyxy(random_boxes(seed + 1, 8))
    giou = generalized_iou(boxes, others)
    torch.testing.assert_close(giou, generalized_iou(others, boxes))
    assert ((giou > -1) & (giou <= 1)).all()


@pytest.mark.parametrize("box", [[0.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 1.0, 1.0]])
def test_giou_of_a_box_without_area_has_value_and_gradient(box):
    boxes = torch.tensor([box], requires_grad=True)
    giou = generalized_iou(cxcywh_to_xyxy(boxes), cxcywh_to_xyxy(torch.zeros(1, 4)))
    giou.sum().backward()
    assert giou.isfinite().all()
    assert boxes.grad.isfinite().all()


def test_two_equal_boxes_without_area_give_zero():
    assert generalized_iou(torch.zeros(4), torch.zeros(4)).item() == 0


def test_mask_boxes_are_torchvisions_extent():
    masks = torch.rand(6, 17, 23, generator=torch.Generator().manual_seed(0)) > 0.97
    masks[:, 4, 5] = True
    corners = masks_to_boxes(masks) / torch.tensor([23, 17, 23, 17])
    torch.testing.assert_close(boxes_from_masks(masks), box_convert(corners, "xyxy", "cxcywh"))


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 11)), max_size=5),
    st.integers(9, 14),
    st.integers(12, 20),
)
@settings(max_examples=50, deadline=None)
def test_mask_boxes_by_hand_and_regardless_of_padding(pixels, padded_height, padded_width):
    masks = torch.zeros(2, padded_height, padded_width, dtype=torch.bool)
    for y, x in pixels:
        masks[1, y, x] = True
    expected = np.zeros(4)
    if pixels:
        ys, xs = np.array(pixels).T
        expected = np.array(
            [(xs.min() + xs.max()) / 24, (ys.min() + ys.max()) / 18, np.ptp(xs) / 12, np.ptp(ys) / 9]
        )
    boxes = boxes_from_masks(masks, size=(9, 12))
    assert boxes.shape == (2, 4)
    assert boxes.dtype == torch.float32
    np.testing.assert_allclose(boxes.numpy(), [np.zeros(4), expected], atol=1e-6)


def test_mask_values_count_when_not_zero():
    mask = torch.zeros(4, 4, dtype=torch.uint8)
    mask[1, 2] = 255
    torch.testing.assert_close(boxes_from_masks(mask), torch.tensor([0.5, 0.25, 0.0, 0.0]))


@pytest.mark.parametrize("convert", [cxcywh_to_xyxy, xyxy_to_cxcywh, lambda b: generalized_iou(b, b)])
def test_anything_but_four_numbers_is_refused(convert):
    with pytest.raises(ValueError, match=r"boxes must be \(\.\.\., 4\), got \(2, 3\)"):
        convert(torch.zeros(2, 3))


def test_bad_masks_and_sizes_are_refused():
    with pytest.raises(ValueError, match="at least one pixel"):
        boxes_from_masks(torch.zeros(3, dtype=torch.bool))
    with pytest.raises(ValueError, match="within the masks' 4x6, got 5x6"):
        boxes_from_masks(torch.zeros(4, 6, dtype=torch.bool), size=(5, 6))
