"""Finds the checkpoints of runs, and reads them."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

from fsrvos.errors import UserError
from fsrvos.tensor_files import read_file

LAST = Path("checkpoints") / "last.ckpt"
PREVIOUS = LAST.with_name("previous.ckpt")  # what was LAST before it
PREFIX = "model."  # of the network's tensors in a checkpoint of its LightningModule
DESCRIPTION = "fsrvos"  # key under which a checkpoint says which network it holds
TRAINING = ("state_dict", "optimizer_states", "lr_schedulers", "loops")  # keys without which none goes on


def newest_checkpoint(runs: Path, exclude: Path | None = None) -> Path:
    """The last checkpoint of the newest run below a folder.

    Raises:
        UserError: There is none.
    """
    found = [path for path in runs.glob(f"*/{LAST}") if exclude is None or exclude not in path.parents]
    if not found:
        raise UserError(
            f"ckpt_path=last: no */{LAST} below {runs}; train there first, or name a checkpoint file"
        )
    return max(found, key=lambda path: path.stat().st_mtime)


def resumable_checkpoint(runs: Path, exclude: Path | None = None) -> tuple[Path, list[str]]:
    """The newest checkpoint below a folder from which training can go on.

    Of each run that is its last checkpoint, else the previous one; where both are damaged, that of an older run.

    Returns:
        The file, and for each newer one that cannot be used a line on why.

    Raises:
        UserError: There is none.
    """
    found = [path for name in (LAST, PREVIOUS) for path in runs.glob(f"*/{name}")]
    found = [path for path in found if exclude is None or exclude not in path.parents]
    told: list[str] = []
    for path in sorted(
        found, key=lambda path: (path.stat().st_mtime_ns, path.name == LAST.name), reverse=True
    ):
        try:
            check_resumable(path)
            return path, told
        except UserError as error:
            told.append(str(error))
    if told:
        raise UserError(f"ckpt_path=last: no checkpoint below {runs} can be used; {told[0]}")
    return newest_checkpoint(runs, exclude), told


def check_resumable(file: Path) -> None:
    """Reads a checkpoint through, checksums too, which PyTorch does not compare.

    Raises:
        UserError: It is damaged, not of fsrvos-train, or without the state of a training.
    """
    check_whole(file)
    held = load_checkpoint(file)
    missing = [key for key in TRAINING if key not in held]
    if missing:
        raise UserError(f"{file} cannot go on: it holds no {', '.join(missing)}; give the last.ckpt of a run")


def check_whole(file: Path) -> None:
    """Compares the checksums of what ``torch.save`` wrote.

    Raises:
        UserError: The file is cut short, altered or of another kind.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError) as error:
        raise UserError(f"{file} is no whole checkpoint ({error})") from error
    if damaged is not None:
        raise UserError(f"{file} is damaged: the checksum of {damaged} in it is wrong")


def put_in_place(beside: Path, file: Path) -> None:
    """Makes a freshly written checkpoint the last one, and the last one the previous one.

    Whenever the process dies, one of the two is whole.

    Args:
        beside: What was written, in the same folder.
        file: The last checkpoint.

    Raises:
        UserError: What was written cannot be read back; the other files stay as they are.
    """
    if beside.is_file():  # FSDP's shards are a folder
        with beside.open("rb") as written:
            # Else a crash of the machine may leave the new name with an empty file.
            os.fsync(written.fileno())
        check_whole(beside)
    if file.exists():
        file.replace(file.with_name(PREVIOUS.name))
    beside.replace(file)


def checkpoint_file(path: str | Path) -> Path:
    """The checkpoint that a path means: a file, a run folder, or a folder of runs (its newest).

    Raises:
        UserError: There is no checkpoint.
    """
    path = Path(path)
    if path.is_file():
        return path
    if (path / LAST).is_file():
        return path / LAST
    if path.is_dir():
        return newest_checkpoint(path)
    raise UserError(f"checkpoint {path} does not exist; give a .ckpt file or a run folder with {LAST}")


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint that fsrvos-train wrote, without running anything in it.

    Raises:
        UserError: Not such a file.
    """
    file = checkpoint_file(path)
    checkpoint, _ = read_file(file)
    if not isinstance(checkpoint, dict) or DESCRIPTION not in checkpoint:
        raise UserError(f"{file} is no checkpoint of fsrvos-train: it does not say which network it holds")
    return checkpoint
