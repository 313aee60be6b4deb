"""What a search over settings, such as ``hydra/sweeper=search``, gets from a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fsrvos.cli.jobs import in_search
from fsrvos.errors import UserError

TESTED = tuple(product(("standard", "paper"), ("J", "F", "JF")))


def check_direction(key: str) -> None:
    """Refuses a search for the worst score, which is what Optuna does if it is not told otherwise.

    Args:
        key: ``config.optimized_metric``.

    Raises:
        UserError: A score is to be minimised.
    """
    if not in_search() or not key.startswith(("val/J", "standard/", "paper/")):
        return
    direction = cast(DictConfig, HydraConfig.get().sweeper).get("direction")
    if "minimize" in str(direction):
        raise UserError(
            f"the search minimises {key}, which is better when higher; say hydra.sweeper.direction=maximize"
        )


def optimized_value(key: str, logged: Mapping[str, Any], results: Path) -> float | None:
    """The number that a search over settings, such as ``hydra/sweeper=optuna``, optimises.

    Args:
        key: A metric that training logs (its last value), or ``PROTOCOL/SCORE`` in results.json.
        logged: Metrics by name.
        results: The file results.json.

    Returns:
        The number, or None if a run that no search waits for did not make it.

    Raises:
        UserError: A search waits for a number that this run did not make.
    """
    if key in logged:
        return float(logged[key])
    scores = json.loads(results.read_text()) if results.is_file() else {}
    tested = {f"{protocol}/{name}": scores.get(protocol, {}).get(name) for protocol, name in TESTED}
    if tested.get(key) is not None:
        return float(tested[key])
    if in_search():
        # Of training's many metrics only the sum: no name in an error message should drown in the others.
        measured = [name for name in sorted(logged) if not name.startswith("train/") or name == "train/loss"]
        measured += [name for name, score in tested.items() if score is not None]
        raise UserError(f"optimized_metric={key} was not measured; this run has {', '.join(measured)}")
    return None
