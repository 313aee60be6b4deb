"""What every query of a decoder layer says: class, box, mask."""

from __future__ import annotations

from torch import Tensor, nn

from fsrvos.models.mask_features import MaskFeatures
from fsrvos.models.mask_head import DynamicMaskHead
from fsrvos.models.transformer import Decoded
from fsrvos.ops.precision import full_precision, in_float32
from fsrvos.structures import Prediction


def read_queries(
    decoded: Decoded,
    mask_features: MaskFeatures,
    sizes: Tensor,
    class_heads: nn.ModuleList,
    mask_head: DynamicMaskHead,
    *,
    every_layer: bool,
) -> Prediction:
    """Class, box and mask of every query in float32, from the decoder layers' states.

    Args:
        decoded: States and boxes of B*T frames.
        mask_features: Of the same frames.
        sizes: (B, 2) height and width of the unpadded frames.
        class_heads: One for each layer.
        mask_head: Shared by the layers.
        every_layer: Read the earlier layers too, into ``auxiliary``; else the last one alone.
    """
    b = len(sizes)
    t = len(decoded.states[0]) // b
    to_pixels = sizes.flip(-1).repeat_interleave(t, dim=0)[:, None]
    spoken = list(zip(class_heads, decoded.states, decoded.boxes, strict=True))
    layers = []
    for head, states, boxes in spoken if every_layer else spoken[-1:]:
        centres = boxes[..., :2].detach() * to_pixels
        masks = mask_head(states, centres, mask_features)
        with in_float32(states.device):
            logits = head(full_precision(states))[..., 0]
        layers.append(Prediction(*(x.unflatten(0, (b, t)) for x in (logits, boxes, masks))))
    last = layers.pop()
    last.auxiliary = layers
    return last
