"""Which runs share a row, which one counts, and what is said about it."""

from made_runs import made

from fsrvos.tables.build import score_table
from fsrvos.tables.notes import not_comparable
from fsrvos.tables.rows import label_runs, newest, varying_settings
from fsrvos.tables.runs import plain_name


def test_only_what_varies_is_named():
    runs = [
        made(1.0, group=1, experiment="smoke", optim__lr="0.1", data__root="a"),
        made(1.0, group=2, experiment="smoke", optim__lr="0.2", data__root="b", evaluation__sheet_rows="1"),
        made(1.0, group=2, experiment="smoke", config={"optim": {"lr": 0.3}}, logger="csv"),
    ]
    assert varying_settings(runs) == ["optim.lr"]
    assert label_runs(runs) == ["demo, optim.lr=0.1", "demo, optim.lr=0.2", "demo, optim.lr=0.3"]


def test_a_choice_that_another_run_left_at_its_default():
    runs = [made(1.0, backbone="timm"), made(1.0, choices={"backbone": "small"}), made(1.0)]
    assert label_runs(runs) == ["demo, backbone=timm", "demo, backbone=small", "demo, backbone=no backbone"]


def test_group_and_seed_in_a_name_are_no_setting():
    assert plain_name("synth_g2", 2, 0) == "synth"
    assert plain_name("cma_plus_g1_s0", 1, 0) == "cma_plus"
    assert plain_name("synth_g2", 1, 0) == "synth_g2"
    runs = [made(1.0, group=group, name="synth", experiment=f"synth_g{group}") for group in (1, 2)]
    assert label_runs(runs) == ["synth", "synth"]
    other = made(1.0, name="demo", experiment="demo")
    assert label_runs([*runs, other]) == ["synth", "synth", "demo"]


def test_rows_by_key():
    run = made(1.0, optim__lr="0.1", config={"model": {"variant": "cma"}}, choices={"backbone": "small"})
    assert label_runs([run], ["name"]) == ["demo"]
    assert label_runs([run], ["variant", "optim.lr", "backbone"]) == ["cma, 0.1, small"]
    assert label_runs([run], ["nonsense"]) == ["no nonsense"]


def test_the_newest_counts():
    old = made(10.0, started="2026-01-01_00-00-00")
    new = made(20.0, started="2026-01-02_00-00-00")
    kept, notes = newest([new, old], ["a", "a"])
    assert kept == [("a", new)]
    assert notes == [f"a, group 1, seed 0: 2 runs, the newest counts: {new.folder}, not {old.folder}"]
    assert newest([new, old], ["a", "b"]) == ([("a", new), ("b", old)], [])


def test_a_newer_run_without_results_does_not_count():
    old = made(10.0, started="2026-01-01_00-00-00")
    failed = made(None, started="2026-01-02_00-00-00", failure="out of memory")
    kept, notes = newest([failed, old], ["a", "a"])
    assert kept == [("a", old)]
    assert "the newest with results counts" in notes[0]


def test_what_is_missing_and_why():
    runs = [
        made(1.0, group=1),
        made(None, group=2, failure="no such data"),
        made(None, group=3),
        made(None, group=7, failure="group must be 1-4, got 7"),
    ]
    of = score_table(runs)
    assert of.notes == (
        "missing: demo, group 2, seed 0: no such data (outputs/demo/2026-01-01_00-00-00_2_0)",
        "missing: demo, group 3, seed 0: no results.json: still running, stopped, or evaluate=false "
        "(outputs/demo/2026-01-01_00-00-00_3_0)",
        "missing: demo, group 7, seed 0: group must be 1-4, got 7 (outputs/demo/2026-01-01_00-00-00_7_0)",
        "missing: demo: no run of group 4",
    )
    ((_, cells),) = of.rows
    assert [cell is None for cell in cells[:5]] == [False, True, True, True, True]


def test_a_row_that_mixes_settings_says_so():
    runs = [made(1.0, group=1, optim__lr="0.1"), made(2.0, group=2, optim__lr="0.2")]
    notes = score_table(runs, rows=["name"]).notes
    assert "demo mixes settings: optim.lr is 0.1, 0.2" in notes
    assert not any("mixes" in note for note in score_table(runs).notes)


def test_cells_of_different_tests_are_not_comparable():
    def run(name, **data):
        return name, made(1.0, name=name, config={"data": {"root": "x/A", "test_seeds": [0], **data}})

    assert not_comparable([run("a"), run("b", root="/elsewhere/A", batch_size=3)]) == []
    notes = not_comparable(
        [run("a", max_test_per_category=1), run("b", test_seeds=[0, 1], root="x/B"), run("c")]
    )
    assert notes == [
        "not comparable: data.root is A in a | c; B in b",
        "not comparable: data.max_test_per_category is 1 in a; not set in b | c",
        "not comparable: data.test_seeds is [0] in a | c; [0, 1] in b",
    ]
    failed = made(None, name="d", config={"data": {"root": "x/C"}})
    assert not_comparable([run("a"), ("d", failed)]) == []
