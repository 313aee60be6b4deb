from __future__ import annotations

import pytest

from fsrvos.data.categories import (
    SAIL_VOS_CATEGORIES,
    YOUTUBE_VOS_CATEGORIES,
    YOUTUBE_VOS_UNUSED_CATEGORIES,
    held_out,
    training,
)
from fsrvos.errors import UserError


def test_forty_eight_names_in_the_published_order():
    assert len(set(YOUTUBE_VOS_CATEGORIES)) == 48
    ids = {name: position + 1 for position, name in enumerate(YOUTUBE_VOS_CATEGORIES)}
    published = {
        "hat": 1,
        "raccoon": 5,
        "earless_seal": 15,
        "dog": 28,
        "zebra": 30,
        "sedan": 37,
        "person": 48,
    }
    assert {name: ids[name] for name in published} == published
    assert SAIL_VOS_CATEGORIES == ("dog", "car", "person")


def test_with_the_unused_ones_they_are_the_65_of_youtube_vos():
    assert len(YOUTUBE_VOS_UNUSED_CATEGORIES) == 17
    assert not YOUTUBE_VOS_UNUSED_CATEGORIES & set(YOUTUBE_VOS_CATEGORIES)


@pytest.mark.parametrize("group", [1, 2, 3, 4])
def test_a_group_holds_out_every_fourth_id(group):
    expected = [name for n, name in enumerate(YOUTUBE_VOS_CATEGORIES, start=1) if (n - 1) % 4 == group - 1]
    assert list(held_out(group)) == expected
    assert list(training(group)) == [name for name in YOUTUBE_VOS_CATEGORIES if name not in expected]
    assert (len(held_out(group)), len(training(group))) == (12, 36)


def test_the_four_groups_hold_every_category_out_once():
    together = [name for group in (1, 2, 3, 4) for name in held_out(group)]
    assert sorted(together) == sorted(YOUTUBE_VOS_CATEGORIES)


def test_groups_of_another_list():
    assert held_out(2, ["a", "b", "c", "d", "e", "f"]) == ("b", "f")
    assert training(2, ["a", "b", "c", "d", "e", "f"]) == ("a", "c", "d", "e")


@pytest.mark.parametrize("group", [0, 5, 7, -1])
@pytest.mark.parametrize("split", [held_out, training])
def test_other_groups_are_refused(split, group):
    with pytest.raises(UserError, match=f"^group must be 1-4, got {group}$"):
        split(group)
