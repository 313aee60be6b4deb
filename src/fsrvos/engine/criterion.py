"""The training loss: every decoder layer matched and scored on its own (model.md section 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn

from fsrvos.engine.affinity_criterion import AffinityCriterion
from fsrvos.engine.mask_losses import mask_losses
from fsrvos.engine.matcher import Matcher, check_weights
from fsrvos.engine.phrase_loss import phrase_loss
from fsrvos.models.mask_head import STRIDE
from fsrvos.ops.boxes import cxcywh_to_xyxy, generalized_iou
from fsrvos.ops.losses import sigmoid_focal_loss
from fsrvos.ops.precision import full_precision
from fsrvos.structures import Prediction, Targets


@dataclass
class Losses:
    """What a criterion found.

    Attributes:
        total: Weighted sum of all terms, a scalar to call ``backward`` on.
        terms: Unweighted, detached scalars: "class", "l1", "giou", "mask", "dice" of the last decoder layer,
            the same with "_0", "_1", ... for the earlier ones (first to last), and "affinity_mask",
            "affinity_dice" where the affinity is supervised.
        matched: (B,) int64, the query matched in the last layer.
    """

    total: Tensor
    terms: dict[str, Tensor]
    matched: Tensor


class Criterion(nn.Module):
    """Focal class loss, L1 and GIoU of boxes, focal and dice loss of masks, over all decoder layers.

    Every term is a sum over the batch divided by n, the number of visible frames of the batches of all ranks (at
    least 1), divided by the number of ranks. With gradients averaged over ranks, as DistributedDataParallel does, two
    ranks of one clip equal one rank of two clips. (The published code takes 1 at least after dividing, so a batch with
    fewer visible frames than ranks weighs less there.)

    Args:
        class_weight: Weight of the class loss: summed over frames and queries; positive is the matched query
            on frames where the object is visible.
        l1_weight: Weight of the boxes' L1 distance: summed over coordinates and all frames (an invisible
            object has a zero box).
        giou_weight: Weight of one minus the generalized IoU, summed over all frames.
        mask_weight: Weight of the masks' focal loss: mean over a clip's frames and cells, padding included.
        dice_weight: Weight of the masks' dice loss over a whole clip.
        full_size_masks: Masks are compared pixel by pixel, brought to the frame's size as inference does, instead of
            at the cells' centres alone (published: no). At the centres a small object is learned to the last cell
            and still comes out ragged.
        phrase_weight: Weight of the cross-entropy of the referred object among those of its category that a frame shows,
            by how well the phrase fits them (published: 0, no such loss). It takes ``data.rivals`` and
            ``model.judge_by_phrase``.
        affinity: The loss on the affinity's matches with the support; None leaves it out.
        matcher: How queries are matched; the published costs when None.

    Raises:
        ValueError: A negative or non-finite weight.
    """

    def __init__(
        self,
        class_weight: float = 2.0,
        l1_weight: float = 5.0,
        giou_weight: float = 2.0,
        mask_weight: float = 2.0,
        dice_weight: float = 5.0,
        full_size_masks: bool = False,
        phrase_weight: float = 0.0,
        affinity: AffinityCriterion | None = None,
        matcher: Matcher | None = None,
    ) -> None:
        super().__init__()
        self.layer_weights = {
            "class": class_weight,
            "l1": l1_weight,
            "giou": giou_weight,
            "mask": mask_weight,
            "dice": dice_weight,
        }
        check_weights(self.layer_weights)
        check_weights({"phrase": phrase_weight})
        self.full_size_masks, self.phrase_weight = full_size_masks, phrase_weight
        self.affinity = affinity
        self.matcher = Matcher() if matcher is None else matcher

    def forward(
        self,
        prediction: Prediction,
        targets: Targets,
        frame_padding_mask: Tensor | None = None,
        categories: Sequence[str] | None = None,
        fit: Tensor | None = None,
    ) -> Losses:
        """Scores a prediction and its auxiliary layers, in float32 at least, under autocast too.

        Under ``torch.distributed`` this is a collective call: every rank must make it equally often.

        Args:
            prediction: Last decoder layer, earlier ones in ``auxiliary``, masks of every query.
            targets: Truth, padded as the frames are.
            frame_padding_mask: (B, T) bool, True where a frame is padded whole and so counts nowhere,
                ``clip.padding_mask.flatten(2).all(-1)``; None when every frame is one.
            categories: Category of each episode, for the contrast of an affinity loss.
            fit: (P, T, 1 + K) how well all known phrases fit objects and rivals, for the phrase loss.

        Returns:
            The losses.

        Raises:
            ValueError: Shapes that do not belong together, an affinity loss without matches, a phrase loss
                without fit.
        """
        is_frame = (
            ~frame_padding_mask if frame_padding_mask is not None else torch.ones_like(targets.is_visible)
        )
        is_visible = targets.is_visible & is_frame
        n = self._visible_frames(is_visible)
        total = prediction.logits.new_zeros((), dtype=n.dtype)
        terms: dict[str, Tensor] = {}
        layers = {f"_{i}": layer for i, layer in enumerate(prediction.auxiliary)} | {"": prediction}
        for suffix, layer in layers.items():
            matched = self.matcher(layer, targets, frame_padding_mask)
            for name, loss in _layer_losses(
                layer, targets, matched, is_frame, is_visible, full_size_masks=self.full_size_masks
            ).items():
                terms[name + suffix] = loss / n
                total = total + self.layer_weights[name] * terms[name + suffix]
        if self.phrase_weight:
            if fit is None:
                raise ValueError("the phrase loss needs fit: how well the phrases fit object and rivals")
            terms["phrase"] = phrase_loss(fit, targets, is_frame) / n
            total = total + self.phrase_weight * terms["phrase"]
        if self.affinity is not None:
            weighted, found = self.affinity(prediction.matches, targets, is_frame, categories)
            total = total + weighted / n
            terms |= {name: loss / n for name, loss in found.items()}
        return Losses(total, {name: term.detach() for name, term in terms.items()}, matched)

    @staticmethod
    def _visible_frames(is_visible: Tensor) -> Tensor:
        """Number of visible frames of all ranks, at least 1, divided by the number of ranks."""
        count = is_visible.sum().float()
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(count)
            return count.clamp(min=1) / distributed.get_world_size()
        return count.clamp(min=1)


def _layer_losses(
    layer: Prediction,
    targets: Targets,
    matched: Tensor,
    is_frame: Tensor,
    is_visible: Tensor,
    *,
    full_size_masks: bool,
) -> dict[str, Tensor]:
    """Sums over the batch of one layer's five losses; ``matched`` (B,), the rest (B, T)."""
    clips = torch.arange(len(matched), device=matched.device)
    # What a network says of a frame that is none may be NaN, which a weight of 0 would not silence.
    logits = full_precision(layer.logits).masked_fill(~is_frame[..., None], 0.0)
    boxes = full_precision(layer.boxes[clips, :, matched]).masked_fill(~is_frame[..., None], 0.0)
    target_boxes = targets.boxes.to(boxes.dtype)
    is_positive = torch.zeros_like(logits)
    is_positive[clips, :, matched] = is_visible.to(logits.dtype)
    giou = generalized_iou(cxcywh_to_xyxy(boxes), cxcywh_to_xyxy(target_boxes))
    masks, stride = layer.masks[clips, :, matched], STRIDE
    if full_size_masks:
        height, width = targets.masks.shape[-2:]
        whole = F.interpolate(masks, scale_factor=STRIDE, mode="bilinear", align_corners=False)
        masks, stride = whole[..., :height, :width], 1
    mask, dice = mask_losses(masks, targets.masks, is_frame, stride)
    return {
        "class": (sigmoid_focal_loss(logits, is_positive) * is_frame[..., None]).sum(),
        "l1": ((boxes - target_boxes).abs().sum(-1) * is_frame).sum(),
        "giou": ((1 - giou) * is_frame).sum(),
        "mask": mask,
        "dice": dice,
    }
