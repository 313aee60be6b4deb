"""Random numbers as a pure function of a key: no generator outlives the episode that it draws for."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def generator(purpose: str, *key: int | str) -> np.random.Generator:
    """Returns a fresh counter-based generator for a key such as ``("train", seed, epoch, index)``.

    The same key gives the same numbers in every process; different keys, and different purposes with the
    same numbers, are independent.
    """
    plain = repr((purpose, *(int(part) if not isinstance(part, str) else part for part in key)))
    digest = blake2b(plain.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "big")))


def pick(rng: np.random.Generator, items: Sequence[Item]) -> Item:
    """Draws one of ``items``, all equally likely."""
    return items[int(rng.integers(len(items)))]
