"""What augmentation does to phrases: mirror them with the picture, or rename the category's noun."""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np

from fsrvos.data.draws import pick

_SIDES = [
    ("left", "right"),
    ("leftmost", "rightmost"),
    ("leftward", "rightward"),
    ("leftwards", "rightwards"),
]
_MIRROR = {
    form(word): form(other)
    for pair in _SIDES
    for word, other in (pair, pair[::-1])
    for form in (str.lower, str.capitalize, str.upper)
}
_SIDE_WORD = re.compile(rf"\b({'|'.join(sorted(_MIRROR, key=len, reverse=True))})\b")
_ONSETS = (
    "b",
    "d",
    "f",
    "g",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "z",
    "bl",
    "dr",
    "gl",
    "kr",
    "pl",
    "tr",
)
_VOWELS = ("a", "e", "i", "o", "u")


def plain(expression: str) -> str:
    """Returns the phrase as networks read it: lower case, white space collapsed."""
    return " ".join(expression.lower().split())


def mirror(expression: str) -> str:
    """Swaps the whole words left/right, leftmost/rightmost and leftward(s)/rightward(s), as a flip does.

    Letters inside other words stay ("bright", "cleft"); hyphened words are swapped by part ("left-hand").
    Mirroring twice gives the phrase back.
    """
    return _SIDE_WORD.sub(lambda match: _MIRROR[match.group()], expression)


def rename(expression: str, category: str, noun: str) -> str:
    """Replaces a category's name, as a whole word in any case, by ``noun``; a plural "s" stays.

    An underscore of the name also matches a space ("giant_panda", "giant panda").
    """
    name = "[ _]".join(re.escape(part) for part in category.split("_"))
    return re.sub(rf"\b{name}(s?)\b", lambda match: noun + match.group(1), expression, flags=re.IGNORECASE)


def pseudo_word(rng: np.random.Generator, taken: Collection[str] = ()) -> str:
    """Draws a pronounceable word of two or three syllables that is none of ``taken``."""
    while True:
        syllables = [pick(rng, _ONSETS) + pick(rng, _VOWELS) for _ in range(int(rng.integers(2, 4)))]
        word = "".join(syllables) + pick(rng, ("", "", "n", "r", "k"))
        if word not in taken:
            return word
