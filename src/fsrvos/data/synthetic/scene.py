"""A video before any pixel is drawn: its objects, their paths, the camera's drift and what hides them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fsrvos.data.synthetic.actor import Look, Pose
from fsrvos.data.synthetic.backgrounds import BACKGROUNDS
from fsrvos.data.synthetic.casting import Cast
from fsrvos.data.synthetic.motion import Path, Zone, path
from fsrvos.data.synthetic.plans import plans


@dataclass(frozen=True)
class Actor:
    """One object of a scene.

    Attributes:
        object_id: Its value in the masks, from 1.
        look: What it looks like in all frames.
        motion: One of ``MOVES``, or ``LEAVE``.
        poses: Where it is in every frame, in image pixels (the camera's drift included).
        contrast: What is meant to tell it from the other object of its category, None when it has none.
    """

    object_id: int
    look: Look
    motion: str
    poses: tuple[Pose, ...]
    contrast: str | None


@dataclass(frozen=True)
class Post:
    """A post in the foreground that is no object: it hides what passes behind it.

    Attributes:
        lefts: Its left border in every frame, in quarter pixels.
        width: Its width, in quarter pixels.
        shade: Its grey.
    """

    lefts: tuple[int, ...]
    width: int
    shade: int


@dataclass(frozen=True)
class Scene:
    """A video before any pixel is drawn.

    Attributes:
        cast: The categories that play.
        size: Height and width in pixels.
        actors: The objects in painter's order, the farthest first.
        camera: Where the camera is in every frame: (x, y) in half pixels.
        background: Kind and seed of the background.
        post: The post in front of everything, or None.
    """

    cast: Cast
    size: tuple[int, int]
    actors: tuple[Actor, ...]
    camera: tuple[tuple[int, int], ...]
    background: tuple[str, int]
    post: Post | None

    def rival(self, actor: Actor) -> Actor | None:
        """The other object of the actor's category, if there is one."""
        others = (a for a in self.actors if a.look.category == actor.look.category and a is not actor)
        return next(others, None)


def sketch(rng: np.random.Generator, cast: Cast, frames: int, size: tuple[int, int]) -> Scene | None:
    """Draws a scene, or None when its objects found no room.

    Args:
        rng: Everything random about it.
        cast: The categories that play.
        frames: Number of frames.
        size: Height and width in pixels.
    """
    camera = _drift(rng, frames, size)
    roles = plans(rng, cast, size)
    ids = iter((rng.permutation(sum(cast.counts)) + 1).tolist())
    actors: list[Actor] = []
    paths: list[Path] = []
    for category, plan in zip(cast.categories, roles, strict=True):
        for k, motion in enumerate(plan.motions):
            stretch, wobble = 1 + rng.uniform(-0.07, 0.07), rng.uniform(-1, 1)
            look = Look(category, plan.colors[k], plan.sides[k], stretch, wobble)
            route = _free_path(rng, look, motion, frames, size, plan.zones[k], actors, paths)
            if route is None:
                return None
            paths.append(route)
            poses = _poses(rng, route, motion, camera)
            actors.append(Actor(next(ids), look, motion, poses, plan.contrast))
    order = rng.permutation(len(actors))
    post = _post(rng, camera, size) if rng.uniform() < 0.3 else None
    kind = BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))]
    backdrop = (kind, int(rng.integers(2**31)))
    return Scene(cast, size, tuple(actors[k] for k in order), camera, backdrop, post)


def _drift(rng: np.random.Generator, frames: int, size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """A straight slow drift whose middle is the origin, at most 5 percent of the frame in all."""
    height, width = size
    dx, dy = rng.uniform(-0.05, 0.05) * width, rng.uniform(-0.05, 0.05) * height
    return tuple(
        (round(2 * dx * (t / (frames - 1) - 0.5)), round(2 * dy * (t / (frames - 1) - 0.5)))
        for t in range(frames)
    )


def _free_path(
    rng: np.random.Generator,
    look: Look,
    motion: str,
    frames: int,
    size: tuple[int, int],
    zone: Zone,
    actors: list[Actor],
    paths: list[Path],
) -> Path | None:
    """A path that meets the earlier objects' paths for a while at most, None when some tries found none."""
    for _ in range(20):
        route = path(rng, motion, frames, size, 0.62 * look.side, zone)
        meetings = [
            sum(math.dist(a, b) < 0.55 * (look.side + actor.look.side) for a, b in zip(*pair, strict=True))
            for actor, other in zip(actors, paths, strict=True)
            for pair in [(route.centres, other.centres)]
        ]
        if all(meeting <= frames * 0.35 for meeting in meetings):
            return route
    return None


def _poses(
    rng: np.random.Generator, route: Path, motion: str, camera: tuple[tuple[int, int], ...]
) -> tuple[Pose, ...]:
    """The path as the camera sees it, the body tilted and, when it moves, swaying a little."""
    tilt = rng.uniform(-19, 19)
    sway = 0.0 if motion == "still" else rng.uniform(-6, 6)
    last = len(route.centres) - 1
    return tuple(
        Pose(round(x - dx / 2, 3), round(y - dy / 2, 3), round(tilt + sway * (2 * t / last - 1), 3), heading)
        for t, ((x, y), heading, (dx, dy)) in enumerate(
            zip(route.centres, route.headings, camera, strict=True)
        )
    )


def _post(rng: np.random.Generator, camera: tuple[tuple[int, int], ...], size: tuple[int, int]) -> Post:
    """A post somewhere in the middle; being near, it drifts twice as fast as the ground."""
    width = round(4 * size[1] * rng.uniform(0.035, 0.06))
    middle = 4 * size[1] * rng.uniform(0.2, 0.8)
    return Post(tuple(round(middle - 4 * dx) for dx, _ in camera), width, int(rng.integers(60, 130)))
