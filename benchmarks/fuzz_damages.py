"""The kinds of damage that benchmarks/fuzz.py does to a data set: to its files, and to the entries of its JSON files."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXPRESSIONS = "meta_expressions/train/meta_expressions.json"
META = "train/meta.json"

# Each of them once was, or might be, what something trips over.
NAMES = (
    "..", "../../whole/train/meta.json", "/etc/passwd", "C:x", "a\\b", "a/b", "", "\0", "two\nlines", "\u2028", "\ud800",
    "x" * 300, "²", "0", "999", "-1", "1" * 5000, "hat_1", "00000",
)  # fmt: skip
VALUES = (None, True, -1, 1e99, 2**80, "", "x", [], {}, [[]], {"a": {}}, *NAMES)


def damage(root: Path, kind: str, seed: int) -> None:
    """Does one damage of a kind in `DAMAGES`; where nothing is left to damage, none."""
    DAMAGES[kind](root, random.Random(seed))


def _files(root: Path) -> list[Path]:
    # A set has two JSON files and thirty pictures: so that both are hit, JSON files come ten times.
    # Links are left out: nothing must be written to where they lead, and a pipe or /dev/zero never ends.
    found = sorted(path for path in root.rglob("*") if _is_own_file(path))
    return found + [path for path in found if path.suffix == ".json"] * 9


def _is_own_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _write(path: Path, content: bytes | bytearray) -> None:
    path.unlink()  # a new file, so that no other one can be written to
    path.write_bytes(content)


def _on_file(change: Callable[[Path, random.Random], object], suffix: str = "") -> Callable:
    def done(root: Path, rng: random.Random) -> None:
        files = [path for path in _files(root) if path.name.endswith(suffix)]
        if files:
            change(rng.choice(files), rng)

    return done


def _on_bytes(change: Callable[[bytearray, random.Random], bytes | bytearray], suffix: str = "") -> Callable:
    def changed(path: Path, rng: random.Random) -> None:
        _write(path, change(bytearray(path.read_bytes()), rng))

    return _on_file(changed, suffix)


def _drop_folder(root: Path, rng: random.Random) -> None:
    shutil.rmtree(rng.choice(sorted(path for path in root.rglob("*") if path.is_dir()) or [root]))


def _swap(root: Path, rng: random.Random) -> None:
    files = _files(root)
    if files:
        one, other = rng.choice(files), rng.choice(files)
        contents = one.read_bytes(), other.read_bytes()
        _write(other, contents[0])
        _write(one, contents[1])


def _flip(content: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 4, 64)) if content else 0):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return content


def _link_out(path: Path, rng: random.Random) -> None:
    outside = next(up for up in path.parents if up.name == "damaged").with_name("whole") / META
    target = rng.choice(
        ("/dev/zero", "/nowhere", str(path), str(outside), os.path.relpath(outside, path.parent))
    )
    path.unlink()
    path.symlink_to(target)


def _pipe(path: Path, rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _huge(content: bytearray, rng: random.Random) -> bytearray:
    """Lets the header of a PNG tell of more pixels than any memory holds, or of as many as just fit."""
    if content[12:16] == b"IHDR":
        content[16:24] = struct.pack(">II", *rng.choice(((9000, 9000), (60_000, 60_000), (2**31 - 1, 1))))
    return content


def _on_entries(change: Callable[[Any, Any, Any, random.Random], None]) -> Callable:
    """Changes one entry of one of the JSON files: gets the whole, what holds the entry, its key."""

    def done(root: Path, rng: random.Random) -> None:
        file = root / rng.choice((EXPRESSIONS, META))
        if not _is_own_file(file):
            return
        try:
            content = json.loads(file.read_bytes())
        except (OSError, ValueError, RecursionError):  # damaged already
            return
        holders = [node for node in _nodes(content) if node]
        if holders:
            holder = rng.choice(holders)
            key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
            change(content, holder, key, rng)
            _write(file, json.dumps(content).replace('"DEEP"', _deep(rng)).encode())

    return done


def _nodes(top: Any) -> list[Any]:
    """All objects and lists."""
    found, waiting = [], [top]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict | list):
            found.append(node)
            waiting += node.values() if isinstance(node, dict) else node
    return found


def _deep(rng: random.Random) -> str:
    depth = rng.choice((200, 450, 900, 100_000))
    return "[" * depth + "]" * depth


def _drop_key(top: Any, holder: Any, key: Any, rng: random.Random) -> None:
    del holder[key]


def _rename_key(top: Any, holder: Any, key: Any, rng: random.Random) -> None:
    if isinstance(holder, dict):
        holder[rng.choice(NAMES)] = holder.pop(key)


def _set_value(top: Any, holder: Any, key: Any, rng: random.Random) -> None:
    holder[key] = rng.choice(VALUES)


def _nest(top: Any, holder: Any, key: Any, rng: random.Random) -> None:
    holder[key] = "DEEP"


def _swap_values(top: Any, holder: Any, key: Any, rng: random.Random) -> None:
    other = rng.choice([node for node in _nodes(top) if node])
    other_key = rng.choice(list(other) if isinstance(other, dict) else range(len(other)))
    one, another = json.dumps(holder[key]), json.dumps(other[other_key])  # copies, lest one holds the other
    other[other_key], holder[key] = json.loads(one), json.loads(another)


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "file dropped": _on_file(lambda path, rng: path.unlink()),
    "file truncated": _on_bytes(lambda content, rng: content[: rng.randrange(len(content) + 1)]),
    "file with flipped bits": _on_bytes(_flip),
    "two files swapped": _swap,
    "file a link": _on_file(_link_out),
    "file a pipe": _on_file(_pipe),
    "file a folder": _on_file(_folder),
    "folder dropped": _drop_folder,
    "mask of huge size": _on_bytes(_huge, ".png"),
    "key dropped": _on_entries(_drop_key),
    "key renamed": _on_entries(_rename_key),
    "value replaced": _on_entries(_set_value),
    "values swapped": _on_entries(_swap_values),
    "value nested deep": _on_entries(_nest),
}
