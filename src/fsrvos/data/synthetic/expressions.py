"""Phrases that are true of one object of a scene and of no other, from templates of five kinds.

An object alone of its category is mostly named by the bare noun; the two objects of a pair never are: each
gets only phrases that the other one contradicts, clearly and in every frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from fsrvos.data.synthetic.motion import MOVES
from fsrvos.data.synthetic.scene import Actor, Scene

KINDS = ("category", "color", "motion", "size", "position")

BARE = ("the {noun}", "a {noun}", "{noun}", "the {noun} in the video", "the only {noun}")
"""All of them are said of an object alone of its category, with one phrase of another kind."""

_PHRASES: dict[str, tuple[str, ...]] = {
    "color": ("the {word} {noun}", "a {word} {noun}", "the {noun} that is {word}"),
    "motion": ("the {noun} moving {word}", "the {noun} that moves {word}", "a {noun} moving {word}"),
    "still": ("the {noun} that stays still", "the {noun} that does not move", "the still {noun}"),
    "position": ("the {noun} {word}", "the {noun} that is {word}"),
    "size": ("the {word} {noun}",),
}
_PLACES = {"left": "on the left", "right": "on the right", "top": "at the top", "bottom": "at the bottom"}
_COMPARED = {"large": ("larger", "bigger"), "small": ("smaller",)}
_ABSOLUTE = {"large": ("big", "large"), "small": ("small", "little")}

SIZE_RATIO = 1.5
"""Ratio of areas from which one object is called the larger one."""
GAP = 0.2
"""Distance along an axis, in frame sides, from which two objects are apart."""
OFF_CENTRE = 0.05
"""Distance from the frame's middle, in frame sides, from which an object is on that side."""


@dataclass(frozen=True)
class Phrase:
    """A phrase about one object.

    Attributes:
        text: What it says.
        object_id: Whom it is true of.
        kind: One of ``KINDS``.
    """

    text: str
    object_id: int
    kind: str


def phrases(rng: np.random.Generator, scene: Scene) -> list[Phrase] | None:
    """All phrases of a scene, in the order of object ids.

    Args:
        rng: Which templates are used.
        scene: What they speak about.

    Returns:
        The phrases, or None when an object of a pair can't be told from the other one by two of the kinds,
        or not by what was to tell them apart.
    """
    found: list[Phrase] = []
    for actor in sorted(scene.actors, key=lambda a: a.object_id):
        rival = scene.rival(actor)
        claims = list(_claims(scene, actor, rival))
        if rival is None:
            noun = actor.look.category.noun
            found += [Phrase(_article(text.format(noun=noun)), actor.object_id, "category") for text in BARE]
            kind, word = claims[int(rng.integers(len(claims)))]
            found += _say(rng, actor, kind, word, 1, _ABSOLUTE)
            continue
        kinds = {kind for kind, _ in claims}
        if len(kinds) < 2 or actor.contrast not in kinds:
            return None
        for kind, word in claims:
            found += _say(rng, actor, kind, word, 2 if kind == actor.contrast else 1, _COMPARED)
    return found


def _say(
    rng: np.random.Generator,
    actor: Actor,
    kind: str,
    word: str,
    times: int,
    sizes: Mapping[str, tuple[str, ...]],
) -> list[Phrase]:
    """Up to ``times`` different phrases that make a claim."""
    templates = _PHRASES["still" if word == "still" else kind]
    words = sizes[word] if kind == "size" else (_PLACES[word] if kind == "position" else word,)
    noun = actor.look.category.noun
    texts = [_article(text.format(noun=noun, word=w)) for text in templates for w in words]
    chosen = rng.permutation(len(texts))[:times]
    return [Phrase(texts[k], actor.object_id, kind) for k in chosen]


def _article(text: str) -> str:
    """ "a orange ..." becomes "an orange ..."."""
    return f"an{text[1:]}" if text.startswith("a ") and text[2] in "aeio" else text


def _claims(scene: Scene, actor: Actor, rival: Actor | None) -> Iterator[tuple[str, str]]:
    """What is true of ``actor`` and not of ``rival``: (kind, word)."""
    if rival is None or rival.look.color != actor.look.color:
        yield "color", actor.look.color
    if actor.motion in MOVES and (rival is None or (rival.motion in MOVES and rival.motion != actor.motion)):
        yield "motion", actor.motion
    compared = [a for a in scene.actors if a is not actor] if rival is None else [rival]
    ratios = [(actor.look.side / other.look.side) ** 2 for other in compared]
    if min(ratios) >= SIZE_RATIO:
        yield "size", "large"
    if max(ratios) <= 1 / SIZE_RATIO:
        yield "size", "small"
    for axis, (before, after) in enumerate((("left", "right"), ("top", "bottom"))):
        for word, sign in ((before, -1), (after, 1)):
            if _lies(scene, actor, rival, axis, sign):
                yield "position", word
                return  # one place is enough, so that kinds stay balanced


def _lies(scene: Scene, actor: Actor, rival: Actor | None, axis: int, sign: int) -> bool:
    """Whether the actor is on that side of the frame, and clearly of its rival, in every frame."""
    side = scene.size[1 - axis]
    places = [sign * ((p.x, p.y)[axis] / side - 0.5) for p in actor.poses]
    if min(places) < OFF_CENTRE:
        return False
    if rival is None:
        return True
    others = [sign * ((p.x, p.y)[axis] / side - 0.5) for p in rival.poses]
    return min(a - b for a, b in zip(places, others, strict=True)) >= GAP
