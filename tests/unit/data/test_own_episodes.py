"""Episodes of a few clips: a pure function of (seed, index), disjoint within a clip, never a held-back frame."""

import pytest
import torch
from own_clips import square_clip

from fsrvos.data.collate import collate
from fsrvos.data.draws import generator
from fsrvos.data.held_back import hold_back
from fsrvos.data.own_episodes import OwnEpisodes
from fsrvos.data.strong_transform import StrongTransform
from fsrvos.errors import UserError


def episodes(clips, **options):
    return OwnEpisodes(clips, StrongTransform(32), **{"length": 60, "seed": 3, **options})


def own(name, frames=8, category="it", hidden=()):
    return hold_back(name, category, square_clip(frames, seed=len(name), hidden=hidden), 0.25)


def test_an_episode_depends_on_seed_and_index_alone():
    clips = [own("a"), own("bb")]
    first, second = episodes(clips), episodes(clips)
    late, early = second[5], first[5]
    _ = second[0]
    for one, other in ((early, late), (second[5], late)):
        torch.testing.assert_close(one.frames, other.frames, rtol=0, atol=0)
        torch.testing.assert_close(one.support[0].frames, other.support[0].frames, rtol=0, atol=0)
        assert one.spec == other.spec
    others = episodes(clips, seed=4)
    assert any(first[i].spec.query != others[i].spec.query for i in range(20))


@pytest.mark.parametrize("frames", [3, 4, 8])
def test_within_one_clip_no_frame_is_query_and_support(frames):
    clip = own("a", frames)
    drawn = episodes([clip])
    for index in range(len(drawn)):
        query, support, asked, shown = drawn.draw(index)
        assert query is support is clip
        assert len(asked) == 2
        assert shown
        assert not set(asked) & set(shown)
        assert {*asked, *shown} <= set(clip.train), "held-back frames are not seen"


def test_across_clips_of_a_category_only():
    a, b, c = own("a"), own("bb"), own("ccc", category="other")
    drawn = [episodes([a, b, c], length=200).draw(index) for index in range(200)]
    pairs = {(query.name, support.name) for query, support, *_ in drawn}
    assert pairs == {("a", "a"), ("a", "bb"), ("bb", "a"), ("bb", "bb"), ("ccc", "ccc")}
    of_two = [query is support for query, support, *_ in drawn if query is not c]
    assert 0.15 < sum(of_two) / len(of_two) < 0.45, "about the share within=0.3"


@pytest.mark.parametrize(("within", "expected"), [(0.0, {False}), (1.0, {True})])
def test_within_is_a_probability(within, expected):
    drawn = episodes([own("a"), own("bb")], within=within)
    assert {query is support for query, support, *_ in map(drawn.draw, range(60))} == expected


def test_support_shows_the_object():
    clip = own("a", 10, hidden=(0, 2, 4))
    drawn = episodes([clip, own("bb", 4, hidden=(0,))])
    for index in range(60):
        _, support, _, shown = drawn.draw(index)
        assert set(shown) <= set(support.shown)
        assert len(shown) == len(set(shown))


def test_a_clip_of_one_frame_is_support_and_query_of_another():
    drawn = episodes([own("a", 8), own("bb", 1)])
    pairs = {(q.name, s.name) for q, s, *_ in map(drawn.draw, range(60))}
    assert pairs == {("a", "a"), ("a", "bb"), ("bb", "a")}


def test_episodes_make_a_batch():
    drawn = episodes([own("a"), own("bb", 4)])
    batch = collate([drawn[index] for index in range(6)])
    assert batch.query.frames.shape[:3] == (6, 2, 3)
    assert batch.support.owner.tolist() == list(range(6))
    assert batch.support.masks.flatten(1).any(1).all(), "augmentation does not crop the object away"
    assert batch.query.frames.isfinite().all()


@pytest.mark.parametrize("options", [{"within": 1.5}, {"length": 0}, {"query_frames": 0}])
def test_settings_that_cannot_be(options):
    with pytest.raises(UserError):
        episodes([own("a")], **options)


def test_all_clips_come_out_at_the_size_of_the_input():
    clip = square_clip(2, size=(48, 80))
    assert {StrongTransform(30)(clip, generator("test", i)).masks.shape[-2:] for i in range(20)} == {(30, 50)}


def test_zoom_makes_the_object_larger_in_half_of_the_clips():
    clip = square_clip(1)
    strong = StrongTransform(48, zoom=1.8)
    areas = [strong(clip, generator("test", i), keep=0).masks.sum().item() for i in range(60)]
    assert min(areas) > 0, "the object of the frame to keep is in sight"
    assert max(areas) <= 1.1 * 1.8**2 * 400
    assert 15 < sum(area == 400 for area in areas) < 45


@pytest.mark.parametrize("options", [{"zoom": 0.5}, {"noise": -1}, {"short_side": 0}])
def test_augmentation_that_cannot_be(options):
    with pytest.raises(UserError):
        StrongTransform(**{"short_side": 48, **options})


def test_noise_is_added_to_half_of_the_clips():
    clip = square_clip(2)

    def differs(index):
        plain, noisy = (
            StrongTransform(40, noise=noise)(clip, generator("test", index)).frames for noise in (0.0, 0.05)
        )
        return not torch.equal(plain, noisy)

    assert 10 < sum(map(differs, range(40))) < 30
