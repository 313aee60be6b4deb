"""Which code a run ran."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import fsrvos

PACKAGES = ("torch", "lightning", "torchvision", "transformers")


def code_version() -> dict[str, Any]:
    """The package's version, and the commit where it runs from a checkout.

    Returns:
        "fsrvos": version; "commit": hash, None outside a checkout; "dirty": whether tracked files were changed since,
        None outside; "python" and the main libraries: versions.
    """
    checkout = Path(fsrvos.__file__).resolve().parents[2]
    commit = _git(checkout, "rev-parse", "HEAD") if (checkout / ".git").exists() else None
    changes = _git(checkout, "status", "--porcelain", "--untracked-files=no") if commit else None
    return {
        "fsrvos": metadata.version("fsrvos"),
        "commit": commit,
        "dirty": None if changes is None else bool(changes),
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in PACKAGES},
    }


def _git(folder: Path, *arguments: str) -> str | None:
    """What a git command says; None where there is no git or no answer."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
