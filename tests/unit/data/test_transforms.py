from __future__ import annotations

import colorsys
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as F

from fsrvos.data import captions, photometric, transforms
from fsrvos.data.clips import AnnotatedClip
from fsrvos.data.draws import generator
from fsrvos.data.resizing import resize, resized_size
from fsrvos.data.transforms import IMAGENET_MEAN, IMAGENET_STD, TrainTransform
from fsrvos.errors import UserError

PLAIN = {"flip": 0.0, "photometric": False, "crop": False}


def clip_of(height=60, width=100, num_frames=3, expression="the bright dog on the Left") -> AnnotatedClip:
    """A textured clip whose object, a moving bright rectangle, has its own mask."""
    rng = np.random.default_rng(height * width)
    small = torch.from_numpy(rng.integers(0, 120, (num_frames, 3, height // 4, width // 4), dtype=np.uint8))
    frames = F.resize(small, [height, width]).contiguous(memory_format=torch.channels_last)
    masks = torch.zeros(num_frames, height, width, dtype=torch.bool)
    for frame in range(num_frames):
        masks[frame, height // 4 : height // 2, 4 + frame : width // 3 + frame] = True
    frames[masks[:, None].expand_as(frames)] = 250
    return AnnotatedClip(frames, masks, expression)


def colours(clip: AnnotatedClip) -> torch.Tensor:
    """Undoes the normalisation: (T, 3, H, W) in [0, 1]."""
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    return clip.frames * std.view(3, 1, 1) + mean.view(3, 1, 1)


def rng(seed=0):
    return np.random.default_rng(seed)


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("height", "width", "short", "longest", "expected"),
    [
        (480, 854, 360, 640, (360, 640)),  # 640.5 is over 640: round(359.7) = 360, int(640.5)
        (480, 854, 288, 640, (288, 512)),  # int(512.4)
        (480, 854, 512, 640, (360, 640)),
        (720, 1280, 360, 640, (360, 640)),
        (720, 1280, 512, 640, (360, 640)),
        (1280, 720, 288, 640, (512, 288)),
        (480, 640, 512, 640, (480, 640)),  # 682 is over
        (480, 640, 448, 640, (448, 597)),  # int(597.33)
        (112, 192, 112, 640, (112, 192)),
        (112, 192, 96, None, (96, 164)),  # int(164.57)
        (112, 192, 128, None, (128, 219)),  # int(219.43)
        (500, 500, 416, 640, (416, 416)),
        (400, 1000, 320, 640, (256, 640)),
        (427, 1280, 400, 640, (214, 640)),  # the published rule says 641 here
        (800, 1280, 800, 1333, (800, 1280)),
        (37, 501, 600, None, (600, 8124)),
    ],
)
def test_the_size_rule(height, width, short, longest, expected):
    assert resized_size(height, width, short, longest) == expected
    assert resized_size(width, height, short, longest) == expected[::-1]


@given(
    height=st.integers(1, 2000),
    width=st.integers(1, 2000),
    short=st.integers(1, 700),
    longest=st.none() | st.integers(1, 1400),
)
@settings(max_examples=500, deadline=None)
def test_sizes_stay_within_their_limits(height, width, short, longest):
    new_height, new_width = resized_size(height, width, short, longest)
    assert min(new_height, new_width) >= 1
    assert (new_height <= new_width) == (height <= width) or new_height == new_width
    if longest is not None:
        assert max(new_height, new_width) <= max(longest, 1)
    if longest is None or short * max(height, width) / min(height, width) <= longest:
        assert min(new_height, new_width) == short
        assert max(new_height, new_width) == int(short * max(height, width) / min(height, width))


def test_frames_and_masks_resize_together():
    clip = clip_of(120, 200)
    frames, masks = resize(clip.frames, clip.masks, (48, 80))
    assert frames.dtype == torch.uint8
    assert masks.dtype == torch.bool
    assert (frames.float().mean(1)[masks] > 200).float().mean() > 0.95
    assert (frames.float().mean(1)[~masks] < 200).float().mean() > 0.98
    assert masks.float().mean().item() == pytest.approx(clip.masks.float().mean().item(), abs=0.01)
    same, same_masks = resize(clip.frames, clip.masks, (120, 200))
    assert torch.equal(same, clip.frames)
    assert torch.equal(same_masks, clip.masks)


def test_a_mask_keeps_its_centre_when_resized():
    masks = torch.zeros(1, 64, 64, dtype=torch.bool)
    masks[0, 16:48, 16:48] = True
    _, small = resize(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), masks, (21, 21))
    rows = small[0].any(1).nonzero().flatten().float()
    assert rows.mean() == pytest.approx(10.0, abs=0.01)


# ---------------------------------------------------------------- phrases


@pytest.mark.parametrize(
    ("phrase", "mirrored"),
    [
        ("the dog on the left", "the dog on the right"),
        ("a bright dog, right of the man who left", "a bright dog, left of the man who right"),
        ("cleft copyright upright leftover brightest", "cleft copyright upright leftover brightest"),
        ("the leftmost car, not the rightmost one", "the rightmost car, not the leftmost one"),
        ("turning Left then RIGHT", "turning Right then LEFT"),
        ("left-hand side; right!", "right-hand side; left!"),
        ("moving leftwards and rightward", "moving rightwards and leftward"),
        ("left right left", "right left right"),
        ("", ""),
    ],
)
def test_mirroring_swaps_whole_words(phrase, mirrored):
    assert captions.mirror(phrase) == mirrored
    assert captions.mirror(mirrored) == phrase


@given(
    st.lists(
        st.sampled_from(["left", "Right", "LEFT", "bright", "leftmost", "lEFT", "a", "-", ",", "_"])
    ).map(" ".join)
)
def test_mirroring_twice_gives_the_phrase_back(phrase):
    assert captions.mirror(captions.mirror(phrase)) == phrase


def test_plain_phrases():
    assert captions.plain("  The  RED\tdog\n on it ") == "the red dog on it"


@pytest.mark.parametrize(
    ("phrase", "category", "renamed"),
    [
        ("a dog and two Dogs", "dog", "a bliku and two blikus"),
        ("the DOG's tail, hotdog dogged", "dog", "the bliku's tail, hotdog dogged"),
        ("giant panda, giant_panda, Giant Pandas", "giant_panda", "bliku, bliku, blikus"),
        ("a car racing", "sedan", "a car racing"),
        ("a.b a+b", "a.b", "bliku a+b"),
    ],
)
def test_renaming_replaces_the_whole_noun(phrase, category, renamed):
    assert captions.rename(phrase, category, "bliku") == renamed


def test_pseudo_words_are_pronounceable_many_and_never_taken():
    words = [captions.pseudo_word(rng(seed)) for seed in range(400)]
    assert len(set(words)) > 350
    assert all(re.fullmatch(r"([bdfgklmnprstvz]{1,2}[aeiou]){2,3}[nrk]?", word) for word in words)
    assert words[7] == captions.pseudo_word(rng(7))
    assert captions.pseudo_word(rng(7), taken=words[7:8]) != words[7]


# ---------------------------------------------------------------- colours


def test_colours_change_by_one_map_in_the_range():
    frames = torch.rand(4, 3, 9, 7)
    changed = photometric.distort(frames, photometric.colour_map(rng(1)))
    assert changed.shape == frames.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    shift, matrix = photometric.colour_map(rng(1))
    for frame, row, column in ((0, 0, 0), (3, 8, 6), (2, 4, 5)):
        expected = np.clip(matrix @ frames[frame, :, row, column].numpy() + shift, 0, 1)
        assert np.allclose(changed[frame, :, row, column], expected, atol=1e-5)


def test_each_distortion_happens_half_of_the_time():
    maps = [photometric.colour_map(rng(seed)) for seed in range(600)]
    identity = sum(np.allclose(matrix, np.eye(3)) and np.allclose(shift, 0) for shift, matrix in maps)
    assert 600 / 16 * 0.5 < identity < 600 / 16 * 1.6
    brightness = sum(not np.allclose(shift, 0) for shift, _ in maps)
    assert 250 < brightness < 350
    # Saturation and hue keep greys, so rows sum to the contrast; grey stays grey under all four.
    contrasts = np.array([matrix.sum(1) for _, matrix in maps])
    assert np.allclose(contrasts, contrasts[:, :1])
    assert 250 < (abs(contrasts[:, 0] - 1) > 1e-9).sum() < 350
    assert contrasts.min() >= 0.5
    assert contrasts.max() <= 1.5
    for shift, _ in maps:
        assert np.ptp(shift) < 1e-9
        assert abs(shift[0]) <= 1.5 * 32 / 255


def test_saturation_is_that_of_torchvision():
    frames = torch.rand(2, 3, 5, 5) * 0.5 + 0.25
    ours = torch.from_numpy(photometric._saturation(0.7)).float() @ frames.flatten(2)
    assert torch.allclose(ours.view_as(frames), F.adjust_saturation(frames, 0.7), atol=2e-4)


def test_hue_turns_as_in_hsv():
    for colour in ([0.7, 0.3, 0.3], [0.2, 0.6, 0.3], [0.3, 0.35, 0.7], [0.6, 0.2, 0.5]):
        turned = photometric._hue_rotation(18) @ np.array(colour)
        assert turned.sum() == pytest.approx(sum(colour))
        degrees = 360 * (colorsys.rgb_to_hsv(*turned)[0] - colorsys.rgb_to_hsv(*colour)[0])
        assert degrees % 360 == pytest.approx(18, abs=3)


# ---------------------------------------------------------------- test transform


def test_the_test_transform_resizes_and_normalises():
    clip = clip_of(120, 200)
    out = transforms.TestTransform(short_side=60, max_long_side=90)(clip, rng())
    assert out.frames.shape == (3, 3, 54, 90)
    assert out.masks.shape == (3, 54, 90)
    assert out.frames.dtype == torch.float32
    assert out.masks.dtype == torch.bool
    assert out.expression == "the bright dog on the left"
    expected = F.resize(clip.frames, [54, 90], antialias=True).float() / 255
    assert torch.allclose(colours(out), expected, atol=1e-5)
    assert torch.equal(clip.frames, clip_of(120, 200).frames)  # the clip as read is left alone


def test_the_published_test_size():
    out = transforms.TestTransform()(clip_of(120, 214, num_frames=1), rng())
    assert out.frames.shape[-2:] == (359, 640)  # round(640 * 120 / 214), int(359 * 214 / 120)


def test_native_size_and_imagenet_statistics():
    clip = clip_of()
    out = transforms.TestTransform(short_side=None)(clip, rng())
    assert torch.equal(out.masks, clip.masks)
    expected = F.normalize(clip.frames.float() / 255, list(IMAGENET_MEAN), list(IMAGENET_STD))
    assert torch.allclose(out.frames, expected, atol=1e-6)


# ---------------------------------------------------------------- training transform


def test_everything_is_drawn_from_the_generator_given():
    clip = clip_of()
    transform = TrainTransform((40, 48), 80, crop_short_sides=(56, 64), crop_min=40, crop_max=60)
    torch.manual_seed(0)
    first = transform(clip, generator("augment", 5))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    again = transform(clip, generator("augment", 5))
    assert torch.equal(first.frames, again.frames)
    assert torch.equal(first.masks, again.masks)
    assert first.expression == again.expression
    assert torch.equal(torch.get_rng_state(), before)
    others = [transform(clip, generator("augment", seed)) for seed in range(6)]
    assert any(
        o.frames.shape != first.frames.shape or not torch.equal(o.frames, first.frames) for o in others
    )
    assert torch.equal(clip.frames, clip_of().frames)


def test_a_flip_turns_pixels_masks_and_words_together():
    clip = clip_of()
    straight = TrainTransform((60,), None, **PLAIN)(clip, rng())
    flipped = TrainTransform((60,), None, **{**PLAIN, "flip": 1.0})(clip, rng())
    assert torch.allclose(flipped.frames, straight.frames.flip(-1), atol=1e-6)
    assert torch.equal(flipped.masks, straight.masks.flip(-1))
    assert (straight.expression, flipped.expression) == (
        "the bright dog on the left",
        "the bright dog on the right",
    )
    turned = AnnotatedClip(clip.frames.flip(-1), clip.masks.flip(-1), captions.mirror(clip.expression))
    twice = TrainTransform((60,), None, **{**PLAIN, "flip": 1.0})(turned, rng())
    assert torch.allclose(twice.frames, straight.frames, atol=1e-6)
    assert torch.equal(twice.masks, straight.masks)
    assert twice.expression == straight.expression


def test_half_of_the_clips_are_flipped_and_every_flip_says_so():
    transform = TrainTransform((60,), None, crop=False, photometric=False)
    flips = 0
    for seed in range(100):
        out = transform(clip_of(num_frames=1), rng(seed))
        turned = bool(out.masks[0].nonzero()[:, 1].float().mean() > 50)
        assert out.expression.endswith("right") == turned
        flips += turned
    assert 30 < flips < 70


def test_all_short_sides_are_drawn():
    sides = (288, 320, 352, 392, 416, 448, 480, 512)
    transform = TrainTransform(flip=0.0, photometric=False, crop=False)
    drawn = {transform(clip_of(96, 100, num_frames=1), rng(seed)).frames.shape[-2] for seed in range(60)}
    assert drawn == set(sides)
    wide = TrainTransform(flip=0.0, photometric=False, crop=False)
    shapes = {wide(clip_of(60, 100, num_frames=1), rng(seed)).frames.shape[-2:] for seed in range(20)}
    assert max(max(shape) for shape in shapes) <= 640


def bounded(side: int) -> bool:
    return 50 <= side <= 70


def test_crops_have_the_sizes_asked_for_and_all_frames_share_one(monkeypatch):
    transform = TrainTransform(
        (64,), None, flip=0.0, photometric=False, crop_short_sides=(72, 90), crop_min=50, crop_max=70
    )
    seen = []
    original = transform._cropped

    def spy(frames, masks, generator, keep):
        frames, masks, size = original(frames, masks, generator, keep)
        seen.append(size)
        assert frames.shape[-2:] == masks.shape[-2:]
        return frames, masks, size

    monkeypatch.setattr(transform, "_cropped", spy)
    for seed in range(60):
        out = transform(clip_of(80, 120), rng(seed))
        assert out.frames.shape[0] == out.masks.shape[0] == 3
        bright = colours(out).mean(1) > 0.8
        # The same place is cut from frames and masks, and from all frames of the clip.
        assert (bright == out.masks).float().mean() > 0.93
    assert 15 < len(seen) < 45
    assert all(bounded(height) and bounded(width) for height, width in seen)
    assert len(set(seen)) > 10


def test_objects_that_a_crop_loses_are_invisible():
    clip = clip_of(80, 120)
    transform = TrainTransform(
        (64,), None, flip=0.0, photometric=False, crop_short_sides=(80,), crop_min=30, crop_max=34
    )
    outs = [transform(clip, rng(seed)) for seed in range(60)]
    lost = [out for out in outs if not out.masks.any()]
    assert lost
    assert len(lost) < len(outs)
    for out in lost:
        assert (colours(out).mean(1) > 0.8).float().mean() < 0.02
    kept = [transform(clip, rng(seed), keep=1) for seed in range(60)]
    assert all(out.masks[1].any() for out in kept)
    empty = AnnotatedClip(clip.frames, torch.zeros_like(clip.masks), "a dog")
    assert transform(empty, rng(1), keep=1).masks.shape[0] == 3  # nothing to keep: any crop will do


def test_a_crop_that_can_never_keep_the_object_is_given_up():
    clip = clip_of(200, 200, num_frames=1)
    clip.masks.zero_()
    clip.masks[0, 0, 0] = True
    transform = TrainTransform(
        (200,), None, flip=0.0, photometric=False, crop_short_sides=(200,), crop_min=8, crop_max=8
    )
    for seed in range(20):
        assert transform(clip, rng(seed), keep=0).masks.any()


@pytest.mark.parametrize(("height", "width"), [(12, 20), (20, 12), (16, 16), (40, 400)])
def test_frames_smaller_than_the_crop(height, width):
    transform = TrainTransform((32, 48), 64, crop_short_sides=(24,), crop_min=30, crop_max=60)
    for seed in range(20):
        out = transform(clip_of(height, width), rng(seed))
        assert min(out.frames.shape[-2:]) >= 1
        assert max(out.frames.shape[-2:]) <= 64
        assert out.masks.shape[-2:] == out.frames.shape[-2:]


def test_colours_change_alike_in_all_frames_and_only_when_asked():
    clip = clip_of(num_frames=2)
    clip.frames[1] = clip.frames[0]
    on = TrainTransform((60,), None, flip=0.0, crop=False)
    plain = TrainTransform((60,), None, **PLAIN)(clip, rng())
    changed = 0
    for seed in range(20):
        out = on(clip, rng(seed))
        assert torch.allclose(out.frames[0], out.frames[1], atol=1e-5)
        changed += not torch.allclose(out.frames, plain.frames, atol=1e-3)
    assert changed > 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"flip": 1.5}, "flip must be a probability in [0, 1], got 1.5"),
        ({"rename_probability": -0.1}, "rename_probability must be a probability in [0, 1], got -0.1"),
        ({"short_sides": ()}, "short_sides must list sizes of at least 1 pixel, got []"),
        ({"crop_short_sides": (0,)}, "crop_short_sides must list sizes of at least 1 pixel, got [0]"),
        ({"crop_min": 700}, "crop_min must be 1 to crop_max (600), got 700"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(UserError) as caught:
        TrainTransform(**arguments)
    assert str(caught.value) == message
