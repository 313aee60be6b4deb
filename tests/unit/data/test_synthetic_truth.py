"""Every phrase is read as a person would and checked against pixels and masks, not against the generator."""

from __future__ import annotations

import colorsys
import re
from collections import Counter

import numpy as np
import pytest
from synthetic_sample import Video, read, videos

from fsrvos.data.synthetic.casting import cast
from fsrvos.data.synthetic.expressions import BARE

HUES = {
    "red": 0,
    "orange": 30,
    "yellow": 51,
    "green": 127,
    "cyan": 186,
    "blue": 226,
    "purple": 273,
    "pink": 329,
}
SIZES = {"larger": 1, "bigger": 1, "big": 1, "large": 1, "smaller": -1, "small": -1, "little": -1}
PLACES = {"on the left": (0, -1), "on the right": (0, 1), "at the top": (1, -1), "at the bottom": (1, 1)}
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


def claim(phrase: str, noun: str) -> tuple[str, str]:
    """What a phrase says besides the noun: (kind, word)."""
    assert len(re.findall(rf"\b{noun}\b", phrase)) == 1
    rest = re.sub(rf"\b{noun}\b", "", phrase)
    rest = re.sub(r"^(the|an|a)\b|\bthat (is|moves)\b|\bmoving\b|\bin the video\b|\bonly\b", "", rest)
    rest = " ".join(rest.split())
    rest = {"that stays still": "still", "that does not move": "still"}.get(rest, rest)
    kinds = {"": "category", "still": "motion"}
    kinds |= dict.fromkeys(HUES, "color") | dict.fromkeys(SIZES, "size")
    kinds |= dict.fromkeys(PLACES, "position") | dict.fromkeys(DIRECTIONS, "motion")
    return kinds[rest], rest


def hue_name(video: Video, object_id: str) -> str:
    """The colour name nearest to the object's most frequent saturated pixels."""
    pixels = video.frames[video.masks == int(object_id)] / 255
    hsv = np.array([colorsys.rgb_to_hsv(*pixel) for pixel in pixels[:: max(1, len(pixels) // 400)]])
    vivid = hsv[(hsv[:, 1] > 0.45) & (hsv[:, 2] > 0.55)]
    assert len(vivid) > 0.08 * len(hsv)
    votes = Counter()
    for hue in vivid[:, 0] * 360:
        votes[min(HUES, key=lambda name: min(abs(hue - HUES[name]), 360 - abs(hue - HUES[name])))] += 1
    return votes.most_common(1)[0][0]


def displacement(video: Video, object_id: str) -> np.ndarray:
    """(2,) how far the object gets from its first to its last whole frame, per frame, in frame sides."""
    seen = np.flatnonzero(video.whole(object_id))
    centres = video.centroids(object_id)
    height, width = video.masks.shape[1:]
    return (centres[seen[-1]] - centres[seen[0]]) / max(1, seen[-1] - seen[0]) / (width, height)


def is_true(video: Video, object_id: str, others: list[str], kind: str, word: str) -> bool:
    """Whether it can be seen that the object is so, compared with ``others`` where the word compares."""
    length = len(video.masks)
    height, width = video.masks.shape[1:]
    if kind == "color":
        return hue_name(video, object_id) == word
    if kind == "motion":
        went = displacement(video, object_id) * (length - 1)
        if word == "still":
            return bool((np.abs(went) < 0.1).all())
        along = float(went @ DIRECTIONS[word])
        return along > 0.2 and along > 2 * abs(float(went @ DIRECTIONS[word][::-1]))
    if kind == "size":
        own = video.areas(object_id).max()
        ratios = [(own / video.areas(other).max()) ** SIZES[word] for other in others]
        return min(ratios) >= 1.3
    assert kind == "position"
    axis, sign = PLACES[word]
    places = sign * (video.centroids(object_id)[:, axis] / (width, height)[axis] - 0.5)
    visible = ~np.isnan(places)
    if not (places[visible & video.whole(object_id)] > 0.03).all() or not (places[visible] > -0.05).all():
        return False
    for other in others:
        rivals = sign * (video.centroids(other)[:, axis] / (width, height)[axis] - 0.5)
        both = visible & ~np.isnan(rivals)
        clear = both & video.whole(object_id) & video.whole(other)
        if not (places[both] > rivals[both] + 0.05).all() or not (places[clear] > rivals[clear] + 0.15).all():
            return False
    return True


def cases() -> list[tuple[Video, str, dict, str, str, list[str]]]:
    """(video, object, expression, kind, word, other objects of its category) of every expression."""
    found = []
    for video in videos():
        for entry in video.expressions.values():
            own = video.objects[entry["obj_id"]]["category"]
            kind, word = claim(entry["exp"], own)
            rivals = [k for k, v in video.objects.items() if v["category"] == own and k != entry["obj_id"]]
            found.append((video, entry["obj_id"], entry, kind, word, rivals))
    return found


@pytest.mark.parametrize("kind", ["category", "color", "motion", "size", "position"])
def test_every_phrase_is_true_of_its_object_and_of_no_other(kind):
    checked = wrong = 0
    for video, object_id, entry, said, word, rivals in cases():
        assert said == entry["kind"]
        if said != kind:
            continue
        checked += 1
        if kind == "category":
            assert rivals == []
            continue
        compared = rivals if rivals or kind != "size" else [k for k in video.objects if k != object_id]
        assert is_true(video, object_id, compared, kind, word), (video.name, entry)
        for rival in rivals:
            assert not is_true(video, rival, [object_id], kind, word), (video.name, entry)
            wrong += 1
    assert checked > 40
    assert kind == "category" or wrong > 20


def test_every_object_is_spoken_of_and_pairs_point_at_each_other():
    for video in videos():
        spoken = {entry["obj_id"] for entry in video.expressions.values()}
        assert spoken == set(video.objects)
        for entry in video.expressions.values():
            category = video.objects[entry["obj_id"]]["category"]
            rivals = [
                k for k, v in video.objects.items() if v["category"] == category and k != entry["obj_id"]
            ]
            if not rivals:
                assert "distractor_expression" not in entry
                continue
            other = video.expressions[entry["distractor_expression"]]
            assert other["obj_id"] == rivals[0]
            assert other["exp"] != entry["exp"]


def test_pairs_can_be_told_apart_in_two_ways():
    for video in videos():
        kinds: dict[str, set[str]] = {}
        for entry in video.expressions.values():
            if "distractor_expression" in entry:
                kinds.setdefault(entry["obj_id"], set()).add(entry["kind"])
        assert all(len(found) >= 2 for found in kinds.values())


def episode_shares(lone: Counter, paired: Counter) -> tuple[float, float]:
    """(bare, pair) shares of episodes: uniform category, then video, then object, then expression."""
    bare_of_lone = len(BARE) / (len(BARE) + 1)
    alone = [lone[c] / (lone[c] + paired[c]) for c in lone]
    return float(np.mean(alone)) * bare_of_lone, 1 - float(np.mean(alone))


@pytest.mark.parametrize("videos_per_category", [2, 4, 6, 8, 20])
@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_bare_nouns_are_most_episodes_whatever_the_seed(seed, videos_per_category):
    lone, paired = Counter(), Counter()
    for number in range(1, 49):
        for take in range(videos_per_category):
            line_up = cast(seed, number, take)
            for category, count in zip(line_up.categories, line_up.counts, strict=True):
                (lone if count == 1 else paired)[category.noun] += 1
    assert len(set(lone.values())) == len(set(paired.values())) == 1
    bare, pair = episode_shares(lone, paired)
    assert 0.55 <= bare <= 0.70
    assert pair >= 0.25


def test_bare_share_of_the_files_is_that_of_the_design():
    drawn, pairs = [], []
    nouns = read("categories.json")["categories"]
    for noun in nouns:
        of_videos = []
        for video in videos():
            of_objects = []
            for object_id in (k for k, v in video.objects.items() if v["category"] == noun):
                entries = [e for e in video.expressions.values() if e["obj_id"] == object_id]
                of_objects.append(np.mean([e["kind"] == "category" for e in entries]))
            if of_objects:
                of_videos.append(np.mean(of_objects))
                pairs.append(len(of_objects) == 2)
        drawn.append(np.mean(of_videos))
    assert np.mean(drawn) == pytest.approx(5 / 6 * 2 / 3)
    assert np.mean(pairs) == pytest.approx(1 / 3)


def test_a_video_shows_categories_that_one_group_holds_out():
    numbers = {noun: n for n, noun in enumerate(read("categories.json")["categories"], start=1)}
    for video in videos():
        groups = {(numbers[thing["category"]] - 1) % 4 for thing in video.objects.values()}
        assert len(groups) == 1


def test_another_category_wears_the_targets_color():
    for video in videos():
        number, take = int(video.name[:2]), int(video.name[3:])
        primary = cast(3, number, take).categories[0].noun
        colors = {k: hue_name(video, k) for k in video.objects}
        own = {colors[k] for k, v in video.objects.items() if v["category"] == primary}
        assert own & {colors[k] for k, v in video.objects.items() if v["category"] != primary}
