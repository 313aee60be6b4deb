"""The 48 made-up categories: a noun for every pair of silhouette and pattern.

Any two categories share a silhouette or a pattern at most, never both. The twelve that a group holds out
(ids n with (n - 1) % 4 == group - 1) have twelve different silhouettes, and every silhouette and pattern of
theirs is also worn by categories of the other groups: a new combination of known parts under a new noun.
"""

from __future__ import annotations

from dataclasses import dataclass

NUM_GROUPS = 4


@dataclass(frozen=True)
class Category:
    """What a noun stands for: a silhouette of ``SILHOUETTES`` with a pattern of ``PATTERNS``."""

    noun: str
    silhouette: str
    pattern: str


CATEGORIES: tuple[Category, ...] = tuple(
    Category(*row)
    for row in (
        ("zorbel", "star", "rings"),
        ("mipkan", "ring", "lattice"),
        ("tavulo", "hourglass", "rings"),
        ("quendra", "gear", "checker"),
        ("blorvat", "crescent", "lattice"),
        ("fenzig", "arrow", "bars"),
        ("dakomi", "fish", "bands"),
        ("wobrik", "mushroom", "lattice"),
        ("snarpel", "cross", "checker"),
        ("jelvo", "clover", "bands"),
        ("kribnat", "hook", "bars"),
        ("yondel", "dumbbell", "dots"),
        ("plimsa", "ring", "bars"),
        ("gorvex", "hourglass", "dots"),
        ("hathuno", "gear", "rim"),
        ("lopzi", "star", "bars"),
        ("vestrok", "arrow", "halves"),
        ("nubadi", "fish", "checker"),
        ("crivosh", "mushroom", "bands"),
        ("otarin", "crescent", "checker"),
        ("spodra", "clover", "rings"),
        ("relmaz", "hook", "checker"),
        ("ubento", "dumbbell", "checker"),
        ("thrakel", "cross", "rings"),
        ("pogwin", "hourglass", "bands"),
        ("imbezo", "gear", "rings"),
        ("flenjor", "star", "halves"),
        ("baztic", "ring", "halves"),
        ("sovenka", "fish", "rim"),
        ("druplo", "mushroom", "rim"),
        ("jaxun", "crescent", "rim"),
        ("meglur", "arrow", "rim"),
        ("tirvap", "hook", "lattice"),
        ("glanido", "dumbbell", "halves"),
        ("kwelbar", "cross", "dots"),
        ("azupil", "clover", "bars"),
        ("frundek", "gear", "dots"),
        ("hiskolo", "star", "rim"),
        ("vombra", "ring", "dots"),
        ("skedjin", "hourglass", "lattice"),
        ("parluz", "mushroom", "dots"),
        ("dwimtor", "crescent", "bands"),
        ("nelgasi", "arrow", "lattice"),
        ("chuvek", "fish", "rings"),
        ("yarpido", "dumbbell", "bars"),
        ("bruzal", "cross", "halves"),
        ("lunfex", "clover", "halves"),
        ("ekvora", "hook", "bands"),
    )
)
"""Category n of the protocol is ``CATEGORIES[n - 1]``."""


def group_of(number: int) -> int:
    """The group (1-4) that holds category ``number`` (1-48) out."""
    return (number - 1) % NUM_GROUPS + 1


def held_out_numbers(group: int) -> tuple[int, ...]:
    """The twelve category numbers that ``group`` holds out, in order."""
    return tuple(range(group, len(CATEGORIES) + 1, NUM_GROUPS))
