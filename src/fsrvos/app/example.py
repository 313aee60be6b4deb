"""Something to try the page with: a support and a video of one made-up category, drawn when they are asked for.

They are scenes of the synthetic benchmark under a seed that no benchmark uses, so nothing has been trained on them. A
network trained on that benchmark can do them, any other network may not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsrvos.app.limits import Limits
from fsrvos.app.painting import Painting
from fsrvos.app.uploads import spread
from fsrvos.data.synthetic.film import Film, shoot
from fsrvos.video import VideoWriter

SEED = 20_261_126
# The first category: group 1, which the demo trains for, holds it out.
_CATEGORY, _SUPPORT_TAKE, _VIDEO_TAKE = 1, 2, 7
_SUPPORT_FRAMES, _VIDEO_FRAMES, _RATE = 8, 24, 8.0
_SIZE = (224, 384)


@dataclass
class Example:
    """What the example button fills in.

    Attributes:
        support: Clip that shows the object.
        painting: Its frames, two of them with the object's mask.
        name: What the object is called.
        video: The video.
        phrases: One for each of the two objects of that category in it.
    """

    support: Path
    painting: Painting
    name: str
    video: Path
    phrases: list[str]


def make_example(folder: Path, limits: Limits) -> Example:
    """Draws the example into a folder; files that are there already are replaced."""
    support, video = (
        shoot(SEED, _CATEGORY, take, frames, _SIZE)
        for take, frames in ((_SUPPORT_TAKE, _SUPPORT_FRAMES), (_VIDEO_TAKE, _VIDEO_FRAMES))
    )
    noun = support.scene.cast.categories[0].noun
    clip = _write(folder / f"support_{noun}.mp4", support)
    painting = Painting()
    painting.take_uploads([clip], limits)
    wanted = next(actor.object_id for actor in support.scene.actors if actor.look.category.noun == noun)
    (key,) = painting.clips
    offered = spread(min(_SUPPORT_FRAMES, limits.max_frames), min(limits.support_frames, limits.max_support))
    masks = support.footage.masks[offered] == wanted
    largest = np.argsort(-masks.sum(axis=(1, 2)), kind="stable")[:2]
    painting.masks = {(key, int(number)): masks[number] for number in largest}
    painting.current = (key, int(largest[0]))
    phrases = {p.object_id: p.text for p in reversed(video.phrases) if noun in p.text.split()}
    return Example(
        clip,
        painting,
        f"a {noun}",
        _write(folder / f"video_{noun}.mp4", video),
        [phrases[key] for key in sorted(phrases)],
    )


def _write(path: Path, film: Film) -> Path:
    with VideoWriter(path, _SIZE, _RATE) as writer:
        for frame in film.footage.frames:
            writer.write(frame)
    return path
