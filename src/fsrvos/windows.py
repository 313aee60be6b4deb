"""One window of a video: what a network sees of it, and its answer at native size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fsrvos.data import captions
from fsrvos.data.collate import collate_clip
from fsrvos.models.cma import CMA
from fsrvos.models.continuity import choose_path
from fsrvos.models.foreground import EncodedSupport
from fsrvos.models.full_size import enlarged, real_cells
from fsrvos.structures import Clip
from fsrvos.video import Frame


@dataclass
class SegmentedWindow:
    """Some consecutive frames of a video, segmented.

    Attributes:
        frames: The T frames.
        masks: (P, T, H, W) bool at native size, one for each phrase.
        scores: (P, T) class probability of the query that answers.
    """

    frames: list[Frame]
    masks: np.ndarray
    scores: np.ndarray


def cells(model: CMA) -> int:
    """What frames are padded to a multiple of; networks to which padding matters get none, as in evaluation."""
    return 32 if model.pad_support_masks else 1


def segment_window(
    model: CMA,
    frames: Tensor,
    phrases: list[str],
    support: EncodedSupport | None,
    previous: list[Tensor | None],
    size: tuple[int, int],
    jump_cost: float,
) -> tuple[Tensor, Tensor]:
    """Segments a window; the backbone runs once for all phrases.

    Args:
        model: The network, in evaluation mode.
        frames: (T, 3, h, w) normalised, at the size that the network sees.
        phrases: P phrases.
        support: Encoded; None: none is shown.
        previous: Of each phrase, (H, W) bool, the mask of the frame before; None at the start of a video.
        size: (H, W) of the video.
        jump_cost: As for ``Predictor``.

    Returns:
        Masks (P, T, H, W) bool and scores (P, T), on the CPU.
    """
    device = next(model.parameters()).device
    clips = [collate_clip(frames, captions.plain(phrase), cells(model)).to(device) for phrase in phrases]
    with torch.no_grad():
        maps = model.backbone(clips[0].frames)
        answers = [
            _answer(model, clip, support, maps, mask, size, jump_cost)
            for clip, mask in zip(clips, previous, strict=True)
        ]
    masks, scores = zip(*answers, strict=True)
    return torch.stack(masks), torch.stack(scores)


def _answer(
    model: CMA,
    clip: Clip,
    support: EncodedSupport | None,
    maps: list[Tensor],
    previous: Tensor | None,
    size: tuple[int, int],
    jump_cost: float,
) -> tuple[Tensor, Tensor]:
    """Masks (T, H, W) bool at native size, and scores (T,), of one phrase."""
    prediction = model(clip, support, maps, every_layer=False)
    (height, width), scores = clip.sizes[0].tolist(), prediction.logits[0].sigmoid()
    logits = real_cells(prediction.masks[0], (height, width))
    if previous is not None:
        grid = (logits.shape[-2], logits.shape[-1])
        previous = (F.adaptive_avg_pool2d(previous[None].float(), grid)[0] > 0.5).to(logits.device)
    path = choose_path(scores, logits > 0, previous, jump_cost, frame_by_frame=model.choose_per_frame)
    frames = torch.arange(len(path), device=path.device)
    # Frame by frame, since native frames may be large.
    masks = [(enlarged(one[None], size)[0] > 0).cpu() for one in logits[frames, path]]
    return torch.stack(masks), scores[frames, path].cpu()
