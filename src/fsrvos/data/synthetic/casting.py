"""Who plays in which video: a design in which every category meets every role equally often.

All objects of a video are of categories that one group holds out, so no training video ever shows a held-out
category. "Solo" videos show every category once, "pair" videos two objects of their primary category. The
roles depend on a video's number alone and the line-ups rotate, so each category is primary, distractor and
half of a pair the same number of times whatever the seed: for an even number of videos per category, between
a quarter and a third of the drawn episodes have a same-category distractor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fsrvos.data.synthetic.categories import CATEGORIES, Category, group_of, held_out_numbers

CONTRASTS = ("color", "motion", "size", "position")
"""What may tell the two objects of a pair apart."""

_LINE_UPS = ((1, 1, 1, 1), (2, 2), (1, 1, 1), (2, 1, 1))  # objects per category; solo, pair, solo, pair


@dataclass(frozen=True)
class Cast:
    """The categories of one video's objects, the primary one first.

    Attributes:
        number: Category number (1-48) of the primary category.
        take: Which of the primary category's videos this is, from 0.
        categories: The categories that appear, the primary one first.
        counts: How many objects (1 or 2) each of them has.
        contrast: What must tell the primary pair apart in a pair video.
    """

    number: int
    take: int
    categories: tuple[Category, ...]
    counts: tuple[int, ...]
    contrast: str

    @property
    def video(self) -> str:
        """The video's id: a folder name."""
        return f"{self.number:02d}-{self.take:03d}"

    @property
    def kind(self) -> str:
        """``"solo"`` or ``"pair"``."""
        return "pair" if self.counts[0] == 2 else "solo"


def cast(seed: int, number: int, take: int) -> Cast:
    """The cast of a video, a pure function of its arguments.

    Args:
        seed: Seed of the benchmark.
        number: Number of the primary category, 1-48.
        take: Which of its videos, from 0.
    """
    counts = _LINE_UPS[take % len(_LINE_UPS)]
    order = _rotation(seed, group_of(number), take, span=len(counts))
    first = order.index(number)
    numbers = [order[(first + k) % len(order)] for k in range(len(counts))]
    return Cast(
        number=number,
        take=take,
        categories=tuple(CATEGORIES[n - 1] for n in numbers),
        counts=counts,
        contrast=CONTRASTS[(number + take // 2) % len(CONTRASTS)],
    )


def _rotation(seed: int, group: int, take: int, span: int) -> list[int]:
    """A circular order of a group's categories in which no two within ``span`` wear the same pattern."""
    rng = np.random.default_rng([seed, group, take])
    numbers = held_out_numbers(group)
    while True:
        order = [numbers[k] for k in rng.permutation(len(numbers))]
        worn = [CATEGORIES[n - 1].pattern for n in order]
        if all(worn[k] != worn[(k + d) % len(worn)] for k in range(len(worn)) for d in range(1, span)):
            return order
