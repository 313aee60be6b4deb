"""Support from arrays and lists of sources, and what all sources share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support_made import HEIGHT, WIDTH, block, complaint, picture, rgb_of, save, save_ids

from fsrvos.data import support_labelled
from fsrvos.data.support_sources import read_support

FRAMES = np.stack([picture(0), picture(1)])
MASKS = np.stack([block(2, 3, 7, 9), block(0, 0, 3, 3)])


@pytest.mark.parametrize(
    ("frames", "masks"),
    [
        (FRAMES, MASKS),
        (FRAMES, MASKS.astype(np.int64) * 3),
        (torch.from_numpy(FRAMES), torch.from_numpy(MASKS)),
        (list(FRAMES), list(MASKS)),
        ([Image.fromarray(frame) for frame in FRAMES], MASKS),
        ([Image.fromarray(frame) for frame in FRAMES], [Image.fromarray(mask) for mask in MASKS]),
    ],
)
def test_arrays_and_images(frames, masks):
    (clip,) = read_support((frames, masks), "a dax")
    assert clip.frames.dtype == torch.uint8
    assert clip.masks.dtype == torch.bool
    np.testing.assert_array_equal(clip.frames.permute(0, 2, 3, 1).numpy(), FRAMES)
    np.testing.assert_array_equal(clip.masks.numpy(), MASKS)
    assert clip.expression == "a dax"


@pytest.mark.parametrize("frame", [FRAMES[0], Image.fromarray(FRAMES[0])])
@pytest.mark.parametrize("mask", [MASKS[0], Image.fromarray(MASKS[0])])
def test_one_frame(frame, mask):
    (clip,) = read_support((frame, mask))
    assert clip.frames.shape == (1, 3, HEIGHT, WIDTH)
    np.testing.assert_array_equal(rgb_of(clip.frames, 0), FRAMES[0])
    np.testing.assert_array_equal(clip.masks[0].numpy(), MASKS[0])
    assert clip.expression == ""


def test_what_is_returned_is_not_the_callers_memory():
    frames = FRAMES.copy()
    (clip,) = read_support((frames, MASKS))
    frames[:] = 0
    np.testing.assert_array_equal(rgb_of(clip.frames, 0), picture(0))


def test_a_list_of_sources_keeps_their_order(tmp_path):
    save(tmp_path / "a.bmp", picture(5))
    save_ids(tmp_path / "a.png", block(1, 1, 2, 2))
    clips = read_support([(FRAMES, MASKS), str(tmp_path), [(FRAMES[1], MASKS[1])]], "a dax")
    assert [len(clip.frames) for clip in clips] == [2, 1, 1]
    np.testing.assert_array_equal(rgb_of(clips[1].frames, 0), picture(5))
    assert {clip.expression for clip in clips} == {"a dax"}
    pair = (FRAMES[0], MASKS[0])
    assert len(read_support([pair, pair])) == len(read_support((pair, pair))) == 2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5))
def test_each_object_of_an_integer_mask(seed, height, width):
    ids = np.random.default_rng(seed).choice([0, 1, 4, 70_000], (2, height, width)).astype(np.int32)
    frames = np.zeros((2, height, width, 3), np.uint8)
    present = [value for value in (1, 4, 70_000) if (ids == value).any()]
    for value in present:
        np.testing.assert_array_equal(
            read_support((frames, ids), object_id=value)[0].masks.numpy(), ids == value
        )
    if len(present) == 1:
        np.testing.assert_array_equal(read_support((frames, ids))[0].masks.numpy(), ids > 0)
    elif present:
        assert f"holds the objects {', '.join(map(str, present))}; say " in complaint((frames, ids))
    else:
        assert "empty" in complaint((frames, ids))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ((FRAMES, MASKS[:1]), "support masks: 1 for 2 frames"),
        ((FRAMES, MASKS[:, :5]), "support masks[0]: is 16x5, but support frames[0] is 16x12"),
        (([FRAMES[0], FRAMES[1][:5]], MASKS), "support frames[1]: is 16x5, but support frames[0] is 16x12"),
        ((FRAMES, MASKS.astype(float)), "support masks[0]: a mask must be an array (H, W) of bool or integer ids"),
        ((FRAMES.astype(np.float32), MASKS), "support frames[0]: must be an array (H, W, 3) of uint8"),
        ((FRAMES.transpose(0, 3, 1, 2), MASKS), "got (3, 12, 16) of uint8"),
        ((FRAMES[0, 0], MASKS), "support frames: must have the shape (S, H, W, 3) or (H, W, 3), got (16, 3)"),
        ((FRAMES, MASKS[None]), "support masks: must have the shape (S, H, W) or (H, W), got (1, 2, 12, 16)"),
        ((FRAMES, "masks"), "support masks: must be an array or a Pillow image, got a str"),
        ((FRAMES[:0], MASKS[:0]), "0 for 0 frames"),
        ((FRAMES, MASKS & False), "the mask is empty, all zero in 2 frames"),
        ([], "the support is empty"),
        (None, "must be a path, a tuple (frames, masks) or a list of these, got NoneType"),
        ([FRAMES, MASKS], "must be a path, a tuple (frames, masks) or a list of these, got ndarray"),
        ("x" * 5000, "no such support"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(source, words):
    assert words in complaint(source)


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"0")
    assert "a.mp4: no support is read from such a file; give a folder" in complaint(tmp_path / "a.mp4")


def test_more_than_fits_into_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(support_labelled, "MAX_TOTAL_PIXELS", 1_500_000)
    for name in "ab":
        save(tmp_path / f"{name}.bmp", np.zeros((1000, 1000, 3), np.uint8))
        save_ids(tmp_path / f"{name}.png", np.ones((1000, 1000)))
    assert "have 2 megapixels together, a support may have 1;" in complaint(tmp_path)
