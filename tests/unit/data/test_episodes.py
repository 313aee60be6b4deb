from __future__ import annotations

import itertools
import json
import random
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo import Film, one, read_quietly, write

from fsrvos.data import episodes
from fsrvos.data.categories import held_out, training
from fsrvos.data.clip_draws import evaluation_windows, query_window, support_window
from fsrvos.data.draws import generator
from fsrvos.data.episodes import TrainEpisodes
from fsrvos.data.spread import spread
from fsrvos.data.support_episodes import SupportEpisodes
from fsrvos.errors import UserError

TRAINING = training(1)
HELD_OUT = held_out(1)


def all_specs(source, epoch: int = 0):
    if isinstance(source, TrainEpisodes):
        return [source.spec(epoch, index) for index in range(len(source))]
    return [source.spec(index) for index in range(len(source))]


@pytest.fixture(scope="module")
def train(annotations):
    return TrainEpisodes(annotations, TRAINING, seed=3, episodes_per_category=40)


@pytest.fixture(scope="module")
def test(annotations):
    return episodes.TestEpisodes(annotations, HELD_OUT, seed=0)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Videos with one and with two objects of a category."""
    films = {}
    for category in ("plant", "hand", "horse"):
        for number in range(2):
            films[f"one_{category}_{number}"] = Film(6, {"1": one(category, f"the {category}")})
    films["two_plants"] = Film(6, {"1": one("plant", "the red plant"), "2": one("plant", "the blue plant")})
    films["two_hands"] = Film(
        6, {"1": one("hand", "the left hand"), "2": one("hand", "the right hand", visible=[5])}
    )
    return read_quietly(write(tmp_path_factory.mktemp("pairs"), films))


# ---------------------------------------------------------------- draws


def test_draws_are_keyed_and_leave_the_global_generator_alone():
    random.seed(0)
    before = random.getstate(), torch.get_rng_state()
    assert generator("a", 1, 2).random() == generator("a", 1, 2).random()
    firsts = [
        generator(*key).random()
        for key in [
            ("a", 1, 2),
            ("b", 1, 2),
            ("a", 2, 1),
            ("a", 12),
            ("a", 1, 2, 0),
            ("a", -1, 2),
            ("a", "1", 2),
        ]
    ]
    assert len(set(firsts)) == len(firsts)
    assert generator("a", np.int64(1), 2).random() == firsts[0]
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


# ---------------------------------------------------------------- windows


@given(
    num_frames=st.integers(1, 9),
    length=st.integers(1, 6),
    seed=st.integers(0, 10),
    bits=st.integers(1, 2**9 - 1),
)
@settings(max_examples=300, deadline=None)
def test_windows_against_brute_force(num_frames, length, seed, bits):
    frames = [f"{position:03d}" for position in range(num_frames)]
    visible = [frame for position, frame in enumerate(frames) if bits >> position & 1] or frames[-1:]
    padded = [frames[0]] * length + frames + [frames[-1]] * length
    runs = {tuple(padded[start : start + length]) for start in range(len(padded) - length + 1)}
    inside = {tuple(frames[start : start + length]) for start in range(num_frames - length + 1)}

    query = query_window(frames, visible, length, np.random.default_rng(seed))
    assert len(query) == length
    assert set(query) & set(visible)
    assert query in (inside or {tuple((frames + [frames[-1]] * length)[:length])})

    support = support_window(frames, visible, length, np.random.default_rng(seed))
    assert support in runs
    assert support[length // 2] in visible
    shown_inside = [window for window in inside if window[length // 2] in visible]
    if shown_inside:
        most = max(sum(frame in visible for frame in window) for window in shown_inside)
        assert support in inside
        assert sum(frame in visible for frame in support) == most


def test_every_good_window_is_drawn():
    frames = [f"{position:03d}" for position in range(8)]
    drawn = {query_window(frames, frames[:2], 3, np.random.default_rng(seed)) for seed in range(60)}
    assert drawn == {tuple(frames[start : start + 3]) for start in (0, 1)}
    drawn = {support_window(frames, frames[1:6], 3, np.random.default_rng(seed)) for seed in range(60)}
    assert drawn == {tuple(frames[start : start + 3]) for start in (1, 2, 3)}


@pytest.mark.parametrize("num_frames", [1, 9, 10, 11, 36])
def test_evaluation_windows_cover_a_video_once(num_frames):
    windows = evaluation_windows(num_frames, 10)
    assert [frame for window in windows for frame in range(num_frames)[window]] == list(range(num_frames))
    assert all(window.stop - window.start == 10 for window in windows[:-1])


# ---------------------------------------------------------------- training episodes


def test_categories_come_equally_often_in_an_order_of_each_epoch(train):
    orders = [[spec.category for spec in all_specs(train, epoch)] for epoch in (0, 1)]
    for order in orders:
        assert Counter(order) == {"plant": 40, "hand": 40, "horse": 40}
        runs = [len(list(run)) for _, run in itertools.groupby(order)]
        assert max(runs) < 12  # not category after category
    assert orders[0] != orders[1]


def test_episodes_are_a_pure_function_of_seed_epoch_and_index(annotations, train):
    again = TrainEpisodes(annotations, TRAINING, seed=3, episodes_per_category=40)
    places = [(epoch, index) for epoch in (7, 0, 2) for index in (119, 3, 40)]
    for epoch, index in places:
        random.random()
        torch.rand(1)
        assert again.spec(epoch, index) == train.spec(epoch, index)
    other_seed = TrainEpisodes(annotations, TRAINING, seed=4, episodes_per_category=40)
    assert all_specs(train) != all_specs(other_seed)
    assert [spec.seed for spec in all_specs(train)] != [spec.seed for spec in all_specs(train, 1)]
    assert len({spec.seed for spec in all_specs(train) + all_specs(train, 1)}) == 240
    assert [spec.index for spec in all_specs(train)] == list(range(120))


def test_every_training_episode_is_right(annotations, train):
    for spec in all_specs(train) + all_specs(train, 1):
        assert spec.category in TRAINING
        assert spec.category not in HELD_OUT
        assert len(spec.support) == 1
        assert spec.support[0].video != spec.query.video
        for clip in (spec.query, *spec.support):
            video = annotations.videos[clip.video]
            assert video.objects[clip.object_id].category == spec.category
            expression = video.expressions[clip.expression_id]
            assert (expression.object_id, expression.text) == (clip.object_id, clip.expression)
            places = [video.frames.index(frame) for frame in clip.frames]
            assert len(places) == 5
            assert all(after - before in (0, 1) for before, after in itertools.pairwise(places))
            if len(video.frames) >= 5 and clip is spec.query:
                assert places == list(range(places[0], places[0] + 5))
            assert set(clip.frames) & set(video.objects[clip.object_id].frames)
        middle = spec.support[0].frames[2]
        shown = annotations.videos[spec.support[0].video].objects[spec.support[0].object_id].frames
        assert middle in shown


def test_everything_that_can_be_drawn_is(annotations, train):
    specs = [spec for epoch in range(4) for spec in all_specs(train, epoch)]
    for role in (lambda spec: spec.query, lambda spec: spec.support[0]):
        drawn = {
            (spec.category, role(spec).video, role(spec).object_id, role(spec).expression_id)
            for spec in specs
        }
        expected = {
            (category, video, object_id, eid)
            for category in train.categories
            for video in annotations.category_videos[category]
            for object_id in annotations.objects(video, category)
            for eid in annotations.videos[video].expression_ids(object_id)
        }
        assert drawn == expected
    assert len({spec.query.frames for spec in specs if spec.query.video == "horse_1"}) == 8


def test_objects_of_other_categories_of_a_video_are_not_drawn(train):
    mixed = [
        clip for spec in all_specs(train) for clip in (spec.query, *spec.support) if clip.video == "mixed"
    ]
    assert {clip.object_id for clip in mixed} == {"3"}


@pytest.mark.parametrize(("clips", "given_clips"), [(1, 1), (2, 2), (3, 2), (9, 2)])
def test_several_support_clips_come_from_different_videos(annotations, clips, given_clips):
    source = TrainEpisodes(annotations, ["hand"], seed=0, episodes_per_category=30, support_clips=clips)
    for spec in all_specs(source):
        videos = [spec.query.video, *(clip.video for clip in spec.support)]
        assert len(spec.support) == given_clips
        assert len(set(videos)) == len(videos)


def share_of_pairs(source):
    specs = [spec for spec in all_specs(source) if spec.category != "horse"]
    return sum(spec.query.video.startswith("two_") for spec in specs) / len(specs)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_queries_has_two_objects_of_the_category(pairs, share):
    source = TrainEpisodes(pairs, TRAINING, seed=0, episodes_per_category=150, pair_share=share)
    by_chance = (1 - share) / 3  # one of three videos
    assert share_of_pairs(source) == pytest.approx(share + by_chance, abs=0.07)
    assert {spec.category for spec in all_specs(source)} == {"plant", "hand", "horse"}
    assert all(spec.support[0].video != spec.query.video for spec in all_specs(source))
    assert all_specs(source, 1) == all_specs(
        TrainEpisodes(pairs, TRAINING, seed=0, episodes_per_category=150, pair_share=share), 1
    )


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_of_pairs_is_a_probability(annotations, share):
    with pytest.raises(UserError, match=r"pair_share must be in \[0, 1\]"):
        TrainEpisodes(annotations, TRAINING, seed=0, pair_share=share)


def test_window_lengths_are_arguments(annotations):
    spec = TrainEpisodes(annotations, TRAINING, 0, query_frames=2, support_frames=3).spec(0, 0)
    assert (len(spec.query.frames), len(spec.support[0].frames)) == (2, 3)


def test_categories_that_cannot_train(annotations):
    assert TrainEpisodes(annotations, ["frog", "hand", "zebra"], 0).categories == ("hand",)
    with pytest.raises(UserError, match="group is empty"):
        TrainEpisodes(annotations, ["frog", "zebra"], 0)
    with pytest.raises(IndexError, match="episode 100 of 100"):
        TrainEpisodes(annotations, ["hand"], 0).spec(0, 100)


@pytest.mark.parametrize("name", ["episodes_per_category", "query_frames", "support_frames", "support_clips"])
def test_counts_of_training_episodes(annotations, name):
    with pytest.raises(UserError, match=f"^{name} must be at least 1, got 0$"):
        TrainEpisodes(annotations, TRAINING, 0, **{name: 0})


# ---------------------------------------------------------------- test episodes


def test_all_other_videos_are_queries(annotations, test):
    assert test.categories == ("hat", "raccoon", "crocodile")
    for category in test.categories:
        specs = [spec for spec in all_specs(test) if spec.category == category]
        supports = {spec.support for spec in specs}
        assert len(supports) == 1
        support = next(iter(supports))
        assert len(support) == 1
        assert support == test.support[category]
        expected = [
            (video, object_id, eid)
            for video in annotations.category_videos[category]
            if video != support[0].video
            for object_id in annotations.objects(video, category)
            for eid in annotations.videos[video].expression_ids(object_id)
        ]
        assert [(c.query.video, c.query.object_id, c.query.expression_id) for c in specs] == expected
    for position, spec in enumerate(all_specs(test)):
        assert spec.index == position
        assert spec.seed == 0
        assert spec.query.frames == annotations.videos[spec.query.video].frames
        assert len(spec.support[0].frames) == 5
        shown = annotations.videos[spec.support[0].video].objects[spec.support[0].object_id].frames
        assert spec.support[0].frames[2] in shown


def test_the_support_is_drawn_by_the_seed_and_the_category_alone(annotations, zoo_root, tmp_path):
    def supports(source, categories=HELD_OUT):
        return [
            {
                name: clips[0]
                for name, clips in episodes.TestEpisodes(source, categories, seed).support.items()
            }
            for seed in range(12)
        ]

    reference = supports(annotations)
    assert reference == supports(annotations)
    alone = supports(annotations, ["raccoon"])
    assert [one_seed["raccoon"] for one_seed in alone] == [one_seed["raccoon"] for one_seed in reference]
    videos = {one_seed["hat"].video for one_seed in reference}
    assert videos == set(annotations.category_videos["hat"])
    assert reference[0] != reference[1] or reference[0] != reference[2]

    shutil.copytree(zoo_root, tmp_path / "reversed")
    path = tmp_path / "reversed/meta_expressions/train/meta_expressions.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({"videos": dict(reversed(content["videos"].items()))}))
    assert supports(read_quietly(tmp_path / "reversed")) == reference


@pytest.mark.parametrize("clips", [1, 2, 3, 4, 9])
def test_several_support_videos_leave_a_query(annotations, clips):
    source = episodes.TestEpisodes(annotations, ["hat"], 1, support_clips=clips)
    videos = [clip.video for clip in source.support["hat"]]
    assert len(set(videos)) == len(videos) == min(clips, 3)
    assert not set(videos) & {spec.query.video for spec in all_specs(source)}
    first = episodes.TestEpisodes(annotations, ["hat"], 1).support["hat"][0]
    assert source.support["hat"][0] == first


@pytest.mark.parametrize("maximum", [1, 2, 3, 4, 5, 100])
def test_a_maximum_spreads_over_the_videos(annotations, maximum):
    full = episodes.TestEpisodes(annotations, HELD_OUT, 0)
    some = episodes.TestEpisodes(annotations, HELD_OUT, 0, max_per_category=maximum)
    for category in some.categories:
        everything = [spec.query for spec in all_specs(full) if spec.category == category]
        kept = [spec.query for spec in all_specs(some) if spec.category == category]
        assert len(kept) == min(maximum, len(everything))
        assert kept == [query for query in everything if query in kept]
        videos = {query.video for query in everything}
        assert len({query.video for query in kept}) == min(len(videos), maximum)
    assert some.support == full.support
    assert all_specs(some) == all_specs(
        episodes.TestEpisodes(annotations, HELD_OUT, 0, max_per_category=maximum)
    )


@given(sizes=st.lists(st.integers(0, 7), max_size=6), maximum=st.none() | st.integers(0, 30))
@settings(max_examples=300, deadline=None)
def test_spreading_is_even(sizes, maximum):
    groups = [[(group, item) for item in range(size)] for group, size in enumerate(sizes)]
    taken = spread(groups, maximum)
    assert len(taken) == (sum(sizes) if maximum is None else min(maximum, sum(sizes)))
    assert taken == sorted(set(taken))
    shares = Counter(group for group, _ in taken)
    for one_group, size in enumerate(sizes):
        if shares[one_group] < size:  # a group that could give more has at most one less than any other
            assert all(shares[one_group] >= shares[other] - 1 for other in range(len(sizes)))


def test_spread_groups_give_different_places():
    groups = [[f"{group}{kind}" for kind in "abcd"] for group in range(4)]
    assert spread(groups, 4) == ["0a", "1b", "2c", "3d"]
    assert spread(groups, 8) == ["0a", "0c", "1b", "1d", "2a", "2c", "3b", "3d"]
    assert spread([["x"]] * 5, 2) == ["x", "x"]
    long_groups = [[f"{group}{kind}" for kind in "abcdef"] for group in range(3)]
    assert spread(long_groups, 3) == ["0a", "1c", "2e"]  # over the whole of the groups, not their starts


def test_a_subset_spreads_over_the_categories(test):
    assert [spec.category for spec in test.subset(3)] == ["hat", "raccoon", "crocodile"]
    assert test.subset(1000) == all_specs(test)
    assert test.subset(5) == test.subset(5)
    assert all(spec == test.spec(spec.index) for spec in test.subset(5))


def test_one_window_shows_the_object(tmp_path):
    films = {name: Film(9, {"1": one("hat", "a hat", visible=[5, 6])}) for name in "ab"}
    annotations = read_quietly(write(tmp_path, films))
    source = episodes.TestEpisodes(annotations, ["hat"], 0, window=4)
    cut = source.one_window(source.spec(0))
    assert cut.query.frames == source.spec(0).query.frames[4:8]
    assert cut.support == source.spec(0).support


# ---------------------------------------------------------------- controls


def test_no_support_and_wrong_support(annotations, test):
    chosen = set()
    for spec in all_specs(test):
        bare = test.no_support(spec)
        assert bare.support == ()
        assert (bare.query, bare.category, bare.index) == (spec.query, spec.category, spec.index)
        wrong = test.wrong_support(spec)
        assert wrong == test.wrong_support(spec)
        others = [name for name in test.categories if test.support[name] == wrong.support]
        assert others
        assert spec.category not in others
        assert wrong.support[0].video != spec.query.video
        assert (wrong.query, wrong.category) == (spec.query, spec.category)
        chosen |= {(spec.category, other) for other in others}
    assert len(chosen) > len(test.categories)  # not one fixed other category each


def test_wrong_support_never_comes_from_the_query_video(tmp_path):
    both = {"1": one("hat", "a hat"), "2": one("raccoon", "a raccoon")}
    films = {name: Film(4, both) for name in "abc"}
    annotations = read_quietly(write(tmp_path, films))
    refused = 0
    for seed in range(8):
        source = episodes.TestEpisodes(annotations, ["hat", "raccoon"], seed)
        for spec in all_specs(source):
            wrong = source.wrong_support(spec)
            other = source.support["raccoon" if spec.category == "hat" else "hat"]
            if other[0].video == spec.query.video:
                assert wrong is None
                refused += 1
            else:
                assert wrong.support == other
    assert refused


def test_a_single_category_has_no_wrong_support(annotations):
    source = episodes.TestEpisodes(annotations, ["hat"], 0)
    assert source.wrong_support(source.spec(0)) is None


def test_wrong_text_names_the_other_object(annotations):
    source = episodes.TestEpisodes(annotations, ["hat"], 0)
    seen = 0
    for seed in range(4):
        source = episodes.TestEpisodes(annotations, ["hat"], seed)
        for spec in all_specs(source):
            wrong = source.wrong_text(spec)
            if spec.query.video != "twins":
                assert wrong is None
                continue
            seen += 1
            assert wrong.query.object_id == spec.query.object_id
            assert wrong.query.frames == spec.query.frames
            assert wrong.support == spec.support
            assert {spec.query.expression, wrong.query.expression} == {"the red hat", "the blue hat"}
            assert {spec.query.expression_id, wrong.query.expression_id} == {"0", "1"}
    assert seen


@pytest.mark.parametrize("name", ["window", "support_frames", "support_clips", "max_per_category"])
def test_counts_of_test_episodes(annotations, name):
    with pytest.raises(UserError, match=f"^{name} must be at least 1, got 0$"):
        episodes.TestEpisodes(annotations, HELD_OUT, 0, **{name: 0})


# ---------------------------------------------------------------- fine-tuning


@pytest.mark.parametrize("clips", [1, 2])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fine_tuning_sees_no_query_of_the_test(annotations, seed, clips):
    tested = episodes.TestEpisodes(annotations, HELD_OUT, seed, support_clips=clips)
    tuning = SupportEpisodes(annotations, HELD_OUT, seed, episodes_per_category=20, support_clips=clips)
    assert len(tuning) == 60
    for spec in all_specs(tuning):
        known = {clip.video for clip in tested.support[spec.category]}
        assert {spec.query.video, *(clip.video for clip in spec.support)} <= known
        queries = {query.query.video for query in all_specs(tested) if query.category == spec.category}
        assert not known & queries
        assert len(spec.query.frames) == 5
    assert all_specs(tuning) == all_specs(
        SupportEpisodes(annotations, HELD_OUT, seed, episodes_per_category=20, support_clips=clips)
    )


# ---------------------------------------------------------------- real clips


def test_the_real_clips_in_group_1(real_root):
    annotations = read_quietly(real_root)
    train = TrainEpisodes(annotations, training(1), 0)
    assert train.categories == ("dog", "person")
    assert len(train) == 200
    videos = {clip.video for spec in all_specs(train) for clip in (spec.query, *spec.support)}
    assert videos == {"dog", "libby", "breakdance", "parkour"}
    test = episodes.TestEpisodes(annotations, held_out(1), 0)
    assert test.categories == ("sedan",)
    assert len(test) == 2
    assert {test.spec(0).query.video, test.spec(0).support[0].video} == {"car-shadow", "drift-chicane"}
    with pytest.raises(UserError, match="group is empty"):
        episodes.TestEpisodes(annotations, held_out(2), 0)
