"""Reads the ``.wandb`` file of a run, a LevelDB log of protobuf records; wandb itself has no reader in Python."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK, HEADER = 32768, 7


@dataclass
class WandbFile:
    """What one run left: name, group, config, one dictionary a logged row, artifacts and exit code."""

    folder: Path
    name: str = ""
    group: str = ""
    run_id: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[tuple[str, list[Path]]] = field(default_factory=list)
    exit_code: int | None = None

    def keys(self) -> set[str]:
        """All keys that were ever logged."""
        return {key for row in self.history for key in row}


def read(run_folder: Path) -> WandbFile:
    """Reads the one W&B run of a run folder."""
    (file,) = (run_folder / "wandb").glob("*run-*/run-*.wandb")
    found = WandbFile(file.parent)
    for record in records(file.read_bytes()):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.name, found.group = record.run.display_name, record.run.run_group
            found.run_id = record.run.run_id
        elif kind == "config":
            found.config |= {item.key: json.loads(item.value_json) for item in record.config.update}
        elif kind == "history":
            row = {}
            for item in record.history.item:
                row[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
            found.history.append(row)
        elif kind == "artifact":
            contents = record.artifact.manifest.contents
            found.artifacts.append((record.artifact.type, [Path(entry.local_path) for entry in contents]))
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    return found


def records(data: bytes) -> Iterator[Any]:
    """The records of a log: in blocks, cut into a full one (1) or first, middle and last (2, 3, 4)."""
    assert data[:4] == b":W&B"
    place, parts = HEADER, b""
    while place + HEADER <= len(data):
        room = BLOCK - place % BLOCK
        if room < HEADER:
            place += room
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + HEADER])
        assert kind in (1, 2, 3, 4)
        parts += data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (1, 4):
            yield wandb_internal_pb2.Record.FromString(parts)
            parts = b""
