"""Where a benchmark's files lie below a data root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fsrvos.data.faults import Report, fault_error, told
from fsrvos.errors import UserError

FOLDERS = {"ytvos": ("Mini-Ref-YouTube-VOS",), "sailvos": ("Mini-Ref-SAIL-VOS", "mini-SAIL-VOS")}
_META_NAMES = ("meta.json", "train.json")
_IMAGES = {
    "ytvos": (("JPEGImages", ".jpg"),),
    "sailvos": (("Images", ".bmp"), ("JPEGImages", ".jpg")),
}
VIDEO_FOLDERS = ("JPEGImages", "Images", "Annotations")


@dataclass(frozen=True)
class Layout:
    """Paths of one data set.

    Attributes:
        name: "ytvos" or "sailvos".
        root: The data set's own folder.
        meta: JSON with the objects of each video.
        expressions: JSON with the frames and expressions of each video.
        images: Folder of the videos' frame folders.
        suffix: Suffix of the frames.
        masks: Folder of the videos' mask folders.
    """

    name: str
    root: Path
    meta: Path
    expressions: Path
    images: Path
    suffix: str
    masks: Path

    def frame(self, video: str, frame: str) -> Path:
        """Returns the path of one frame.

        Raises:
            UserError: If it is a link that leaves the data set.
        """
        return inside(self.images / video / f"{frame}{self.suffix}", self)

    def mask(self, video: str, frame: str) -> Path:
        """Returns the path of one mask.

        Raises:
            UserError: If it is a link that leaves the data set.
        """
        return inside(self.masks / video / f"{frame}.png", self)


def inside(path: Path, layout: Layout) -> Path:
    """Returns the path of a frame or mask, or of a video's folder, none of whose links leaves the data set.

    The set's own folders, down to ``JPEGImages`` and ``Annotations``, may be links: a person put them there. Below
    them one kind of link may lead out, that of a whole video to the same video of another set, which
    `fsrvos.data.mini` makes.

    Raises:
        UserError: If a link leads anywhere else.
    """
    folder = path if path.parent in (layout.images, layout.masks) else path.parent
    if not (os.path.islink(path) or os.path.islink(folder)):  # nearly always: two calls a file
        return path
    homes = [Path(os.path.realpath(home)) for home in (layout.root, layout.images, layout.masks)]
    whole = Path(os.path.realpath(folder))
    if whole.name == folder.name and whole.parent.name in VIDEO_FOLDERS:
        homes.append(whole)
    target = Path(os.path.realpath(path))
    if not any(target.is_relative_to(home) for home in homes):
        raise fault_error(
            "unsafe-id", path, "is a link that leaves the data set", "put the file itself there"
        )
    return path


def locate(root: str | Path, name: str) -> Layout:
    """Finds a data set: at ``root``, in the folder of its name inside, or at the parent of a ``train``.

    Args:
        root: Folder of the data set or of all data sets.
        name: "ytvos" (Mini-Ref-YouTube-VOS and everything in its layout) or "sailvos" (both of its layouts).

    Raises:
        UserError: If the layout is unknown, or the root, a JSON file or the frame folder is missing.
    """
    if name not in FOLDERS:
        raise UserError(f"layout must be one of {', '.join(FOLDERS)}, got {name!r}")
    root = Path(root).expanduser()
    if not root.is_dir():
        raise UserError(
            f"{root}: no such data root; give the folder of {FOLDERS[name][0]} (paths.data), or write one"
            " with `fsrvos-data synth --out DIR`"
        )
    bases = [root, *(root / folder for folder in FOLDERS[name])]
    if root.name == "train":
        bases.append(root.parent)
    candidates = [(base, *found) for base in bases for found in arrangements(base, name)]
    # All complete sets come before those with one JSON only, which are worth an error that names the other.
    for demand in (all, any):
        for base, metas, expressions, folder in candidates:
            if demand((any(path.is_file() for path in metas), expressions.is_file())):
                return checked(name, base, metas, expressions, folder)
    raise UserError(
        f"{root}: holds no {FOLDERS[name][0]}: neither train/meta.json nor"
        " meta_expressions/train/meta_expressions.json is there or in a folder of that name"
    )


def arrangements(base: Path, name: str) -> list[tuple[list[Path], Path, Path]]:
    """Lists (meta files, expressions file, folder of frames and masks) of each arrangement of a layout."""
    train = base / "train"
    metas = [train / meta for meta in _META_NAMES]
    expressions = base / "meta_expressions/train/meta_expressions.json"
    if name != "sailvos":
        return [
            ([*metas, base / "meta.json"], expressions, train)
        ]  # some copies of Ref-YouTube-VOS have it there
    return [
        (metas, expressions, train),
        ([base / meta for meta in _META_NAMES], base / "meta_expressions.json", base),
    ]


def checked(
    name: str, base: Path, metas: list[Path], expressions: Path, folder: Path, report: Report | None = None
) -> Layout:
    """Returns the paths of a data set whose JSON files and frame folder are all there.

    Args:
        name: "ytvos" or "sailvos".
        base: The data set's own folder.
        metas: Where the JSON of the objects may be, the usual place first.
        expressions: Where the JSON of the expressions is.
        folder: What holds the folders of frames and masks.
        report: Is told of every part that is missing; without it the first one is raised.

    Raises:
        UserError: If a part is missing.
    """
    meta = next((path for path in metas if path.is_file()), metas[0])
    with told(report):
        if not meta.is_file():
            problem = "missing (train.json would do as well); it names the objects of each video"
            raise fault_error("file-missing", meta, problem)
    with told(report):
        if not expressions.is_file():
            problem = "missing; it lists the frames and expressions of each video"
            raise fault_error("file-missing", expressions, problem)
    images, suffix = next(
        (found for found in _IMAGES[name] if (folder / found[0]).is_dir()), _IMAGES[name][0]
    )
    with told(report):
        if not (folder / images).is_dir():
            problem = "missing; it holds a folder of frames for each video"
            raise fault_error("file-missing", folder / images, problem)
    return Layout(name, base, meta, expressions, folder / images, suffix, folder / "Annotations")
