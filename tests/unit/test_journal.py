"""What was done survives a stop at any byte."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsrvos.errors import UserError
from fsrvos.journal import Journal

HEADER = {"video": "park", "size": [4, 6]}
ENTRIES = [{"name": f"{i:05d}", "text": "ü" * i} for i in range(5)]


def written(path):
    journal = Journal(path, HEADER)
    journal.append(ENTRIES)
    journal.close()
    return path.read_bytes()


def test_entries_come_back_in_order(tmp_path):
    written(tmp_path / "j")
    journal = Journal(tmp_path / "j", HEADER, resume=True)
    assert list(journal.entries()) == ENTRIES
    assert (journal.count, journal.last) == (5, ENTRIES[-1])
    journal.append([{"name": "new"}])
    assert list(journal.entries())[-1] == {"name": "new"}
    assert list(journal.entries())[:5] == ENTRIES


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_cut_at_any_byte_keeps_the_whole_lines(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("journal") / "j"
    content = written(path)
    cut = data.draw(st.integers(len(json.dumps(HEADER)) + 1, len(content)))
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n") - 1
    journal = Journal(path, HEADER, resume=True)
    assert list(journal.entries()) == ENTRIES[:whole]
    journal.append([{"name": "next"}])
    journal.close()
    assert path.read_bytes().count(b"\n") == whole + 2


@pytest.mark.parametrize("content", [b"", b'{"video"', b"\n", b"not json\n"])
def test_a_damaged_start_is_told(tmp_path, content):
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        Journal(tmp_path / "j", HEADER, resume=True)


def test_nothing_to_go_on_with_is_told(tmp_path):
    with pytest.raises(UserError, match="nothing to go on with"):
        Journal(tmp_path / "j", HEADER, resume=True)


def test_entries_of_something_else_are_told(tmp_path):
    written(tmp_path / "j")
    with pytest.raises(UserError, match=r"begun with video 'park', not 'street'"):
        Journal(tmp_path / "j", {**HEADER, "video": "street"}, resume=True)
