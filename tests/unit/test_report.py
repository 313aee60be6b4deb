import pytest

from fsrvos.report import headline, markdown, replace_file, save_markdown, table


def score(J, F, spread=None):
    stds = dict.fromkeys(("J_std", "F_std", "JF_std"), spread)
    return {"J": J, "F": F, "JF": (J + F) / 2, **stds}


def both(J, F, spread=None, episodes=10):
    return {
        "standard": score(J, F, spread),
        "paper": score(J + 1, F + 1, spread),
        "episodes": episodes,
        "frames": 100,
    }


def flat(J, F, spread=None, episodes=5):
    return {**score(J, F, spread), "episodes": episodes, "frames": 50, "paper": score(J + 1, F + 1, spread)}


def results(spread=0.52):
    return {
        "experiment": "demo",
        "group": 1,
        "seeds": [0, 1],
        "standard": score(48.12, 51.94, spread),
        "paper": score(49.5, 53.5, spread),
        "controls": {
            "wrong_support": {**both(30.2, 33.0, spread), "right_on_same": both(48.12, 51.94, spread)},
            "no_support": {**both(31.0, 34.0, spread), "right_on_same": both(48.12, 51.94, spread)},
            "wrong_text": {**both(22.4, 25.0, spread, 4), "right_on_same": both(44.4, 47.5, spread, 4)},
        },
        "per_category": {"giant_panda": flat(60.0, 62.0), "hat|cap": flat(36.2, 41.9, episodes=7)},
        "per_kind": {"color": flat(40.0, 41.0)},
        "per_seed": {"0": flat(47.6, 51.4), "1": flat(48.6, 52.5)},
        "episodes": 12,
        "frames": 144,
        "seconds": 33.4,
    }


def cells(text):
    """Rows of all tables, as lists of stripped cells."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").replace("\\|", "¦").split("|")] for line in lines]


def test_headline():
    assert headline(results()) == (
        "unseen categories: J 48.1 F 51.9 | wrong support J 30.2 | no support J 31.0 | wrong text J 22.4"
    )
    assert headline({**results(), "controls": {}}) == "unseen categories: J 48.1 F 51.9"


def test_markdown_tells_everything():
    text = markdown(results())
    assert text.startswith("# demo, group 1 held out\n")
    assert text.endswith("|\n")
    assert "12 test episodes, 144 frames, 2 seeds (0, 1), 33 s" in text
    rows = cells(text)
    assert [
        "**right support, right text**",
        *["48.1 ± 0.5", "51.9 ± 0.5", "50.0 ± 0.5"],
        *["49.5 ± 0.5", "53.5 ± 0.5", "51.5 ± 0.5"],
    ] in rows
    assert ["no support", *["31.0 ± 0.5", "34.0 ± 0.5", "32.5 ± 0.5"]] in [row[:4] for row in rows]
    drop = ["wrong text", "4", "44.4 ± 0.5", "22.4 ± 0.5", "22.0", "47.5 ± 0.5", "25.0 ± 0.5", "22.5"]
    assert drop in rows
    assert ["giant_panda", "5", "60.0", "62.0", "61.0", "61.0", "63.0", "62.0"] in rows
    assert ["hat¦cap", "7", "36.2"] in [row[:3] for row in rows]
    assert ["color", "5", "40.0"] in [row[:3] for row in rows]
    assert ["1", "5", "48.6"] in [row[:3] for row in rows]


def test_markdown_of_one_seed_without_controls():
    text = markdown({**results(None), "seeds": [3], "controls": {}, "per_kind": {}, "group": None})
    assert text.startswith("# demo\n")
    assert "1 seed (3)" in text
    assert "±" not in text
    assert "Controls" not in text
    assert "kind of expression" not in text
    assert "## Per category" in text


def test_table_is_a_table():
    lines = table(["name", "J"], [["a", "1.0"], ["long | name", "22.0"]]).splitlines()
    assert lines[1] == "| ------------ | ---: |"
    assert lines[2] == "| a            |  1.0 |"
    assert lines[3] == "| long \\| name | 22.0 |"


def test_files_are_whole_or_not_there(tmp_path):
    path = tmp_path / "new" / "report.md"
    save_markdown(results(), path)
    assert path.read_text() == markdown(results())

    def fails(file):
        file.write(b"half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        replace_file(path, fails)
    assert path.read_text() == markdown(results())
    assert [file.name for file in path.parent.iterdir()] == ["report.md"]
