"""Recognises a data set on disk, its layout, and its splits: training reads ``train`` alone, the checks read all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fsrvos.data.categories import SAIL_VOS_CATEGORIES
from fsrvos.data.json_files import read_json
from fsrvos.data.layout import FOLDERS, arrangements
from fsrvos.errors import UserError

LAYOUTS = ("auto", *FOLDERS)
_IMAGE_FOLDERS = ("JPEGImages", "Images")
_METAS = ("meta.json", "train.json")
# Splits that are recognised without expressions, too; any other name needs meta_expressions/NAME.
_SPLIT_NAMES = ("train", "valid", "val", "test")


@dataclass(frozen=True)
class Split:
    """Where the parts of one split are, or would be.

    Attributes:
        name: "train", "valid", ...
        metas: Where the JSON of the objects may be, the usual place first.
        expressions: Where the JSON of the expressions is.
        folder: What holds the folders of frames and masks.
    """

    name: str
    metas: list[Path]
    expressions: Path
    folder: Path

    @property
    def trains(self) -> bool:
        """Whether episodes are made of it."""
        return self.name == "train"

    @property
    def parts(self) -> int:
        """How many of its three parts are there."""
        images = any((self.folder / images).is_dir() for images in _IMAGE_FOLDERS)
        return images + self.expressions.is_file() + any(meta.is_file() for meta in self.metas)


@dataclass(frozen=True)
class DataSet:
    """A data set that was recognised.

    Attributes:
        root: Its own folder.
        layout: "ytvos" or "sailvos".
        splits: Its splits, ``train`` first.
    """

    root: Path
    layout: str
    splits: tuple[Split, ...]


def find(root: Path, layout: str = "auto") -> DataSet | None:
    """Recognises the data set at ``root``, in one of its folders, or of which ``root`` is a split.

    Args:
        root: An existing folder.
        layout: One of `LAYOUTS`; "auto" takes ``sailvos`` by the name of the folder, frames in ``Images``, JSON files
            at the root, or a "car" among the categories, which YouTube-VOS does not have.

    Returns:
        The data set; None if nothing looks like one.

    Raises:
        UserError: If the layout is unknown, there are several data sets, or it is in the layout of MeViS.
    """
    if layout not in LAYOUTS:
        raise UserError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    # The parent comes first: in a `train` alone, JSON and frames stand as in a SAIL-VOS.
    place = root.absolute()
    bases = [place.parent, root] if _has_split(place.parent, place.name) else [root]
    bases += [
        root / folder for folder in FOLDERS.get(layout, ()) if (root / folder).is_dir()
    ]  # as training does
    for base in bases:
        found = _data_set(base, layout)
        if found is not None:
            return found
    inside = [
        found for child in sorted(root.iterdir()) if child.is_dir() and (found := _data_set(child, layout))
    ]
    if len(inside) > 1:
        names = ", ".join(str(found.root) for found in inside)
        raise UserError(f"{root}: holds several data sets, give one of them: {names}")
    return inside[0] if inside else None


def _has_split(base: Path, name: str) -> bool:
    return (base / "meta_expressions" / name / "meta_expressions.json").is_file()


def _data_set(base: Path, layout: str) -> DataSet | None:
    if any(base.glob("*/mask_dict.json")):
        raise UserError(f"{base}: is in the layout of MeViS, which is not supported; ytvos and sailvos are")
    flat = _best(base, "sailvos", at_root=True)
    nested = _splits(base)
    if layout != "ytvos" and flat.parts > 1 and not any(split.expressions.is_file() for split in nested):
        return DataSet(base, "sailvos", (flat,))
    if not nested:
        return None
    name = layout if layout != "auto" else "sailvos" if _is_sail(base, nested[0]) else "ytvos"
    train = _best(base, name)
    return DataSet(base, name, tuple(train if split.trains else split for split in nested))


def _best(base: Path, layout: str, at_root: bool = False) -> Split:
    found = [Split("train", *places) for places in arrangements(base, layout)]
    return next(split for split in found if (split.folder == base) is at_root)


def _splits(base: Path) -> tuple[Split, ...]:
    """The splits in folders of their own, of which at least one part is there."""
    names = {path.parent.name for path in base.glob("meta_expressions/*/meta_expressions.json")}
    parts = (*_IMAGE_FOLDERS, *_METAS)
    names |= {name for name in _SPLIT_NAMES if any((base / name / part).exists() for part in parts)}
    return tuple(
        Split(
            name,
            [base / name / meta for meta in _METAS],
            base / "meta_expressions" / name / "meta_expressions.json",
            base / name,
        )
        for name in sorted(names, key=lambda name: (name != "train", name))
    )


def _is_sail(base: Path, split: Split) -> bool:
    if "sail" in base.absolute().name.lower() or (split.folder / "Images").is_dir():
        return True
    categories = set()
    for meta in split.metas:
        try:
            for video in read_json(meta)["videos"].values():
                categories |= {thing["category"] for thing in video["objects"].values()}
        except (UserError, LookupError, TypeError, AttributeError):
            continue  # missing or broken, which the checks will tell
    return "car" in categories and categories <= set(SAIL_VOS_CATEGORIES)
