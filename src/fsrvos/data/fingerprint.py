"""Which data a run saw, in a few letters."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from fsrvos.data.annotations import Annotations


def fingerprint(annotations: Annotations) -> dict[str, Any]:
    """Tells data sets apart by their JSON files, byte for byte, and by how many frames lie on disk.

    No picture is read, so it takes seconds at most; equal sets have equal fingerprints wherever they lie, and a frame
    whose pixels change does not show.

    Args:
        annotations: The data set.

    Returns:
        "fingerprint": 16 hexadecimal digits over "files" and "frames"; "files": SHA-256 of each JSON;
        "frames": frame files in the folders of all videos on disk; "root": where it lies.
    """
    layout = annotations.layout
    paths = {
        "meta": layout.meta,
        "expressions": layout.expressions,
        "categories": layout.root / "categories.json",
    }
    files = {
        part: hashlib.sha256(path.read_bytes()).hexdigest() for part, path in paths.items() if path.is_file()
    }
    frames = 0
    with os.scandir(layout.images) as videos:
        for video in videos:
            if video.is_dir():
                frames += sum(name.endswith(layout.suffix) for name in os.listdir(video.path))
    whole = hashlib.sha256(f"{sorted(files.items())} {frames}".encode()).hexdigest()
    return {"fingerprint": whole[:16], "files": files, "frames": frames, "root": str(layout.root.resolve())}
