"""Videos in memory: which shapes and values are taken, and what the others are told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_videos import is_one_line, noise
from PIL import Image

from fsrvos.errors import UserError
from fsrvos.video import open_video

TRUTH = noise(4, 5, 6)


def _pixels(source: object) -> np.ndarray:
    return np.array([frame.pixels for frame in open_video(source).frames()])


@pytest.mark.parametrize(
    "source",
    [
        TRUTH,
        TRUTH / 255,
        (TRUTH / 255).astype(np.float32),
        np.concatenate([TRUTH, np.full((4, 5, 6, 1), 255, np.uint8)], -1),
        TRUTH[:, :, ::-1][:, :, ::-1],
        list(TRUTH),
        tuple(Image.fromarray(frame) for frame in TRUTH),
        torch.from_numpy(TRUTH),
        torch.from_numpy(TRUTH).movedim(-1, 1),
        torch.from_numpy(TRUTH / 255).float().movedim(-1, 1).requires_grad_(),
    ],
)
def test_every_form_gives_the_same_frames(source: object) -> None:
    assert np.array_equal(_pixels(source), TRUTH)
    assert _pixels(source).dtype == np.uint8


def test_names_times_and_start() -> None:
    video = open_video(TRUTH, rate=4)
    assert (video.name, video.size, video.rate, video.count) == ("video", (5, 6), 4, 4)
    assert [(f.index, f.name, f.time) for f in video.frames(2)] == [(2, "00002", 0.5), (3, "00003", 0.75)]
    assert open_video(TRUTH).rate == 10


def test_grey_and_alpha() -> None:
    grey = TRUTH[..., 0]
    for source in (grey, grey[..., None], list(grey)):
        assert np.array_equal(_pixels(source), np.stack([grey] * 3, -1))
    clear = np.concatenate([TRUTH, np.zeros((4, 5, 6, 1), np.uint8)], -1)
    assert not _pixels(clear).any()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((0, 4, 4, 3), np.uint8), "no frames"),
        ([], "no frames"),
        (np.zeros((2, 0, 4, 3), np.uint8), "4x0"),
        (np.zeros((4, 4), np.uint8), r"got \(4, 4\)"),
        (np.zeros((4, 5, 3), np.uint8), "one image or 4 grey frames"),
        (np.zeros((2, 3, 8, 8), np.uint8), "channels last"),
        (np.zeros((2, 4, 4, 2), np.uint8), r"got \(2, 4, 4, 2\)"),
        (np.zeros((2, 4, 4, 3), np.int64), "int64"),
        (np.zeros((2, 4, 4, 3), bool), "bool"),
        (np.full((2, 4, 4, 3), 200.0), r"\[0, 1\]"),
        (np.full((2, 4, 4, 3), np.nan), r"\[0, 1\]"),
        (torch.zeros(2, 3, 8, 3), "may be"),
        (torch.zeros(2, 8, 8), "is no video"),
        (torch.zeros(2, 4, 8, 8), "is no video"),
        ([TRUTH[0], TRUTH[1][:4]], "frame 1 is 6x4"),
        ([TRUTH[0], "a.png"], "frame 1 must be"),
        ([TRUTH[0], TRUTH], "frame 1 must be"),
        (5, "got int"),
    ],
)
def test_what_is_no_video(source: object, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        open_video(source)
    assert is_one_line(str(caught.value))
