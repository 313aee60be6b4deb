"""Checks J and F against golden numbers: ``python benchmarks/metric_parity.py --root DIR``.

DIR holds ``golden.csv`` with the columns ``sequence, frame, J, F_bound_0.008, F_bound_0.010``, and the masks
in ``ground_truth/SEQUENCE/FRAME.png`` and ``prediction/SEQUENCE/FRAME.png``; any pixel but 0 is in the mask.
Exit code 1 when a score is off by more than 1e-6, 2 when the folder cannot be read.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from fsrvos.engine.metrics import contour_accuracy, region_similarity
from fsrvos.errors import UserError

TOLERANCE = 1e-6
SCORES = {
    "J": region_similarity,
    "F_bound_0.008": lambda prediction, truth: contour_accuracy(prediction, truth, 0.008),
    "F_bound_0.010": lambda prediction, truth: contour_accuracy(prediction, truth, 0.010),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder with golden.csv and the masks")
    root = parser.parse_args().root
    torch.set_num_threads(1)
    try:
        return check(root)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def check(root: Path) -> int:
    """Compares, prints the table, returns the exit code."""
    rows = read_golden(root / "golden.csv")
    worst = dict.fromkeys(SCORES, (-1.0, ""))
    seconds = dict.fromkeys(SCORES, 0.0)
    for row in rows:
        name = f"{row['sequence']}/{row['frame']}"
        prediction, truth = (
            read_mask(root / side / f"{name}.png") for side in ("prediction", "ground_truth")
        )
        if prediction.shape != truth.shape:
            raise UserError(
                f"{root / 'prediction' / name}.png is {tuple(prediction.shape)}, its ground truth "
                f"{tuple(truth.shape)}: both must have one size"
            )
        for column, score in SCORES.items():
            start = time.perf_counter()
            error = abs(score(prediction, truth).item() - row[column])
            seconds[column] += time.perf_counter() - start
            worst[column] = max(worst[column], (error, name))
    print(f"{len(rows)} frames of {root}, tolerance {TOLERANCE:g}, one thread")
    print(f"{'column':<15}{'largest error':>15}{'ms a frame':>12}   frame of the largest error")
    for column, (error, name) in worst.items():
        print(f"{column:<15}{error:>15.2e}{1e3 * seconds[column] / len(rows):>12.2f}   {name}")
    failed = [column for column, (error, _) in worst.items() if error > TOLERANCE]
    print(f"FAILED: {', '.join(failed)}" if failed else "equal")
    return 1 if failed else 0


def read_golden(path: Path) -> list[dict]:
    """Rows of golden.csv, scores as numbers."""
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames or []
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; --root must hold golden.csv") from None
    if missing := [name for name in ("sequence", "frame", *SCORES) if name not in columns]:
        raise UserError(f"{path}: column {', '.join(missing)} is missing")
    if not rows:
        raise UserError(f"{path}: no frame is listed")
    for number, row in enumerate(rows, start=2):
        for column in SCORES:
            try:
                row[column] = float(row[column])
            except (TypeError, ValueError):
                raise UserError(f"{path}:{number}: {column} must be a number, got {row[column]!r}") from None
            if not 0 <= row[column] <= 1:
                raise UserError(f"{path}:{number}: {column} must be in [0, 1], got {row[column]}")
    return rows


def read_mask(path: Path) -> torch.Tensor:
    """(H, W) bool; palette images by index, the others by brightness."""
    try:
        with Image.open(path) as image:
            flat = image if image.mode in ("1", "L", "P", "I", "I;16", "F") else image.convert("RGB")
            values = np.asarray(flat) != 0
    except FileNotFoundError:
        raise UserError(f"{path} is missing, golden.csv lists it") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise UserError(f"{path} cannot be read as an image: {error}") from None
    return torch.from_numpy(values.any(-1) if values.ndim == 3 else values)


if __name__ == "__main__":
    sys.exit(main())
