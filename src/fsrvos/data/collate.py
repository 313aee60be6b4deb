"""Pads episodes of any sizes into one batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fsrvos.ops.boxes import boxes_from_masks
from fsrvos.structures import Batch, Clip, Episode, Rivals, Support, SupportClip, Targets


def collate(episodes: Sequence[Episode], pad_to_multiple_of: int = 32) -> Batch:
    """Collates episodes; frames are padded at the bottom and the right.

    Support clips may differ in number and length: they are listed one after the other, with their episode as
    owner, and a frame that pads a shorter clip is padded whole and has an empty mask.

    Args:
        episodes: At least one; all of the same number of query frames.
        pad_to_multiple_of: Height and width become the largest of the batch, rounded up to this.

    Raises:
        ValueError: If the episodes differ in their number of query frames.
    """
    lengths = {len(episode.frames) for episode in episodes}
    if len(lengths) != 1:
        raise ValueError(f"the query clips of a batch must have one number of frames, got {sorted(lengths)}")
    frames, padding_mask, sizes = _pad_frames([episode.frames for episode in episodes], pad_to_multiple_of)
    masks = _pad_masks([episode.masks for episode in episodes], padding_mask)
    return Batch(
        query=Clip(frames, padding_mask, sizes, [episode.expression for episode in episodes]),
        support=collate_support([episode.support for episode in episodes], pad_to_multiple_of),
        targets=Targets(
            masks=masks,
            boxes=torch.stack([boxes_from_masks(episode.masks) for episode in episodes]),
            is_visible=torch.stack([episode.is_visible for episode in episodes]),
            rivals=_rivals(episodes, padding_mask),
        ),
        specs=[episode.spec for episode in episodes],
        native_sizes=[episode.native_size for episode in episodes],
        unread=[line for episode in episodes for line in episode.unread],
    )


def _rivals(episodes: Sequence[Episode], padding_mask: Tensor) -> Rivals | None:
    masks = [episode.rivals for episode in episodes if episode.rivals is not None]
    if not masks:
        return None
    said = [(owner, *phrase) for owner, episode in enumerate(episodes) for phrase in episode.said]
    return Rivals(
        masks=torch.stack([_pad_masks(ks, padding_mask) for ks in zip(*masks, strict=True)], 2),
        boxes=torch.stack([boxes_from_masks(of_episode).transpose(0, 1) for of_episode in masks]),
        phrases=[phrase for _, phrase, _ in said],
        owner=torch.tensor([owner for owner, *_ in said]),
        about=torch.tensor([about for *_, about in said]),
    )


def collate_support(
    of_episodes: Sequence[Sequence[SupportClip]], pad_to_multiple_of: int = 32
) -> Support | None:
    """The support clips of every episode, listed one after the other; None if there is none at all."""
    owned = [(owner, clip) for owner, clips in enumerate(of_episodes) for clip in clips]
    if not owned:
        return None
    clips = [clip for _, clip in owned]
    frames, padding_mask, sizes = _pad_frames([clip.frames for clip in clips], pad_to_multiple_of)
    return Support(
        frames=frames,
        padding_mask=padding_mask,
        sizes=sizes,
        expressions=[clip.expression for clip in clips],
        masks=_pad_masks([clip.masks for clip in clips], padding_mask),
        owner=torch.tensor([owner for owner, _ in owned]),
    )


def collate_clip(frames: Tensor, expression: str, pad_to_multiple_of: int = 32) -> Clip:
    """One clip (T, 3, H, W), normalised, with its phrase, as a batch of one."""
    return Clip(*_pad_frames([frames], pad_to_multiple_of), [expression])


def _pad_frames(clips: Sequence[Tensor], multiple: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pads clips (T_i, 3, H_i, W_i) to (N, T, 3, H, W); adds the padding mask and the sizes (N, 2)."""
    length = max(len(clip) for clip in clips)
    height, width = (-(-max(clip.shape[axis] for clip in clips) // multiple) * multiple for axis in (-2, -1))
    frames = torch.zeros(len(clips), length, 3, height, width)
    padding_mask = torch.ones(len(clips), length, height, width, dtype=torch.bool)
    for position, clip in enumerate(clips):
        inside = (position, slice(len(clip)), ..., slice(clip.shape[-2]), slice(clip.shape[-1]))
        frames[inside] = clip
        padding_mask[inside] = False
    return frames, padding_mask, torch.tensor([list(clip.shape[-2:]) for clip in clips])


def _pad_masks(masks: Sequence[Tensor], padding_mask: Tensor) -> Tensor:
    padded = torch.zeros_like(padding_mask)
    for position, mask in enumerate(masks):
        padded[position, : len(mask), : mask.shape[-2], : mask.shape[-1]] = mask
    return padded
