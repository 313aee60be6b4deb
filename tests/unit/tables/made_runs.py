"""Runs made by hand, and run folders on disk."""

import json
from pathlib import Path

from fsrvos.tables.runs import Run


def results(J, F, group=1, controls=True):
    """Content of results.json: the paper protocol is 1 above, each control 10, 20 and 30 below, right on same 5 above."""

    def protocol(shift):
        scores = {"J": J + shift, "F": F + shift, "JF": (J + F) / 2 + shift}
        return {**scores, **dict.fromkeys(("J_std", "F_std", "JF_std"))}

    def both(shift):
        return {"standard": protocol(shift), "paper": protocol(shift + 1), "episodes": 4, "frames": 16}

    names = ("wrong_support", "no_support", "wrong_text") if controls else ()
    return {
        "experiment": "demo", "group": group, "seeds": [0], **both(0), "seconds": 1.0,
        "controls": {name: {**both(-10 * n), "right_on_same": both(5)} for n, name in enumerate(names, 1)},
        "per_category": {}, "per_kind": {}, "per_seed": {},
    }  # fmt: skip


def made(J=None, F=0.0, group=1, seed=0, name="demo", started="2026-01-01_00-00-00", controls=True, **more):
    """One run; without J, one that has no results. Settings are given as ``optim__lr="0.1"``."""
    fields = {key: more.pop(key) for key in ("failure", "config", "choices") if key in more}
    settings = {key.replace("__", "."): value for key, value in more.items()}
    return Run(
        folder=Path(f"outputs/{name}/{started}_{group}_{seed}"),
        name=name,
        group=group,
        seed=seed,
        settings=settings,
        results=None if J is None else results(J, F, group, controls),
        started=started,
        **fields,
    )  # fmt: skip


def write_run(folder, J=None, F=0.0, group=1, seed=0, name="demo", overrides=(), failed=None, **data):
    """A run folder as fsrvos-train leaves it: one with results, or one that failed before its config was resolved."""
    hydra = folder / ".hydra"
    hydra.mkdir(parents=True)
    (hydra / "overrides.yaml").write_text("".join(f"- {override}\n" for override in overrides) or "[]\n")
    (hydra / "hydra.yaml").write_text(
        "hydra:\n  runtime:\n    choices:\n      backbone: small\n  dir: ${oc.env:NONE}\n"
    )
    composed = f"name: {name}\ngroup: {group}\nseed: {seed}\nmodel:\n  variant: cma\noptim:\n  lr: 0.001\n"
    (hydra / "config.yaml").write_text(composed + "default_root_dir: ${hydra:runtime.output_dir}\n")
    if J is not None:
        lines = "".join(f"  {key}: {value}\n" for key, value in {"root": "data/A", **data}.items())
        (folder / "config.yaml").write_text(f"{composed}data:\n{lines}")
        (folder / "results.json").write_text(json.dumps(results(J, F, group)))
    if failed:
        (folder / "failed.txt").write_text(f"{failed}\n")
    return folder
