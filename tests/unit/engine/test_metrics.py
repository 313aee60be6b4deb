import csv
import math
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.ndimage import binary_dilation, gaussian_filter

from fsrvos.engine import metrics
from fsrvos.engine.metrics import ContourAccuracy, RegionSimilarity, contour_accuracy, region_similarity

PROJECT = Path(__file__).parents[3]
COPIED = PROJECT / "tests" / "data" / "metrics"
FULL = PROJECT.parent / "shared" / "metrics"


@pytest.fixture(autouse=True)
def _one_thread():
    """Hundreds of small operations: threads only wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def read(root, side, row):
    return torch.from_numpy(
        np.asarray(Image.open(root / side / row["sequence"] / f"{row['frame']}.png")) != 0
    )


@pytest.mark.parametrize("root", [COPIED, FULL], ids=["copied", "full"])
def test_equal_to_the_official_code(root):
    if not root.exists():
        pytest.skip(f"{root} is not here: the copied 18 frames are checked alone")
    rows = list(csv.DictReader((root / "golden.csv").open()))
    assert len(rows) == (18 if root == COPIED else 81)
    for row in rows:
        masks = read(root, "prediction", row), read(root, "ground_truth", row)
        assert region_similarity(*masks).item() == pytest.approx(float(row["J"]), abs=1e-6)
        assert contour_accuracy(*masks).item() == pytest.approx(float(row["F_bound_0.008"]), abs=1e-6)
        assert contour_accuracy(*masks, 0.010).item() == pytest.approx(float(row["F_bound_0.010"]), abs=1e-6)


def boundary_points(mask):
    """The definition of protocol.md section 4, pixel by pixel."""
    height, width = mask.shape
    points = []
    for y in range(height):
        for x in range(width):
            neighbours = []
            if y + 1 < height and x + 1 < width:
                neighbours = [mask[y, x + 1], mask[y + 1, x], mask[y + 1, x + 1]]
            elif x + 1 < width:
                neighbours = [mask[y, x + 1]]
            elif y + 1 < height:
                neighbours = [mask[y + 1, x]]
            if any(neighbour != mask[y, x] for neighbour in neighbours):
                points.append((y, x))
    return points


def brute_force(prediction, truth, bound):
    """J and F from sets and distances between pairs of pixels; no dilation."""
    union = (prediction | truth).sum()
    J = (prediction & truth).sum() / union if union else 1.0
    radius = math.ceil(bound * math.hypot(*truth.shape))
    ours, theirs = boundary_points(prediction), boundary_points(truth)
    if not ours or not theirs:
        return J, float(not ours and not theirs)

    def share(some, others):
        near = [any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in others) for y, x in some]
        return sum(near) / len(near)

    precision, recall = share(ours, theirs), share(theirs, ours)
    return J, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


small_pairs = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda size: st.tuples(arrays(bool, size), arrays(bool, size))
)


@settings(max_examples=150, deadline=None)
@given(small_pairs, st.sampled_from([0.0, 0.008, 0.1, 0.2, 0.35, 0.9]))
def test_equal_to_brute_force(pair, bound):
    prediction, truth = pair
    masks = torch.from_numpy(prediction), torch.from_numpy(truth)
    J, F = brute_force(prediction, truth, bound)
    assert region_similarity(*masks).item() == pytest.approx(J, abs=1e-12)
    assert contour_accuracy(*masks, bound).item() == pytest.approx(F, abs=1e-12)


@pytest.mark.parametrize("radius", range(0, 24))
def test_dilation_is_a_disk(radius):
    random = np.random.default_rng(radius)
    maps = random.random((2, 31, 45)) > 0.99
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    expected = np.stack([binary_dilation(one, y**2 + x**2 <= radius**2) for one in maps])
    assert np.array_equal(metrics.dilate(torch.from_numpy(maps), radius).numpy(), expected)


def blobs(seed, count, size=(90, 120)):
    """Smooth masks, some empty, some full, of random scale and place."""
    random = np.random.default_rng(seed)
    fields = np.stack([gaussian_filter(random.random(size), random.uniform(1, 9)) for _ in range(count)])
    fields = (fields - fields.mean((1, 2), keepdims=True)) / fields.std((1, 2), keepdims=True)
    masks = torch.from_numpy(fields > random.uniform(-2, 2, (count, 1, 1)))
    masks[0], masks[1] = False, True
    return masks


@pytest.mark.parametrize("bound", [0.008, 0.05])
def test_blobs_by_scipy_and_in_batches(bound):
    prediction, truth = blobs(1, 24), blobs(2, 24)[torch.arange(23, -1, -1)]
    radius = math.ceil(bound * 150)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = y**2 + x**2 <= radius**2
    expected = []
    for ours, theirs in zip(prediction.numpy(), truth.numpy(), strict=True):
        lines = [np.zeros_like(ours), np.zeros_like(ours)]
        for line, mask in zip(lines, (ours, theirs), strict=True):
            for point in boundary_points(mask):
                line[point] = True
        sums = [line.sum() for line in lines]
        if 0 in sums:
            expected.append(float(sums == [0, 0]))
            continue
        precision = (lines[0] & binary_dilation(lines[1], disk)).sum() / sums[0]
        recall = (lines[1] & binary_dilation(lines[0], disk)).sum() / sums[1]
        expected.append(2 * precision * recall / max(precision + recall, 1e-12))
    batched = contour_accuracy(prediction.view(2, 3, 4, 90, 120), truth.view(2, 3, 4, 90, 120), bound)
    assert batched.shape == (2, 3, 4)
    assert batched.dtype == torch.float64
    assert batched.flatten().tolist() == pytest.approx(expected, abs=1e-12)
    # What a GPU takes: all frames in one go, cropped to one common box.
    together = metrics._contour_accuracy(prediction, truth, radius)
    assert together.tolist() == batched.flatten().tolist()
    J = region_similarity(prediction.view(4, 6, 90, 120), truth.view(4, 6, 90, 120))
    single = [region_similarity(a, b).item() for a, b in zip(prediction, truth, strict=True)]
    assert J.flatten().tolist() == single


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_equal_on_a_gpu():
    prediction, truth = blobs(1, 70), blobs(2, 70)
    for score in (region_similarity, contour_accuracy):
        there = score(prediction.cuda(), truth.cuda())
        assert there.is_cuda
        assert torch.equal(there.cpu(), score(prediction, truth))


def full(size=(40, 60)):
    return torch.ones(size, dtype=torch.bool)


def empty(size=(40, 60)):
    return torch.zeros(size, dtype=torch.bool)


def pixel(y, x):
    mask = empty()
    mask[y, x] = True
    return mask


@pytest.mark.parametrize(
    ("prediction", "truth", "J", "F"),
    [
        (empty(), empty(), 1, 1),
        (full(), full(), 1, 1),
        (empty(), full(), 0, 1),  # neither has a boundary: the official code says 1 as well
        (full(), empty(), 0, 1),
        (pixel(20, 30), empty(), 0, 0),
        (empty(), pixel(20, 30), 0, 0),
        (full(), pixel(20, 30), 1 / 2400, 0),
        (pixel(20, 30), pixel(20, 30), 1, 1),
        # The boundary of a pixel are the pixel and its three neighbours up and left; radius ceil(0.57) = 1.
        (pixel(20, 30), pixel(20, 31), 0, 1),
        (pixel(20, 30), pixel(20, 32), 0, 0.5),
        (pixel(20, 30), pixel(20, 34), 0, 0),
        (pixel(0, 0), pixel(0, 0), 1, 1),
        (pixel(39, 59), pixel(39, 59), 1, 1),
        (pixel(0, 0), pixel(39, 59), 0, 0),
        (pixel(0, 59), pixel(0, 58), 0, 1),
    ],
)
def test_empty_full_one_pixel_and_border(prediction, truth, J, F):
    assert region_similarity(prediction, truth).item() == pytest.approx(J, abs=1e-12)
    assert contour_accuracy(prediction, truth).item() == pytest.approx(F, abs=1e-12)


def test_boundaries_at_the_border():
    half = empty((4, 6))
    half[:, 3:] = True
    expected = empty((4, 6))
    expected[:, 2] = True
    assert torch.equal(metrics.boundaries(half), expected)
    corner = empty((4, 6))
    corner[3, 5] = True
    lines = metrics.boundaries(corner)
    assert lines.nonzero().tolist() == [[2, 4], [2, 5], [3, 4]]


def test_torchmetrics_means_and_merging():
    prediction, truth = blobs(3, 10), blobs(4, 10)
    for metric, score in (
        (RegionSimilarity, region_similarity),
        (lambda: ContourAccuracy(bound=0.05), lambda a, b: contour_accuracy(a, b, 0.05)),
    ):
        expected = score(prediction, truth).mean().item()
        whole, one, other = metric(), metric(), metric()
        whole.update(prediction.view(2, 5, 90, 120), truth.view(2, 5, 90, 120))
        one.update(prediction[:3], truth[:3])
        other.update(prediction[3], truth[3])
        other.update(prediction[4:], truth[4:])
        one.merge_state(other)
        assert whole.compute().item() == pytest.approx(expected, abs=1e-12)
        assert one.compute().item() == pytest.approx(expected, abs=1e-12)
        assert whole(prediction[0], truth[0]).item() == score(prediction[0], truth[0]).item()
        whole.reset()
        assert whole.count.item() == 0


def test_two_ranks_with_unequal_shares_agree():
    """Torchmetrics' own synchronisation, with a gather that hands over the states of the other rank."""
    prediction, truth = blobs(5, 8), blobs(6, 8)
    states = []

    def gather(state, group):
        return [of_rank[state.dtype] for of_rank in states]

    ranks = [ContourAccuracy(dist_sync_fn=gather, distributed_available_fn=lambda: True) for _ in range(2)]
    for rank, share in zip(ranks, (slice(0, 7), slice(7, 8)), strict=True):
        rank.update(prediction[share], truth[share])
        states.append({rank.total.dtype: rank.total.clone(), rank.count.dtype: rank.count.clone()})
    expected = contour_accuracy(prediction, truth).mean().item()
    assert [rank.compute().item() for rank in ranks] == pytest.approx([expected] * 2, abs=1e-12)


def test_no_frames_give_no_scores():
    none = torch.zeros(0, 4, 6, dtype=torch.bool)
    assert region_similarity(none, none).shape == (0,)
    assert contour_accuracy(none, none).shape == (0,)


def test_bad_input_is_named():
    mask = empty()
    for score in (region_similarity, contour_accuracy):
        with pytest.raises(ValueError, match=r"one shape.*\(40, 60\).*\(40, 61\)"):
            score(mask, empty((40, 61)))
        with pytest.raises(ValueError, match="float32"):
            score(mask.float(), mask)
        with pytest.raises(ValueError, match="at least one pixel"):
            score(empty((0, 5)), empty((0, 5)))
    with pytest.raises(ValueError, match=r"\[0, 1\), got 8"):
        contour_accuracy(mask, mask, bound=8)
    with pytest.raises(ValueError, match=r"\[0, 1\), got -0.1"):
        ContourAccuracy(bound=-0.1)


SCRIPT = PROJECT / "benchmarks" / "metric_parity.py"


def test_parity_script_on_the_copied_frames():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--root", COPIED], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "18 frames" in done.stdout


def test_parity_script_tells_what_is_off(tmp_path, capsys):
    parity = SimpleNamespace(**runpy.run_path(str(SCRIPT)))
    lines = (COPIED / "golden.csv").read_text().splitlines()
    for side in ("prediction", "ground_truth"):
        (tmp_path / side).symlink_to(COPIED / side)
    sequence, frame, J, F8, F10 = lines[3].split(",")

    def golden(*rows):
        (tmp_path / "golden.csv").write_text("\n".join([lines[0], *(",".join(row) for row in rows)]) + "\n")

    golden((sequence, frame, J, F8, F10))
    assert parity.check(tmp_path) == 0
    golden(lines[1].split(","), (sequence, frame, J, F8, str(float(F10) - 1e-5)))
    assert parity.check(tmp_path) == 1
    assert "FAILED: F_bound_0.010\n" in capsys.readouterr().out
    golden(("absent", "00000", J, F8, F10))
    with pytest.raises(parity.UserError, match=r"absent/00000\.png is missing"):
        parity.check(tmp_path)
    golden((sequence, frame, J, "nan", F10))
    with pytest.raises(parity.UserError, match=r"golden\.csv:2: F_bound_0\.008 must be in \[0, 1\]"):
        parity.check(tmp_path)
    with pytest.raises(parity.UserError, match=r"must hold golden\.csv"):
        parity.check(tmp_path / "nothing")


def test_speed_script_times_equal_scores(capsys, tmp_path):
    speed = SimpleNamespace(**runpy.run_path(str(PROJECT / "benchmarks" / "metric_speed.py")))
    assert speed.main(["--rounds", "1"]) == 0
    out = capsys.readouterr().out
    assert "18 frames of 854 x 480" in out
    assert "ratio" in out
    assert speed.main(["--root", str(tmp_path)]) == 2


def test_the_straightforward_version_is_the_definition():
    speed = SimpleNamespace(**runpy.run_path(str(PROJECT / "benchmarks" / "metric_speed.py")))
    random = np.random.default_rng(3)
    for _ in range(30):
        size = random.integers(1, 14, 2)
        prediction, truth = random.random((2, *size)) > 0.6
        assert speed.straightforward(prediction, truth) == pytest.approx(
            brute_force(prediction, truth, 0.008)
        )
