"""The masks of a run in one file, to be downloaded."""

from __future__ import annotations

import zipfile
from pathlib import Path

from fsrvos.prediction_folder import MASKS, PREDICTIONS


def pack(folder: Path, archive: Path) -> Path:
    """Puts masks and predictions.json of a folder of predictions into a zip, under the names that they have there."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(folder / PREDICTIONS, PREDICTIONS)
        for mask in sorted((folder / MASKS).rglob("*.png")):  # PNGs are compressed already
            packed.write(mask, str(mask.relative_to(folder)), zipfile.ZIP_STORED)
    return archive
