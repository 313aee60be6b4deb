"""Phrases on the command line arrive as they were typed: Hydra's own parser is the judge."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st

from fsrvos.cli.free_text import quote_values


def value_of(argument):
    return OverridesParser.create().parse_override(argument).value()


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1))
@example("the dog, on the left")
@example("the dog's ball: red (big) {not} $x = 3")
@example("C:\\clips\\a")
@example("ends with \\")
@example("a\\'b")
@example("'half quoted")
@example("1.5")
def test_any_phrase_arrives_as_it_is(phrase):
    bare = phrase.strip()
    if bare in ("", "null") or (len(bare) > 1 and bare[0] + bare[-1] in ("[]", "''", '""')):
        return
    (quoted,) = quote_values([f"text={phrase}"], ("text",))
    assert value_of(quoted) == phrase


def test_lists_null_quoted_and_other_keys_stay():
    arguments = ["text=[a dog,a cat]", "text=null", "text='a, b'", "text=", "device=cpu", "--help", "-m"]
    assert quote_values(arguments, ("text",)) == arguments


@pytest.mark.parametrize("value", ["[a dog,a cat]", "'a, b'"])
def test_what_stays_is_read_by_hydra(value):
    assert value_of(f"text={value}") in (["a dog", "a cat"], "a, b")
