"""Takes some items out of groups, evenly and without chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def spread(groups: Sequence[Sequence[Item]], maximum: int | None) -> list[Item]:
    """Takes at most ``maximum`` items, as equally as possible from all groups, in the order of the groups.

    Where a group gives some of its items, these are evenly spaced, and the first of them moves from the start
    of the first group to the end of the last, so that groups sorted alike do not all give the same kind. All
    items for None.
    """
    sizes = [len(group) for group in groups]
    taken: list[Item] = []
    for rank, (group, share) in enumerate(zip(groups, _shares(sizes, maximum), strict=True)):
        first = rank * len(group) // len(groups)
        places = sorted((first + step * len(group) // share) % len(group) for step in range(share))
        taken.extend(group[place] for place in places)
    return taken


def _shares(sizes: Sequence[int], maximum: int | None) -> list[int]:
    """Shares a maximum out in rounds of one for each group that has more to give."""
    if maximum is None:
        return list(sizes)
    shares = [0] * len(sizes)
    left = maximum
    while left and (open_groups := [rank for rank, size in enumerate(sizes) if shares[rank] < size]):
        served = min(left, len(open_groups))
        for step in range(served):
            shares[open_groups[step * len(open_groups) // served]] += 1
        left -= served
    return shares
