"""Reads run folders: what was set, what came out, and why nothing did."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fsrvos.config_files import read_config
from fsrvos.data.json_files import read_value
from fsrvos.errors import UserError
from fsrvos.run_folders import CONFIG, FAILED, JOBS, RESULTS, failure, job_records

HYDRA = ".hydra"  # where Hydra writes the overrides and choices of a run
MULTIRUN = "multirun.yaml"
STARTED = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d")
DATE = "%Y-%m-%d_%H-%M-%S"


@dataclass(frozen=True)
class Run:
    """One run of fsrvos-train or fsrvos-eval.

    Attributes:
        folder: Where it lies.
        name: The run's name without the group and the seed that it may end in.
        group: Group held out, 1-4; None where the data set has no groups, or nothing says which.
        seed: Training seed.
        settings: Overrides of the command line, key to value.
        choices: Config group to chosen option.
        config: Composed config, as nested dicts.
        results: Content of results.json; None if there is none.
        failure: Why there are no results, in one line; None if there are, or nothing says why.
        started: Date of the run, ``2026-11-25_07-39-10``.
    """

    folder: Path
    name: str
    group: int | None = None
    seed: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] | None = None
    failure: str | None = None
    started: str = ""

    def value(self, key: str) -> str | None:
        """What a key was in this run: as overridden, else as chosen or composed; None if it has no such key."""
        for given in (self.settings, self.choices):
            if key in given:
                return str(given[key])
        node: Any = self.config
        for part in key.split("."):
            if not isinstance(node, Mapping) or part not in node:
                return None
            node = node[part]
        return "null" if node is None else str(node)

    @property
    def reason(self) -> str:
        """Why there are no results, for people."""
        return self.failure or f"no {RESULTS}: still running, stopped, or evaluate=false"


def find_runs(places: Iterable[str | Path]) -> list[Run]:
    """The runs at and below some places, each once, in the order of the places and then of their folders.

    Args:
        places: Run folders, folders of runs, or folders of sweeps.

    Raises:
        UserError: A place does not exist or holds no run; a file of a run is damaged.
    """
    runs: dict[Path, Run] = {}
    for place in map(Path, places):
        if not place.is_dir():
            raise UserError(f"{place} is no folder; give run folders, folders of runs, or folders of sweeps")
        before = len(runs)
        found = list(_below(place))
        for folder, said in found:
            run = read_run(folder, said)
            known = runs.get(folder.resolve())
            if known is None or (known.failure is None and known.results is None):
                runs[folder.resolve()] = run
        if len(runs) == before and not found:
            raise UserError(
                f"{place} holds no run: none of {CONFIG}, {RESULTS}, {FAILED} lies in it or below it"
            )
    return list(runs.values())


def read_run(folder: Path, said: str | None = None) -> Run:
    """Reads one run folder, which may lack anything.

    Args:
        folder: The run folder.
        said: Why it has no results, as the record of its sweep has it.

    Raises:
        UserError: A file is damaged.
    """
    results = _json(folder / RESULTS) if (folder / RESULTS).is_file() else None
    file = next((file for file in (folder / CONFIG, folder / HYDRA / CONFIG) if file.is_file()), None)
    config = _yaml(file) if file else OmegaConf.create()
    overrides = (
        _yaml(folder / HYDRA / "overrides.yaml") if (folder / HYDRA / "overrides.yaml").is_file() else []
    )
    choices = _yaml(folder / HYDRA / "hydra.yaml") if (folder / HYDRA / "hydra.yaml").is_file() else None
    group = results["group"] if results else _integer(_select(config, "group"))
    seed = _integer(_select(config, "seed"))
    name = str(_select(config, "name") or (results or {}).get("experiment") or folder.parent.name)
    return Run(
        folder=folder,
        name=plain_name(name, group, seed),
        group=group,
        seed=seed,
        settings=dict(_setting(str(override)) for override in overrides),
        choices=_container(choices and OmegaConf.select(choices, "hydra.runtime.choices")),
        config=_container(config),
        results=results,
        failure=None if results else failure(folder) or said,
        started=_started(folder),
    )


def plain_name(name: str, group: int | None, seed: int | None) -> str:
    """A run's name without the group and seed at its end, so that ``synth_g1`` and ``synth_g2`` share a row."""
    for _ in range(2):
        for ending in (f"_g{group}", f"_s{seed}"):
            name = name.removesuffix(ending)
    return name


def _below(place: Path) -> Iterable[tuple[Path, str | None]]:
    """Run folders with what the record of their sweep says of them."""
    if any((place / name).exists() for name in (CONFIG, RESULTS, FAILED, HYDRA)):
        yield place, None
        return
    if (place / JOBS).is_dir() or (place / MULTIRUN).is_file():
        for record in job_records(place):
            stopped = record.message or ("did not finish" if record.state == "running" else None)
            yield record.folder, stopped
    for folder in sorted(place.iterdir()):
        if folder.is_dir() and not folder.name.startswith(".") and folder.name != JOBS:
            yield from _below(folder)


def _setting(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+~"), "removed" if key.startswith("~") else value


def _started(folder: Path) -> str:
    named = STARTED.match(folder.name)
    if named:
        return named[0]
    files = [folder / name for name in (RESULTS, CONFIG, FAILED) if (folder / name).is_file()]
    return datetime.fromtimestamp(files[0].stat().st_mtime).strftime(DATE) if files else ""


def _json(file: Path) -> dict[str, Any]:
    content = read_value(file)
    if not isinstance(content, dict) or not {"standard", "paper", "group"} <= content.keys():
        raise UserError(f"{file} holds no scores of fsrvos; score the run again with fsrvos-eval")
    return content


def _yaml(file: Path) -> Any:
    try:
        return read_config(file)
    except UserError as error:
        raise UserError(f"{error}; delete the run") from error


def _select(config: Any, key: str) -> Any:
    try:
        return OmegaConf.select(config, key)
    except OmegaConfBaseException:  # a run that failed early left only a config with open ends
        return None


def _container(config: Any) -> dict[str, Any]:
    return OmegaConf.to_container(config, resolve=False) if isinstance(config, DictConfig) else {}  # type: ignore


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) else None
