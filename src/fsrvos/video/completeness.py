"""Whether a video file is shorter than its own header says. Readers end silently where some files are cut."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"}
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067


def is_cut_off(path: Path) -> bool:
    """Whether an mp4 or mov, mkv or webm, or avi ends before its declared end; False for all others."""
    with path.open("rb") as file:
        end, size = _declared_end(file), os.fstat(file.fileno()).st_size
    return end is not None and end > size


def lacks_index(path: Path) -> bool:
    """Whether this is an mp4 or mov without the box that says where its frames are."""
    with path.open("rb") as file:
        names = [name for name, _ in _boxes(file)]
    return bool(names) and names[0] in _MP4_BOXES and b"moov" not in names


def _declared_end(file: BinaryIO) -> int | None:
    head = file.read(12)
    if head[4:8] in _MP4_BOXES:
        return max(end for _, end in _boxes(file))
    if head[:4] == b"RIFF":
        return 8 + int.from_bytes(head[4:8], "little")
    if int.from_bytes(head[:4], "big") == _EBML:
        return _segment_end(file)
    return None


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and end of each box of an mp4, in order, up to where the file ends."""
    start, total = 0, os.fstat(file.fileno()).st_size
    while start + 8 <= total:
        file.seek(start)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:  # 64 bits follow
            size = int.from_bytes(head[8:16], "big")
        elif size == 0:  # up to the end of the file
            size = total - start
        if size < 8:
            return
        start += size
        yield head[4:8], start


def _segment_end(file: BinaryIO) -> int | None:
    """End of the segment of a Matroska file; None for a recording that leaves it open."""
    file.seek(4)
    size = _length(file)
    if size is None:
        return None
    file.seek(size, os.SEEK_CUR)
    if int.from_bytes(file.read(4), "big") != _SEGMENT:
        return None
    size = _length(file)
    return None if size is None else file.tell() + size


def _length(file: BinaryIO) -> int | None:
    """An EBML length: the leading zeros of its first byte tell its bytes; all ones mean unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    extra = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0x7F >> extra)]) + file.read(extra), "big")
    return None if value == (1 << 7 * (extra + 1)) - 1 else value
