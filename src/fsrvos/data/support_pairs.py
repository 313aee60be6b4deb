"""Support as pictures with a mask picture beside each: ``a.jpg`` and ``a.png``, or ``a.png`` and ``a_mask.png``."""

from __future__ import annotations

import warnings
from pathlib import Path

from fsrvos.data.support_labelled import (
    LabelledClip,
    LabelledFrame,
    check_count,
    check_same_size,
    clips_by_size,
    counted,
    is_below,
    natural_order,
)
from fsrvos.data.support_masks import read_labels
from fsrvos.data.support_stills import SUFFIXES, find_still
from fsrvos.errors import UserError

_MASK_END = "_mask"
_LAYOUT = "a picture such as a.jpg needs its mask a.png or a_mask.png beside it"


def read_pairs(folder: Path, only: Path | None = None) -> list[LabelledClip]:
    """Reads the pictures of a folder that have a mask; a clip is all pictures of one size, in natural order.

    Args:
        folder: The folder; those inside it are not looked into.
        only: A picture of it, the others do not count then.

    Raises:
        UserError: If there is no pair, a mask without picture, or a picture and mask that do not belong together.
    """
    pairs = _pairs(folder, only)
    check_count(len(pairs), folder)
    return clips_by_size([_frame(image, mask) for image, mask in pairs], lambda name: "")


def pictures(folder: Path) -> list[Path]:
    """The picture files of a folder, in natural order; hidden ones do not count.

    Raises:
        UserError: If one of them is a symbolic link to somewhere else.
    """
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    for path in found:
        if not is_below(path, folder):
            raise UserError(f"{path}: is a link that leads out of {folder}; put the file itself there")
    return sorted(found, key=lambda path: natural_order(path.name))


def _frame(image: Path, mask: Path) -> LabelledFrame:
    still, labels = find_still(image), read_labels(mask)
    check_same_size(mask, labels.size, still)
    return LabelledFrame(str(mask), still.size, still.read, labels.objects())


def _pairs(folder: Path, only: Path | None) -> list[tuple[Path, Path]]:
    images, masks, alone = _sorted_out(pictures(folder))
    if only is not None:
        if only not in images.values():
            raise UserError(f"{only}: is a mask or has no mask; {_LAYOUT}")
        images = {stem: path for stem, path in images.items() if path == only}
        masks = {stem: path for stem, path in masks.items() if stem in images}
        alone = []
    where = folder if only is None else only
    if not images and not masks and not alone:
        raise UserError(f"{where}: holds no pictures; {_LAYOUT}")
    if not masks:
        raise UserError(f"{where}: {counted(len(images) + len(alone), 'picture')} but no mask; {_LAYOUT}")
    for mask in [*alone, *(mask for stem, mask in masks.items() if stem not in images)]:
        raise UserError(
            f"{mask}: is a mask without its picture; put the picture beside it, or take the mask away"
        )
    pairs = [(image, masks[stem]) for stem, image in images.items() if stem in masks]
    if len(pairs) < len(images):
        missing = counted(len(images) - len(pairs), "picture")
        warnings.warn(f"{folder}: {missing} without mask left out", stacklevel=2)
    return pairs


def _sorted_out(files: list[Path]) -> tuple[dict[str, Path], dict[str, Path], list[Path]]:
    """Pictures by stem, masks by the stem of their picture, and .png files that are masks of nothing."""
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    plain = []
    photos = {path.stem for path in files if path.suffix.lower() != ".png"}
    for path in files:
        if path.suffix.lower() != ".png":
            _put(images, path.stem, path, "has the name of")
        elif path.stem in photos:
            _put(masks, path.stem, path, "is a mask of the same picture as")
        elif path.stem.endswith(_MASK_END):
            _put(masks, path.stem.removesuffix(_MASK_END), path, "is a mask of the same picture as")
        else:
            plain.append(path)
    alone = []
    for path in plain:
        # Where all pictures are .png, one without a mask is a picture; beside photos it is a mask without photo.
        if path.stem in masks or not photos:
            _put(images, path.stem, path, "has the name of")
        else:
            alone.append(path)
    return images, masks, alone


def _put(paths: dict[str, Path], stem: str, path: Path, clash: str) -> None:
    other = paths.setdefault(stem, path)
    if other != path:
        raise UserError(f"{path}: {clash} {other.name}; rename one of them, or take it away")
