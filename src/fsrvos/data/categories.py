"""The categories of the benchmarks and the four groups that are held out in turn."""

from __future__ import annotations

from collections.abc import Sequence

from fsrvos.errors import UserError

YOUTUBE_VOS_CATEGORIES: tuple[str, ...] = tuple(
    """
    hat plant hand horse raccoon squirrel bus boat crocodile penguin motorbike truck hedgehog lion
    earless_seal whale elephant mouse snail camel shark giraffe tiger frog cat dolphin cow dog bear zebra
    airplane leopard fox turtle deer train sedan sheep fish bird rabbit duck snake monkey parrot lizard
    giant_panda person
    """.split()  # noqa: SIM905
)

SAIL_VOS_CATEGORIES: tuple[str, ...] = ("dog", "car", "person")

# The rest of YouTube-VOS's 65. Their objects share videos with the benchmark's: known, yet never used.
YOUTUBE_VOS_UNUSED_CATEGORIES: frozenset[str] = frozenset(
    """
    ape bike bucket eagle frisbee knife others owl paddle parachute sign skateboard snowboard surfboard
    tennis_racket toilet umbrella
    """.split()  # noqa: SIM905
)

NUM_GROUPS = 4


def held_out(group: int, categories: Sequence[str] = YOUTUBE_VOS_CATEGORIES) -> tuple[str, ...]:
    """Returns the categories that a group holds out: ids n (from 1) with (n - 1) % 4 == group - 1.

    Raises:
        UserError: If ``group`` is not 1-4.
    """
    return tuple(categories[position] for position in _held_out_positions(group, len(categories)))


def training(group: int, categories: Sequence[str] = YOUTUBE_VOS_CATEGORIES) -> tuple[str, ...]:
    """Returns the categories that train in a group: all that `held_out` leaves, in order.

    Raises:
        UserError: If ``group`` is not 1-4.
    """
    tested = set(_held_out_positions(group, len(categories)))
    return tuple(category for position, category in enumerate(categories) if position not in tested)


def _held_out_positions(group: int, total: int) -> range:
    if group not in range(1, NUM_GROUPS + 1):
        raise UserError(f"group must be 1-{NUM_GROUPS}, got {group}")
    return range(group - 1, total, NUM_GROUPS)
