"""Checks of settings that nothing else checks in words of the command line."""

from __future__ import annotations

from collections.abc import Mapping

from omegaconf import DictConfig

from fsrvos.errors import UserError

MAY_BE_NULL = ("rate",)


def check_numbers(config: DictConfig, least: Mapping[str, float]) -> None:
    """Refuses what is no number or too small.

    Args:
        config: The settings.
        least: Keys and the least that they may be; where that is a whole number above 0, they must be whole.

    Raises:
        UserError: One is not.
    """
    for key, bound in least.items():
        value = config[key]
        if value is None and key in MAY_BE_NULL:
            continue
        kind = "whole number" if isinstance(bound, int) and bound > 0 else "number"
        right = isinstance(value, int if kind == "whole number" else int | float) and not isinstance(
            value, bool
        )
        if not right or value < bound:
            raise UserError(f"{key} must be a {kind} of at least {bound:g}, got {value!r}")
