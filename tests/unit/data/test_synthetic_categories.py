"""The 48 categories: different by design, and seen from their pixels alike within and different between."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from PIL import Image
from synthetic_sample import Video, videos

from fsrvos.data.synthetic.categories import CATEGORIES, held_out_numbers
from fsrvos.data.synthetic.patterns import DESCRIPTIONS, PATTERNS
from fsrvos.data.synthetic.silhouettes import SILHOUETTES

GRID = 20


def test_no_two_categories_wear_the_same():
    assert len(CATEGORIES) == 48
    assert len({(c.silhouette, c.pattern) for c in CATEGORIES}) == 48
    assert Counter(c.silhouette for c in CATEGORIES) == dict.fromkeys(SILHOUETTES, 4)
    assert Counter(c.pattern for c in CATEGORIES) == dict.fromkeys(PATTERNS, 6)
    assert set(DESCRIPTIONS) == set(PATTERNS)


@pytest.mark.parametrize("group", [1, 2, 3, 4])
def test_held_out_parts_are_known_from_training(group):
    numbers = held_out_numbers(group)
    assert numbers == tuple(n for n in range(1, 49) if (n - 1) % 4 == group - 1)
    unseen = [CATEGORIES[n - 1] for n in numbers]
    known = [c for c in CATEGORIES if c not in unseen]
    assert {c.silhouette for c in unseen} <= {c.silhouette for c in known}
    assert {c.pattern for c in unseen} <= {c.pattern for c in known}
    assert len({c.silhouette for c in unseen}) == 12


def test_nouns_are_clearly_different():
    def distance(a: str, b: str) -> int:
        row = list(range(len(b) + 1))
        for i, x in enumerate(a, start=1):
            before, row[0] = row[0], i
            for j, y in enumerate(b, start=1):
                before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
        return row[-1]

    nouns = [c.noun for c in CATEGORIES]
    assert all(noun.isalpha() and noun.islower() and 5 <= len(noun) <= 8 for noun in nouns)
    assert min(distance(a, b) for a, b in combinations(nouns, 2)) >= 3


def descriptors(video: Video, object_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Shape (GRID, GRID) and ink (GRID, GRID, -1 dark, 0 body, 1 pale) of an object where it is seen best."""
    t = int(np.argmax(video.areas(object_id)))
    mask = video.masks[t] == int(object_id)
    ys, xs = np.nonzero(mask)
    side = max(np.ptp(ys), np.ptp(xs)) + 3
    top, left = (ys.min() + ys.max() + 1) / 2 - side / 2, (xs.min() + xs.max() + 1) / 2 - side / 2
    box = (left, top, left + side, top + side)
    shape = Image.fromarray(mask.astype(np.uint8) * 255)
    shape = shape.transform((GRID, GRID), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
    pixels = video.frames[t].astype(int)
    ink = np.where(pixels.max(axis=2) < 110, -1.0, np.where(pixels.min(axis=2) > 185, 1.0, 0.0)) * mask
    ink = Image.fromarray(ink.astype(np.float32))
    ink = ink.transform((GRID, GRID), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
    return np.asarray(shape) / 255.0, np.asarray(ink)


def ink_statistics(shape: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """What a pattern is wherever it lies: amounts of ink, and its energy by frequency."""
    amounts = [np.clip(ink, 0, 1).sum(), np.clip(-ink, 0, 1).sum()]
    energy = np.abs(np.fft.rfft2(ink)) / shape.sum()
    folded = np.maximum(energy[:8, :8], energy[-np.arange(8) % GRID, :8])  # either mirror image
    return np.concatenate([np.array(amounts) / shape.sum() * 3, folded.ravel() * 6])


@pytest.fixture(scope="module")
def instances():
    """(labels, (K, K) distances) of every object that is seen whole at least once."""
    labels, shapes, inks = [], [], []
    nouns = {c.noun: k for k, c in enumerate(CATEGORIES)}
    for video in videos():
        for object_id, thing in video.objects.items():
            shape, ink = descriptors(video, object_id)
            labels.append(nouns[thing["category"]])
            shapes.append(shape)
            inks.append(ink_statistics(shape, ink))
    stack, marks = np.stack(shapes), np.stack(inks)
    flat, mirrored = stack.reshape(len(stack), -1), stack[:, :, ::-1].reshape(len(stack), -1)

    def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0))

    outer = np.minimum(apart(flat, flat), apart(flat, mirrored))
    surface = apart(marks, marks)
    return np.array(labels), outer / outer.mean() + surface / surface.mean()


def test_instances_of_a_category_look_alike(instances):
    labels, distances = instances
    np.fill_diagonal(distances, np.inf)
    nearest = labels[np.argmin(distances, axis=1)]
    assert (nearest == labels).mean() > 0.9  # chance is 2 percent
    parts = np.array([[SILHOUETTES.index(c.silhouette), PATTERNS.index(c.pattern)] for c in CATEGORIES])
    agree = parts[nearest] == parts[labels]
    assert agree[:, 0].mean() > 0.97
    assert agree[:, 1].mean() > 0.92


def test_instances_are_nearer_within_than_between_categories(instances):
    labels, distances = instances
    same = labels[:, None] == labels[None]
    for k in range(len(CATEGORIES)):
        mine = labels == k
        within = distances[np.ix_(mine, mine)]
        between = distances[np.ix_(mine, ~mine)]
        assert np.median(within[np.isfinite(within)]) < 0.85 * np.median(between), CATEGORIES[k]
    assert np.median(distances[same & np.isfinite(distances)]) < 0.6 * np.median(distances[~same])
