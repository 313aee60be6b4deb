"""What can be wrong with a data set: the kinds of fault, each with its cure, and how a check tells of one.

A check raises `fault_error`, a `UserError` that carries its `Fault`. Training lets the first one through. A caller that
wants all of them passes a ``report``, and `told` hands every fault to it and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fsrvos.errors import UserError


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        title: What is wrong, in a few words.
        cure: What mends it.
        is_warning: Whether it merely loses data; other kinds stop training or teach what is false.
    """

    title: str
    cure: str
    is_warning: bool = False


_AGAIN = "download or extract this file again"
_ONE_SIZE = "extract the frames and masks of the video again, all in one size"

KINDS: dict[str, Kind] = {
    "file-missing": Kind("part of the data set missing", "restore it, or give the folder that holds it"),
    "json": Kind("JSON broken or not in the layout", "mend the entry, or download the file again"),
    "unsafe-id": Kind("ids that could leave the data root", "rename it to a plain name, it becomes a path"),
    "no-object-ids": Kind("no object ids at all", "use annotations that name the object of each expression"),
    "expression-empty": Kind("expressions without text", "write the phrase, or drop the expression"),
    "expression-without-object": Kind(
        "expressions without object", "name an object of the video in obj_id, or drop the expression"
    ),
    "distractor": Kind(
        "distractors that are none", "name an expression of another object of the video, or leave the key out"
    ),
    "object-entry": Kind("object entries incomplete", "give every object its category and its frames"),
    "object-id": Kind("object ids that no mask can hold", "number the objects of a video 1-255, as in its masks"),
    "category-unknown": Kind(
        "unknown categories",
        "correct the name, or list this data set's own names in categories.json at its root",
    ),
    "categories-few": Kind("no two videos of a category", "add videos, or choose another group"),
    "video-without-frames": Kind("videos without frames", "extract the frames, or drop the video from the JSON"),
    "video-without-masks": Kind("videos without masks", "extract the masks, or drop the video from the JSON"),
    "video-unknown": Kind(
        "videos that the JSON of the objects lacks", "take both JSON files from one release of the data"
    ),
    "frame-missing": Kind("frames missing", "restore the file, or drop the frame from the JSON"),
    "frame-unreadable": Kind("frames unreadable", _AGAIN),
    "mask-missing": Kind("masks missing", "restore the file, or drop the frame from the JSON"),
    "mask-unreadable": Kind("masks unreadable", _AGAIN),
    "mask-mode": Kind("masks that hold no object ids", "save it as 8-bit palette PNG whose values are the ids"),
    "frame-size": Kind("frames of another size than their video", _ONE_SIZE),
    "mask-size": Kind("masks of another size than their frame", _ONE_SIZE),
    "object-in-no-mask": Kind(
        "objects of the JSON in no mask", "correct the id in JSON or masks, or drop the object from the JSON"
    ),
    "value-in-no-json": Kind(
        "mask values that are no object of the JSON", "add the object to the JSON, or correct the masks"
    ),
    # From here on: what merely loses data.
    "json-key-twice": Kind("keys given twice in one JSON object", "rename one, only the last is read", True),
    "category-one-video": Kind(
        "categories with one video", "add a second video, an episode needs two; left out until then", True
    ),
    "expression-repeated": Kind("expressions given twice", "drop one, it only counts double", True),
    "expression-ambiguous": Kind(
        "one phrase for several objects", "say what tells the objects apart, no network can choose by it", True
    ),
    "object-without-expression": Kind(
        "objects without expression", "write an expression for it; not used until then", True
    ),
    "object-never-visible": Kind(
        "objects visible in no frame", "list the frames that show it; not used until then", True
    ),
    "object-not-in-frame": Kind(
        "objects listed visible in frames whose masks lack them", "drop those frames from the object's list", True
    ),
    "object-not-listed": Kind(
        "objects in masks of frames that do not list them", "add those frames to the object's list", True
    ),
    "frame-not-listed": Kind(
        "frames of objects that their video does not list", "add them to the video's frames; not used until then",
        True,
    ),
    "video-without-expression": Kind(
        "videos without expression", "write expressions for it, or drop it; not used until then", True
    ),
    "split-without-ids": Kind(
        "splits without object ids", "nothing, if it is the public validation or test split; no episode uses it",
        True,
    ),
    "split-incomplete": Kind("splits not checked as a whole", "restore the missing part, if you need it", True),
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        kind: Key of `KINDS`.
        file: The file or folder it is in.
        problem: What is wrong, and where in the file.
        cure: What mends it.
    """

    kind: str
    file: Path
    problem: str
    cure: str

    @property
    def is_warning(self) -> bool:
        """Whether it merely loses data."""
        return KINDS[self.kind].is_warning


Report = Callable[[Fault], None]


def fault(kind: str, file: Path, problem: str, cure: str | None = None) -> Fault:
    """Describes a fault; the cure is that of its kind unless a better one is known."""
    return Fault(kind, file, problem, cure or KINDS[kind].cure)


def fault_error(
    kind: str, file: Path, problem: str, cure: str | None = None, line_end: str | None = None
) -> UserError:
    """The exception of a fault, in one line.

    Args:
        kind: Key of `KINDS`.
        file: The file or folder it is in.
        problem: What is wrong.
        cure: What mends it, if that is not the cure of the kind.
        line_end: What the line of the exception ends with instead of the cure.
    """
    end = line_end or cure
    error = UserError(f"{file}: {problem}" + (f"; {end}" if end else ""))
    error.fault = fault(kind, file, problem, cure)
    return error


def is_of_a_file(error: UserError) -> bool:
    """Whether one frame or mask is what is wrong, so that the rest of the data set may be in order."""
    found = error.fault
    return isinstance(found, Fault) and found.kind.split("-")[0] in ("frame", "mask")


@contextmanager
def told(report: Report | None) -> Iterator[None]:
    """Hands a fault that is raised inside to ``report`` and goes on after the block; without report it passes.

    Raises:
        UserError: A mistake that is no fault of a data set, or any without ``report``.
    """
    try:
        yield
    except UserError as error:
        if report is None or not isinstance(error.fault, Fault):
            raise
        report(error.fault)
