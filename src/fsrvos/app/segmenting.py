"""What happens behind the button: a video, phrases and a support to a folder of predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsrvos.annotated_video import AnnotatedVideo
from fsrvos.errors import UserError
from fsrvos.prediction_folder import PredictionFolder
from fsrvos.predictor import Predictor
from fsrvos.predictor_checks import check_phrases
from fsrvos.support_set import SupportSet
from fsrvos.video import Video

MOST_PHRASES = 8


@dataclass
class Progress:
    """How far it is.

    Attributes:
        done: Frames that are segmented.
        total: Frames there are; None where only reading to the end can tell.
        picture: The last frame with masks on it, (H, W, 3) uint8.
    """

    done: int
    total: int | None
    picture: np.ndarray


def phrases_of(text: str | None) -> list[str]:
    """One phrase a line; empty lines are left out.

    Raises:
        UserError: No phrase, or more than the page has room for.
    """
    phrases = [line.strip() for line in (text or "").splitlines() if line.strip()]
    check_phrases(phrases)
    if len(phrases) > MOST_PHRASES:
        raise UserError(f"{len(phrases)} phrases are too many for one picture; give at most {MOST_PHRASES}")
    return phrases


def segment(
    predictor: Predictor,
    video: Video,
    phrases: Sequence[str],
    support: SupportSet | None,
    folder: Path,
    stopped: Callable[[], bool],
) -> Iterator[Progress]:
    """Segments a video into ``folder``, in the form of ``fsrvos-predict``.

    Also after a stop, or where a damaged video ends early, the folder holds what was done until then.

    Args:
        predictor: The network.
        video: What to segment.
        phrases: What to find in it.
        support: The annotated frames; None: the phrase alone.
        folder: Where the files go; made if it is not there.
        stopped: Asked after every frame whether to end.

    Yields:
        Progress after every frame.

    Raises:
        UserError: The video is damaged, or the disk is full.
    """
    drawn = AnnotatedVideo(None, video, phrases)
    with PredictionFolder(folder, video, phrases) as written:
        for window in predictor.stream(video, phrases, support):
            for t, frame in enumerate(window.frames):
                if stopped():
                    return
                masks, scores = window.masks[:, t : t + 1], window.scores[:, t : t + 1]
                written.write_window([frame], masks, scores)
                picture = drawn.picture(frame.pixels, list(masks[:, 0]), scores[:, 0].tolist())
                yield Progress(written.done, video.count, picture)
        written.complete = True
