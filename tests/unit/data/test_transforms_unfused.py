"""The training transform against the same draws taken step by step: what is fused must not show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_transforms import clip_of
from torch.nn.functional import interpolate
from torchvision.transforms.v2 import functional as F

from fsrvos.data import photometric, transforms
from fsrvos.data.clips import AnnotatedClip
from fsrvos.data.draws import pick
from fsrvos.data.resizing import nearest_pixels, resized_size
from fsrvos.data.transforms import IMAGENET_MEAN, IMAGENET_STD, TrainTransform


def resized(frames, masks, size):
    if tuple(masks.shape[-2:]) == tuple(size):
        return frames, masks
    masks = interpolate(masks[:, None].float(), size=size, mode="nearest-exact")[:, 0] > 0.5
    return F.resize(frames, list(size), antialias=True), masks


def side(length, least, most, rng):
    extent = int(rng.integers(min(least, length), min(most, length) + 1))
    start = int(rng.integers(length - extent + 1))
    return slice(start, start + extent)


def step_by_step(transform, clip, rng, keep=None):
    """The transform with every step written out on whole clips: resize, crop, resize, colours, normalise."""
    frames, masks = clip.frames, clip.masks
    if rng.random() < transform.flip:
        frames, masks = frames.flip(-1), masks.flip(-1)
    if transform.crop and rng.random() < 0.5:
        size = resized_size(*masks.shape[-2:], pick(rng, transform.crop_short_sides))
        large_frames, large_masks = resized(frames, masks, size)
        for _ in range(10):
            rows, columns = (side(length, transform.crop_min, transform.crop_max, rng) for length in size)
            if keep is None or large_masks[keep, rows, columns].any() or not masks[keep].any():
                frames, masks = large_frames[..., rows, columns], large_masks[:, rows, columns]
                break
    size = resized_size(*masks.shape[-2:], pick(rng, transform.short_sides), transform.max_long_side)
    frames, masks = resized(frames, masks, size)
    unit = frames.contiguous().float() / 255
    if transform.photometric:
        shift, matrix = (torch.from_numpy(values).float() for values in photometric.colour_map(rng))
        unit = (matrix @ unit.flatten(2) + shift[:, None]).clamp(0, 1).view_as(unit)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (unit - mean) / std, masks


@pytest.mark.parametrize("num_frames", [1, 2, 5])
@pytest.mark.parametrize(("size", "short"), [((112, 192), 112), ((112, 192), 96), ((61, 107), 48)])
def test_without_a_crop_every_bit_is_that_of_the_steps(size, short, num_frames):
    """So a demo, which crops nothing, ends in the same digits as ever."""
    transform, clip = TrainTransform((short,), None, crop=False), clip_of(*size, num_frames)
    for seed in range(6):
        expected, masks = step_by_step(transform, clip, np.random.default_rng(seed))
        out = transform(clip, np.random.default_rng(seed))
        assert torch.equal(out.frames, expected)
        assert torch.equal(out.masks, masks)
        assert out.frames.is_contiguous()


@pytest.mark.parametrize("short", [None, 40, 61, 90])
def test_every_bit_of_a_test_clip_is_that_of_the_steps(short):
    clip = clip_of(61, 107)
    size = (61, 107) if short is None else resized_size(61, 107, short, 100)
    frames, masks = resized(clip.frames, clip.masks, size)
    plain = step_by_step(
        TrainTransform((min(size),), None, flip=0.0, photometric=False, crop=False),
        AnnotatedClip(frames, masks, ""),
        np.random.default_rng(0),
    )
    out = transforms.TestTransform(short, 100)(clip, np.random.default_rng(0))
    assert torch.equal(out.frames, plain[0])
    assert torch.equal(out.masks, plain[1])


def test_a_crop_shows_what_the_two_resizes_show_from_the_same_draws():
    clip = clip_of(240, 427)
    transform = TrainTransform(
        (144, 176, 208, 256), 320, crop_short_sides=(200, 250, 300), crop_min=192, crop_max=300
    )
    crops = 0
    for seed in range(24):
        ours, theirs = np.random.default_rng(seed), np.random.default_rng(seed)
        out = transform(clip, ours, keep=1)
        frames, masks = step_by_step(transform, clip, theirs, keep=1)
        assert ours.random() == theirs.random()  # as many draws
        assert out.frames.shape == frames.shape
        crops += not torch.equal(out.frames, frames)
        assert (out.frames - frames).abs().mean() * 0.226 * 255 < 4  # grey levels
        both, either = (out.masks & masks).sum(), (out.masks | masks).sum()
        assert both > 0.93 * either
        assert out.masks[1].any() == masks[1].any()
    assert 6 < crops < 18


@pytest.mark.parametrize("place", [(0, 0), (59, 99), (30, 50), (7, 93)])
def test_a_crop_keeps_and_loses_a_pixel_as_the_resized_mask_does(place):
    clip = clip_of(60, 100)
    clip.masks.zero_()
    clip.masks[(1, *place)] = True
    transform = TrainTransform(
        (60,), None, flip=0.0, photometric=False, crop_short_sides=(50, 60, 75), crop_min=40, crop_max=60
    )
    for seed in range(30):
        ours, theirs = np.random.default_rng(seed), np.random.default_rng(seed)
        transform(clip, ours, keep=1)
        step_by_step(transform, clip, theirs, keep=1)
        assert ours.random() == theirs.random()


@pytest.mark.parametrize(
    ("length", "resized_length"), [(480, 400), (480, 600), (854, 711), (7, 7), (5, 13), (13, 1)]
)
def test_nearest_pixels_are_those_whose_centre_is_nearest(length, resized_length):
    places = nearest_pixels(length, resized_length)
    centres = (np.arange(resized_length) + 0.5) * length / resized_length
    assert np.abs(places.numpy() + 0.5 - centres).max() <= 0.5 + 1e-4
    assert (places.diff() >= 0).all()
    masks = torch.rand(1, 3, length) > 0.5
    assert torch.equal(
        masks[..., places],
        resized(torch.zeros(1, 3, 3, length, dtype=torch.uint8), masks, (3, resized_length))[1],
    )
