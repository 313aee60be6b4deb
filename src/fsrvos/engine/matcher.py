"""Which query speaks for the clip: the cheapest one (model.md section 9)."""

from __future__ import annotations

import torch
from torch import Tensor

from fsrvos.ops.boxes import cxcywh_to_xyxy, generalized_iou
from fsrvos.ops.losses import (
    class_matching_cost,
    mask_matching_costs,
    mean_over_frames,
    sample_masks,
)
from fsrvos.ops.precision import full_precision
from fsrvos.structures import Prediction, Targets


class Matcher:
    """Matches one query to the one object of each clip, for all of its frames.

    With a single object the Hungarian algorithm is an argmin. Class and box costs and the focal cost of masks
    are means over the clip's frames, visible or not (an invisible frame has a zero box and an empty mask);
    the dice coefficient is one of the whole clip.

    Args:
        class_weight: Weight of the class cost in focal form.
        l1_weight: Weight of the L1 distance of boxes.
        giou_weight: Weight of the negative generalized IoU.
        mask_weight: Weight of the focal cost of masks.
        dice_weight: Weight of the negative dice coefficient.

    Raises:
        ValueError: A negative or non-finite weight, or all of them zero.
    """

    def __init__(
        self,
        class_weight: float = 2.0,
        l1_weight: float = 5.0,
        giou_weight: float = 2.0,
        mask_weight: float = 2.0,
        dice_weight: float = 5.0,
    ) -> None:
        self.weights = {
            "class": class_weight,
            "l1": l1_weight,
            "giou": giou_weight,
            "mask": mask_weight,
            "dice": dice_weight,
        }
        check_weights(self.weights)
        if not any(self.weights.values()):
            raise ValueError("a matcher needs at least one weight above 0, all of them are 0")

    def __call__(
        self, prediction: Prediction, targets: Targets, frame_padding_mask: Tensor | None = None
    ) -> Tensor:
        """Matches one decoder layer.

        Args:
            prediction: One layer, masks of every query; its ``auxiliary`` is not looked at.
            targets: Truth, padded as the frames are.
            frame_padding_mask: (B, T) bool, True where a frame is padded whole; None when there is none such.

        Returns:
            (B,) int64 index of each clip's query; the lowest index among equals.
        """
        return self.costs(prediction, targets, frame_padding_mask).argmin(-1)

    @torch.no_grad()
    def costs(
        self, prediction: Prediction, targets: Targets, frame_padding_mask: Tensor | None = None
    ) -> Tensor:
        """Weighted cost (B, Q) of every query, in float32 at least, arguments as for the call."""
        check_shapes(prediction, targets, frame_padding_mask)
        is_frame = (
            ~frame_padding_mask if frame_padding_mask is not None else torch.ones_like(targets.is_visible)
        )
        boxes = full_precision(prediction.boxes)
        target_boxes = targets.boxes[:, :, None].to(boxes.dtype)
        masks = sample_masks(targets.masks, *prediction.masks.shape[-2:])
        mask_cost, dice_cost = mask_matching_costs(prediction.masks, masks, is_frame)
        per_frame = (
            self.weights["class"] * class_matching_cost(full_precision(prediction.logits))
            + self.weights["l1"] * (boxes - target_boxes).abs().sum(-1)
            - self.weights["giou"] * generalized_iou(cxcywh_to_xyxy(boxes), cxcywh_to_xyxy(target_boxes))
        )
        per_frame = per_frame.masked_fill(~is_frame[..., None], 0.0)
        return (
            mean_over_frames(per_frame, is_frame)
            + self.weights["mask"] * mask_cost
            + self.weights["dice"] * dice_cost
        )


def check_weights(weights: dict[str, float]) -> None:
    """Raises ValueError for a weight that is negative, infinite or not a number."""
    for name, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise ValueError(f"weight of {name!r} must be finite and at least 0, got {weight}")


def check_shapes(prediction: Prediction, targets: Targets, frame_padding_mask: Tensor | None = None) -> None:
    """Raises ValueError where one layer's prediction and the truth do not belong together."""
    if prediction.logits.ndim != 3:
        raise ValueError(f"prediction.logits must be (B, T, Q), got {tuple(prediction.logits.shape)}")
    batch, frames, queries = prediction.logits.shape
    expected = {
        "prediction.boxes": (prediction.boxes, (batch, frames, queries, 4)),
        "prediction.masks": (prediction.masks, (batch, frames, queries, *prediction.masks.shape[-2:])),
        "targets.masks": (targets.masks, (batch, frames, *targets.masks.shape[-2:])),
        "targets.boxes": (targets.boxes, (batch, frames, 4)),
        "targets.is_visible": (targets.is_visible, (batch, frames)),
    }
    if frame_padding_mask is not None:
        expected["frame_padding_mask"] = (frame_padding_mask, (batch, frames))
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(
                f"{name} is {tuple(tensor.shape)}, must be {shape} for logits of (B, T, Q) = "
                f"{(batch, frames, queries)}"
            )
    booleans = ("targets.masks", "targets.is_visible", "frame_padding_mask")
    for name in filter(expected.__contains__, booleans):
        if expected[name][0].dtype != torch.bool:
            raise ValueError(f"{name} must be bool, got {expected[name][0].dtype}")
