"""Means and spreads, calculated by hand."""

import pytest
from made_runs import made

from fsrvos.tables.build import control_table, score_table
from fsrvos.tables.cells import Cell, cell, column_titles, measure, row_cells

TITLES = ("1", "2", "3", "4", "mean")


def near(cells):
    return [
        one and (pytest.approx(one.mean), one.std if one.std is None else pytest.approx(one.std))
        for one in cells
    ]


def test_one_seed_has_no_spread():
    runs = [made(10.0 * group, group=group) for group in (1, 2, 3, 4)]
    assert near(row_cells(runs, measure("standard", "J"), TITLES)) == [
        (10, None), (20, None), (30, None), (40, None), (25, None)
    ]  # fmt: skip


def test_seeds_become_mean_and_spread():
    """Group 1: 10, 14; others 20, 20. Per seed (10 + 60) / 4 = 17.5 and (14 + 60) / 4 = 18.5: 18 with 1 / sqrt 2."""
    runs = [made(20.0, group=group, seed=seed) for group in (2, 3, 4) for seed in (0, 1)]
    runs += [made(10.0, group=1, seed=0), made(14.0, group=1, seed=1)]
    cells = row_cells(runs, measure("standard", "J"), TITLES)
    assert near(cells) == [(12, 8**0.5), (20, 0), (20, 0), (20, 0), (18, 0.5**0.5)]


def test_three_seeds_use_n_minus_1():
    assert near([cell([1.0, 2.0, 6.0])]) == [(3, 7**0.5)]  # (4 + 1 + 9) / 2
    assert cell([]) is None
    assert cell([2.5]) == Cell(2.5)


def test_a_missing_group_leaves_no_mean():
    runs = [made(10.0, group=1), made(30.0, group=2), made(None, group=3), made(40.0, group=4)]
    assert near(row_cells(runs, measure("standard", "J"), TITLES)) == [
        (10, None), (30, None), None, (40, None), None
    ]  # fmt: skip


def test_different_seeds_leave_no_spread_of_the_mean():
    """Cells 15, 20, 30, 35: mean 25."""
    runs = [made(10.0, group=1, seed=0), made(20.0, group=1, seed=1)]
    runs += [made(J, group=group, seed=7) for J, group in ((20.0, 2), (30.0, 3), (35.0, 4))]
    assert near(row_cells(runs, measure("standard", "J"), TITLES))[-1] == (25, None)
    notes = score_table(runs).notes
    assert notes == (
        "demo: the groups have different seeds, so their mean has no spread "
        "(group 1: 0, 1; group 2: 7; group 3: 7; group 4: 7)",
    )


def test_scores_protocols_and_conditions():
    run = made(50.0, 60.0)
    read = {
        ("standard", "J"): 50, ("standard", "F"): 60, ("standard", "JF"): 55, ("paper", "J"): 51,
        ("standard", "J", "wrong_support"): 40, ("standard", "F", "no_support"): 40, ("paper", "J", "wrong_text"): 21,
        ("standard", "J", "right on wrong_text"): 55, ("paper", "F", "right on wrong_text"): 66,
    }  # fmt: skip
    assert {key: measure(*key)(run) for key in read} == read
    assert measure("standard", "J")(made(None)) is None
    assert measure("standard", "J", "wrong_text")(made(5.0, controls=False)) is None


def test_columns_for_data_without_groups():
    with_groups, without = made(1.0), made(2.0, group=None)
    assert column_titles([with_groups]) == TITLES
    assert column_titles([without]) == ("all",)
    assert column_titles([with_groups, without]) == (*TITLES, "all")
    assert column_titles([with_groups, made(None, group=None)]) == TITLES
    assert near(row_cells([without], measure("standard", "J"), ("all",))) == [(2, None)]
    assert score_table([without]).notes == ()


def test_the_table_has_scores_side_by_side():
    runs = [
        made(10.0 * group, 1.0 * group, group=group, name=name)
        for name in ("a", "b")
        for group in (1, 2, 3, 4)
    ]
    of = score_table(runs, protocol="paper", scores=("F", "JF"))
    assert (of.scores, of.columns) == (("F", "JF"), TITLES)
    assert [label for label, _ in of.rows] == ["a", "b"]
    expected = [2, 3, 4, 5, 3.5, 6.5, 12, 17.5, 23, 14.75]
    assert [one.mean for one in of.rows[0][1]] == pytest.approx(expected)
    assert of.notes == ()
    assert "standard deviation" not in of.caption


def test_controls():
    runs = [made(40.0, 50.0, group=group) for group in (1, 2, 3, 4)]
    of = control_table(runs, scores=("J",))
    assert [(label, cells[-1].mean) for label, cells in of.rows] == [
        ("demo: right", 40), ("demo: wrong support", 30), ("demo: no support", 20), ("demo: wrong text", 10),
        ("demo: right, where wrong text", 45),
    ]  # fmt: skip
    assert [label for label, _ in control_table([made(40.0, controls=False)]).rows] == ["demo: right"]
