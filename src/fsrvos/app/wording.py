"""What the page says while it works and afterwards, as HTML; whatever the user wrote is escaped."""

from __future__ import annotations

import base64
import io
from html import escape

import numpy as np
from PIL import Image

from fsrvos.app.limits import Limits
from fsrvos.app.painting import Painting
from fsrvos.app.segmenting import Progress
from fsrvos.app.uploads import FirstFrames

_LIVE_WIDTH = 640

HEAD = (
    "<h1>Find it in a video</h1><p>Paint an object in a frame or two, upload another video, and say what to find in it."
    " Nothing leaves the machine that runs this page.</p>"
)
NO_SUPPORT = "This network reads phrases alone: leave this step empty."
WAITING = '<p class="said">Waiting: one video is segmented at a time.</p>'
EMPTY = '<p class="said faint">The result appears here.</p>'


def step(number: int, title: str, help_text: str) -> str:
    """Heading of a step."""
    return f'<h2><span class="number">{number}</span>{title}</h2><p class="help">{help_text}</p>'


def support_help(limits: Limits) -> str:
    """What step 1 takes."""
    return (
        f"Pictures, or a clip, of an object of that kind, up to {limits.max_upload_mb} MB a file. Then paint over the"
        " object."
    )


def video_help(limits: Limits) -> str:
    """What step 2 takes."""
    return f"mp4, mov, webm, mkv, avi or gif, up to {limits.max_upload_mb} MB and {limits.max_frames} frames."


def problem(message: str) -> str:
    """What went wrong."""
    return f'<p class="said problem" role="alert">{escape(message)}</p>'


def outcome(message: str) -> str:
    """What came of it."""
    return f'<p class="said">{escape(message)}</p>'


def working(progress: Progress) -> str:
    """A bar, a count and the last frame."""
    of = "" if progress.total is None else f" of {progress.total}"
    part = 1.0 if progress.total is None else progress.done / max(progress.total, 1)
    return (
        f'<p class="said">Segmenting: frame {progress.done}{of}</p>'
        f'<div class="bar"><div style="width: {100 * part:.1f}%"></div></div>'
        f'<img class="live" alt="the last frame with masks" src="{_data_address(progress.picture)}">'
    )


def seconds(frames: int, spent: float) -> str:
    """How long it took."""
    return f"{_frames(frames)} in {spent:.1f} s ({frames / max(spent, 1e-6):.1f} frames/s)"


def about_video(video: FirstFrames) -> str:
    """What was uploaded."""
    height, width = video.size
    count = "an unknown number of frames" if video.whole is None else _frames(video.whole)
    cut = "" if video.whole == video.count else f"; the first {video.count} of them are segmented"
    return outcome(f"{video.name}: {count}, {width}x{height}, {video.rate:.3g} frames/s{cut}")


def about_painting(painting: Painting) -> str:
    """Where one is among the frames, and which are painted."""
    total, painted = len(painting.order), painting.painted
    if total < 2:
        return outcome("Paint over the whole object.")
    done = f" Painted: {' and '.join(map(str, painted))}." if painted else ""
    return outcome(
        f"Frame {painting.position} of {total}. Paint the object in one, or better in two or three.{done}"
    )


def _frames(count: int) -> str:
    return f"{count} frame" if count == 1 else f"{count} frames"


def _data_address(picture: np.ndarray) -> str:
    """The picture inside the page itself: a file for each frame would pile up."""
    image = Image.fromarray(picture)
    if image.width > _LIVE_WIDTH:
        image = image.resize((_LIVE_WIDTH, max(1, round(image.height * _LIVE_WIDTH / image.width))))
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
