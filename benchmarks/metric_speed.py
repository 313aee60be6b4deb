"""Times J and F (bound 0.008) on frames of 854 x 480 against a straightforward NumPy and SciPy version, on one thread.

    python benchmarks/metric_speed.py [--root DIR] [--rounds 5]

DIR is laid out as for metric_parity.py; by default the 18 frames in tests/data/metrics. Both ways take the frames in
turn, frame by frame, and the clock is that of the processor, so that a busy machine is no matter; told is the median over
frames and rounds, and the median of the ratios. Exit code 1 when the two ways disagree.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from metric_parity import read_golden, read_mask
from scipy.ndimage import binary_dilation

from fsrvos.engine.metrics import contour_accuracy, region_similarity
from fsrvos.errors import UserError

COPIED = Path(__file__).parents[1] / "tests" / "data" / "metrics"
BOUND, TARGET_MS, SIZE = 0.008, 2.0, (480, 854)


def straightforward(prediction: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """J and F as one would write them down: arrays, and SciPy's dilation with a disk."""
    union = (prediction | truth).sum()
    J = (prediction & truth).sum() / union if union else 1.0
    radius = math.ceil(BOUND * math.hypot(*truth.shape))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = x**2 + y**2 <= radius**2
    ours, theirs = edges(prediction), edges(truth)
    if not ours.any() or not theirs.any():
        return float(J), float(not ours.any() and not theirs.any())
    precision = (ours & binary_dilation(theirs, disk)).sum() / ours.sum()
    recall = (theirs & binary_dilation(ours, disk)).sum() / theirs.sum()
    total = precision + recall
    return float(J), float(2 * precision * recall / total) if total else 0.0


def edges(mask: np.ndarray) -> np.ndarray:
    """Pixels that differ from their right, lower or lower-right neighbour."""
    right, below, diagonal = mask.copy(), mask.copy(), mask.copy()
    right[:, :-1], below[:-1], diagonal[:-1, :-1] = mask[:, 1:], mask[1:], mask[1:, 1:]
    found = (mask ^ right) | (mask ^ below) | (mask ^ diagonal)
    found[-1], found[:, -1] = mask[-1] ^ right[-1], mask[:, -1] ^ below[:, -1]
    found[-1, -1] = False
    return found


def measure(root: Path, rounds: int) -> int:
    """Times both ways, prints the table, returns the exit code."""
    rows = read_golden(root / "golden.csv")
    names = [f"{row['sequence']}/{row['frame']}" for row in rows]
    pairs = [
        [read_mask(root / side / f"{name}.png") for side in ("prediction", "ground_truth")] for name in names
    ]
    pairs = [pair for pair in pairs if pair[0].shape == SIZE]
    if not pairs:
        raise UserError(f"{root}: no frame of {SIZE[1]} x {SIZE[0]}; this is what is timed")
    ours: list[float] = []
    theirs: list[float] = []
    worst = 0.0
    for _ in range(rounds):
        for prediction, truth in pairs:
            arrays = prediction.numpy(), truth.numpy()
            start = time.process_time()
            found = (
                region_similarity(prediction, truth).item(),
                contour_accuracy(prediction, truth, BOUND).item(),
            )
            middle = time.process_time()
            expected = straightforward(*arrays)
            ours.append(1e3 * (middle - start))
            theirs.append(1e3 * (time.process_time() - middle))
            worst = max(worst, *(abs(a - b) for a, b in zip(found, expected, strict=True)))
    ratio = median(b / a for a, b in zip(ours, theirs, strict=True))
    print(
        f"{len(pairs)} frames of {SIZE[1]} x {SIZE[0]}, {rounds} rounds, one thread; largest difference {worst:.1e}"
    )
    print(f"fsrvos          {median(ours):7.2f} ms a frame for J and F (best {min(ours):.2f})")
    print(f"NumPy, SciPy    {median(theirs):7.2f} ms a frame for J and F (best {min(theirs):.2f})")
    verdict = "met" if median(ours) <= TARGET_MS else "not met in this run"
    print(f"ratio {ratio:.1f}; target of {TARGET_MS:g} ms: {verdict}")
    return 1 if worst > 1e-9 else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=COPIED, help="folder with golden.csv and the masks")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        return measure(options.root, options.rounds)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
