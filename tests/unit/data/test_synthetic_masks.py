"""Masks are exact: composed again layer by layer, compared with the geometry and with the pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image
from synthetic_sample import PARAMETERS, read, root, videos

from fsrvos.data.synthetic.actor import SAMPLES, Look, Pose, draw
from fsrvos.data.synthetic.categories import CATEGORIES
from fsrvos.data.synthetic.colors import COLORS
from fsrvos.data.synthetic.film import least_pixels, shoot
from fsrvos.data.synthetic.silhouettes import SILHOUETTES, outline


def repainted(scene, t: int) -> np.ndarray:
    """The mask of frame t, object by object and pixel by pixel, from far to near, then the post."""
    height, width = scene.size
    mask = np.zeros((height, width), dtype=np.uint8)
    for actor in scene.actors:
        patch = draw(actor.look, actor.poses[t])
        coverage = (patch.body.astype(float) + patch.ink) / SAMPLES**2
        for (y, x), share in np.ndenumerate(coverage):
            row, column = y + patch.top, x + patch.left
            if share >= 0.5 and 0 <= row < height and 0 <= column < width:
                mask[row, column] = actor.object_id
    if scene.post is not None:
        left, right = scene.post.lefts[t] / 4, (scene.post.lefts[t] + scene.post.width) / 4
        for column in range(width):
            if min(column + 1, right) - max(column, left) >= 0.5:
                mask[:, column] = 0
    return mask


@pytest.mark.parametrize("number", [1, 8, 15, 22, 29, 36])
def test_masks_are_the_painters(number):
    overlapped = False
    for take in range(2):
        film = shoot(PARAMETERS["seed"], number, take, PARAMETERS["frames"], PARAMETERS["size"])
        for t in (0, 5, 9):
            path = root() / "train/Annotations" / film.scene.cast.video / f"{t:05d}.png"
            truth = repainted(film.scene, t)
            np.testing.assert_array_equal(np.asarray(Image.open(path)), truth)
            overlapped |= any((truth == k + 1).sum() < n for k, n in enumerate(film.footage.whole[t]))
    assert overlapped


def test_posts_hide_objects_and_are_none():
    posts = [name for name, scene in read("scenes.json")["videos"].items() if scene["post"]]
    assert posts
    for name in posts[:6]:
        film = shoot(
            PARAMETERS["seed"], int(name[:2]), int(name[3:]), PARAMETERS["frames"], PARAMETERS["size"]
        )
        path = root() / "train/Annotations" / name / "00004.png"
        np.testing.assert_array_equal(np.asarray(Image.open(path)), repainted(film.scene, 4))


def inside(points: np.ndarray, polygon: tuple[tuple[float, float], ...]) -> np.ndarray:
    """(K,) whether points (K, 2) lie in a polygon, by the even-odd rule."""
    odd = np.zeros(len(points), dtype=bool)
    for (x0, y0), (x1, y1) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        crosses = (y0 > points[:, 1]) != (y1 > points[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            at = x0 + (points[:, 1] - y0) * (x1 - x0) / (y1 - y0)
        odd ^= crosses & (points[:, 0] < at)
    return odd


@pytest.mark.parametrize("silhouette", SILHOUETTES)
def test_coverage_is_the_outlines_geometry(silhouette):
    category = next(c for c in CATEGORIES if c.silhouette == silhouette)
    look = Look(category, "red", side=26.0, stretch=1.05, wobble=0.4)
    pose = Pose(x=40.3, y=37.8, tilt=17.0, heading=-1)
    patch = draw(look, pose)
    ys, xs = np.mgrid[: patch.body.shape[0] * 8, : patch.body.shape[1] * 8] / 8 + 1 / 16
    x, y = xs.ravel() + patch.left - pose.x, ys.ravel() + patch.top - pose.y
    cos, sin = math.cos(math.radians(pose.tilt)), math.sin(math.radians(pose.tilt))
    body = np.stack([-(cos * x + sin * y) / (26 * 1.05), (cos * y - sin * x) / (26 / 1.05)], axis=1)
    painted = np.zeros(len(body), dtype=bool)
    for polygon, solid in outline(silhouette, 0.4):
        painted[inside(body, polygon)] = solid
    share = painted.reshape(patch.body.shape[0], 8, -1, 8).mean(axis=(1, 3))
    drawn = (patch.body.astype(float) + patch.ink) / SAMPLES**2
    assert np.abs(share - drawn).mean() < 0.01
    assert np.abs(share - drawn).max() <= 0.6  # whole-sample vertices move an edge by a fraction of a pixel
    both, either = (share >= 0.5) & patch.solid, (share >= 0.5) | patch.solid
    assert both.sum() / either.sum() > 0.93


def test_ids_and_visible_frames_agree_with_the_masks():
    for video in videos():
        assert set(np.unique(video.masks)) - {0} == {int(k) for k in video.objects}
        for object_id, thing in video.objects.items():
            shown = np.flatnonzero((video.masks == int(object_id)).any(axis=(1, 2)))
            assert thing["frames"] == [f"{t:05d}" for t in shown]


def test_objects_are_seen_often_whole_often_and_never_as_slivers():
    height, width = PARAMETERS["size"]
    shares = []
    for video in videos():
        for object_id in video.objects:
            areas = video.areas(object_id)
            shown = areas[areas > 0]
            assert len(shown) >= 0.6 * len(areas)
            assert shown.min() >= least_pixels((height, width))
            assert video.whole(object_id).sum() >= 3
            shares.append(areas.max() / (height * width))
    assert min(shares) > 0.018
    assert max(shares) < 0.12


def inner(mask: np.ndarray) -> np.ndarray:
    """(H, W) pixels whose 5 x 5 neighbours all have the same id."""
    same = np.ones_like(mask, dtype=bool)
    for dy, dx in np.ndindex(5, 5):
        same &= np.roll(mask, (dy - 2, dx - 2), axis=(0, 1)) == mask
    return same


def test_pictures_agree_with_masks():
    """Off the borders an object's pixels mix its colour and its ink; the ground's are grey."""
    patterns = {category.noun: category.pattern for category in CATEGORIES}
    scenes = read("scenes.json")["videos"]
    for video in videos()[::4]:
        for frame, mask in zip(video.frames.astype(float), video.masks, strict=True):
            deep = inner(mask)
            for object_id, thing in scenes[video.name]["objects"].items():
                pixels = frame[deep & (mask == int(object_id))]
                body = np.array(COLORS[thing["color"]], dtype=float)
                dark = patterns[thing["category"]] in ("rim", "bars", "checker", "halves")
                ink = body * 0.22 if dark else np.full(3, 250.0)
                share = np.clip((pixels - ink) @ (body - ink) / ((body - ink) @ (body - ink)), 0, 1)
                off = np.abs(pixels - ink - share[:, None] * (body - ink)).max(axis=1)
                assert len(pixels) < 30 or (off < 30).mean() > 0.93, (video.name, object_id)
            ground = frame[deep & (mask == 0)]
            assert (np.ptp(ground, axis=1) < 75).mean() > 0.99, video.name


def test_some_objects_leave_and_return_and_some_are_hidden():
    returned = hidden = 0
    for video in videos():
        for object_id in video.objects:
            shown = np.flatnonzero(video.areas(object_id))
            returned += bool((np.diff(shown) > 1).any())
        hidden += any(not video.whole(k).all() for k in video.objects)
    assert returned >= 5
    assert hidden > len(videos()) / 3
