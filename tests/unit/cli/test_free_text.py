"""Phrases on the command line arrive as they were typed: Hydra's own parser is the judge."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st

from fsrvos.cli.free_text import quote_values

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1)


def value_of(argument):
    return OverridesParser.create().parse_override(argument).value()


def written_for_hydra(bare):
    return bare in ("", "null") or (len(bare) > 1 and bare[0] + bare[-1] in ("[]", "''", '""'))


@given(TEXT)
@example("the dog, on the left")
@example("the dog's ball: red (big) {not} $x = 3")
@example("C:\\clips\\a")
@example("ends with \\")
@example("a\\'b")
@example("'half quoted")
@example("1.5")
def test_any_phrase_arrives_as_it_is(phrase):
    if written_for_hydra(phrase.strip()):
        return
    (quoted,) = quote_values([f"text={phrase}"], ("text",))
    assert value_of(quoted) == phrase


def plain_item(text):
    """What can stand in a list as it is: one that begins with a quote may mean the end of it elsewhere."""
    return "," not in text and text.strip() not in ("", "null") and text.strip()[0] not in "'\""


@given(st.lists(TEXT.filter(plain_item), min_size=1))
@example(["the dog's ball", "the cat (left)", "a: b"])
@example(["a' and 'b", "1.5"])
def test_any_phrases_of_a_list_arrive_as_they_are(phrases):
    (quoted,) = quote_values([f"text=[{','.join(phrases)}]"], ("text",))
    assert value_of(quoted) == [phrase.strip() for phrase in phrases]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("[a dog,a cat]", ["a dog", "a cat"]),
        ("[ 'a, b' , \"c's\",null, 3]", ["a, b", "c's", None, "3"]),
        ("[a dog,]", ["a dog", ""]),
        ("[]", []),
        ("null", None),
        ("'a, b'", "a, b"),
        ("'a' and 'b'", "'a' and 'b'"),
        ("['a' and 'b',c]", ["'a' and 'b'", "c"]),
    ],
)
def test_lists_null_and_what_is_quoted(typed, expected):
    assert value_of(quote_values([f"text={typed}"], ("text",))[0]) == expected


def test_other_keys_and_flags_stay():
    arguments = ["text=", "device=cpu", "--help", "-m", "window=[1,2]"]
    assert quote_values(arguments, ("text",)) == arguments
