"""Which frames of a clip train and which are kept back: a stretch at the end, never one frame for two things."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_clips import square_clip

from fsrvos.data.held_back import OwnClip, check_clips, evenly, hold_back, supporter
from fsrvos.errors import UserError


def own(frames, name="a", category="it", share=0.25, hidden=(), whole=False):
    return hold_back(name, category, square_clip(frames, hidden=hidden), share, whole=whole)


@given(st.integers(1, 40), st.floats(0.05, 0.95))
def test_the_end_of_a_clip_is_held_back(frames, share):
    clip = own(frames, share=share)
    held = sorted({*clip.stop, *clip.report})
    assert [*clip.train, *held] == list(range(frames)), "each frame once, the held-back ones behind"
    assert clip.train, "something trains"
    assert bool(held) == (frames > 1)
    if len(held) >= 4:
        assert clip.reports_apart
        assert max(clip.stop) < min(clip.report)
    else:
        assert clip.stop == clip.report == tuple(held)


def test_a_quarter_of_sixteen_frames():
    clip = own(16)
    assert (clip.stop, clip.report) == ((12, 13), (14, 15))


def test_a_whole_clip_is_held_back():
    clip = own(6, whole=True)
    assert (clip.train, clip.stop, clip.report) == ((), (0, 1, 2), (3, 4, 5))


def test_hidden_frames_train_and_are_no_support():
    clip = own(8, hidden=(0, 3))
    assert clip.train == (0, 1, 2, 3, 4, 5)
    assert clip.shown == (1, 2, 4, 5)


@pytest.mark.parametrize("share", [0, 1, -0.2, 3])
def test_a_share_out_of_range(share):
    with pytest.raises(UserError, match="held_back must be"):
        own(8, share=share)


@pytest.mark.parametrize(
    ("clips", "said"),
    [
        ([own(2)], "2 annotated frames in all"),
        ([own(1), own(1, "b")], "2 annotated frames in all"),
        ([own(1), own(1, "b"), own(1, "c")], "no frame can be held back"),
        ([own(3, hidden=(0, 1))], "one of which shows the object"),
        ([own(8), own(1, "b", "other")], "b: no frame can be held back"),
        ([own(8, whole=True)], "two training frames"),
    ],
)
def test_clips_that_are_not_enough(clips, said):
    with pytest.raises(UserError, match=said):
        check_clips(clips)


@pytest.mark.parametrize("clips", [[own(3)], [own(2), own(1, "b")], [own(2), own(2, "b")]])
def test_the_least_clips_are_enough(clips):
    check_clips(clips)


def test_another_clip_of_the_category_supports():
    a, b, c = own(8, "a"), own(8, "b", "other"), own(8, "c")
    assert supporter([a, b, c], a) is c
    assert supporter([a, b, c], c) is a
    assert supporter([a, b, c], b) is b, "alone in its category"
    unseen = own(8, "d", hidden=range(8))
    assert supporter([a, unseen], a) is a, "what shows nothing supports nothing"
    with pytest.raises(UserError, match="shows the object"):
        supporter([OwnClip("e", "it", a.clip, (), (1,), (1,))], OwnClip("e", "it", a.clip, (), (1,), (1,)))


@given(st.integers(1, 30), st.integers(1, 8))
def test_evenly_spaced(total, count):
    taken = evenly(range(total), count)
    assert len(taken) == min(total, count)
    gaps = [b - a for a, b in zip(taken, taken[1:], strict=False)]
    assert not gaps or max(gaps) - min(gaps) <= 1
    assert all(gap > 0 for gap in gaps)
