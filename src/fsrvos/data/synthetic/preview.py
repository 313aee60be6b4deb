"""The contact sheet: some videos with their phrases, and what each of the 48 nouns stands for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fsrvos.data.synthetic.actor import SAMPLES, Look, Pose, draw
from fsrvos.data.synthetic.casting import CONTRASTS
from fsrvos.data.synthetic.categories import CATEGORIES, Category, group_of
from fsrvos.data.synthetic.colors import COLORS
from fsrvos.data.synthetic.patterns import DESCRIPTIONS
from fsrvos.data.synthetic.writer import Entry

_WIDTH, _MARGIN, _GAP = 1600, 32, 8
_PAGE, _TEXT, _FAINT, _FIELD = (250, 250, 248), (34, 36, 40), (120, 122, 128), (128, 130, 126)
_MARKS = ((255, 64, 129), (0, 200, 83), (255, 171, 0), (41, 121, 255))  # one a object id
_STILLS = 5


def preview(root: Path, entries: list[Entry]) -> None:
    """Writes ``preview.png``.

    Args:
        root: Data root whose videos are written.
        entries: What the JSON files say about them.
    """
    rows = [_row(root, entry) for entry in _chosen(entries)]
    gallery = _gallery()
    heading = 84
    height = heading + sum(row.height + 20 for row in rows) + 64 + gallery.height + _MARGIN
    page = Image.new("RGB", (_WIDTH, height), _PAGE)
    pen = ImageDraw.Draw(page)
    pen.text((_MARGIN, 22), "Mini-Ref-Synthetic", fill=_TEXT, font=_font(30))
    story = "every object with its mask's outline and a phrase that is true of it and of no other object"
    pen.text((_MARGIN + 300, 33), story, fill=_FAINT, font=_font(17))
    top = heading
    for row in rows:
        page.paste(row, (_MARGIN, top))
        top += row.height + 20
    pen.text((_MARGIN, top + 10), "48 categories", fill=_TEXT, font=_font(26))
    story = "three instances each: colour, size, pose and proportions vary, silhouette and pattern stay"
    pen.text((_MARGIN + 300, top + 17), story, fill=_FAINT, font=_font(17))
    page.paste(gallery, (_MARGIN, top + 64))
    page.save(root / "preview.png")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _chosen(entries: list[Entry]) -> list[Entry]:
    """One pair video for every contrast, and two solo ones: with a post, and with an object that leaves."""

    def primaries(entry: Entry) -> list[dict[str, str]]:
        objects = entry.scene["objects"].values()
        return [o for o in objects if o["category"] == entry.scene["primary"]]

    wanted = [[e for e in entries if primaries(e)[0]["contrast"] == contrast] for contrast in CONTRASTS]
    solo = [e for e in entries if e.scene["kind"] == "solo"]
    wanted.insert(0, [e for e in solo if not e.scene["post"]])
    wanted.append([e for e in solo if e.scene["post"]])
    rows: list[Entry] = []
    for k, candidates in enumerate(wanted):
        fresh = [e for e in candidates if e not in rows]
        if fresh:
            rows.append(fresh[(len(fresh) * k) // len(wanted)])
    return rows


def _row(root: Path, entry: Entry) -> Image.Image:
    """Stills of a video in a row, its phrases below."""
    names = entry.expressions["frames"]
    picked = [names[round(k * (len(names) - 1) / (_STILLS - 1))] for k in range(_STILLS)]
    width = (_WIDTH - 2 * _MARGIN - (_STILLS - 1) * _GAP) // _STILLS
    stills = [_still(root / "train", entry.video, name, width) for name in picked]
    row = Image.new("RGB", (_WIDTH - 2 * _MARGIN, stills[0].height + 34), _PAGE)
    for k, still in enumerate(stills):
        row.paste(still, (k * (width + _GAP), 0))
    pen = ImageDraw.Draw(row)
    font = _font(18)
    for count in (2, 1):  # as many phrases of an object as find room
        captions = {
            object_id: " / ".join(_said(entry, object_id)[:count]) for object_id in entry.objects["objects"]
        }
        widths = [pen.textlength(text, font=font) + 48 for text in captions.values()]
        if sum(widths) <= row.width:
            break
    left = 0.0
    for (object_id, text), advance in zip(captions.items(), widths, strict=True):
        pen.rectangle(
            (left, stills[0].height + 10, left + 15, stills[0].height + 25), _MARKS[int(object_id) - 1]
        )
        pen.text((left + 22, stills[0].height + 6), text, fill=_TEXT, font=font)
        left += advance
    return row


def _said(entry: Entry, object_id: str) -> list[str]:
    """The phrases about an object, one a kind, those that matter most in its video first."""
    said = [e for e in entry.expressions["expressions"].values() if e["obj_id"] == object_id]
    contrast = entry.scene["objects"][object_id]["contrast"] or "category"
    by_kind = {e["kind"]: e["exp"] for e in reversed(said)}
    kinds = sorted(by_kind, key=lambda kind: kind != contrast)
    return [by_kind[kind] for kind in kinds]


def _still(train: Path, video: str, name: str, width: int) -> Image.Image:
    """A frame enlarged to ``width``, its masks outlined."""
    with Image.open(train / "JPEGImages" / video / f"{name}.jpg") as image:
        height = round(image.height * width / image.width)
        pixels = np.array(image.resize((width, height), Image.Resampling.BICUBIC))
    with Image.open(train / "Annotations" / video / f"{name}.png") as picture:
        mask = np.asarray(picture.resize((width, height), Image.Resampling.NEAREST))
    for object_id, color in enumerate(_MARKS, start=1):
        inside = mask == object_id
        pixels[_grown(inside, 2) & ~inside] = color
    return Image.fromarray(pixels)


def _grown(inside: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    grown = np.pad(inside, by)
    height, width = inside.shape
    moves = [(dy, dx) for dy in range(2 * by + 1) for dx in range(2 * by + 1)]
    views = [
        grown[dy : dy + height, dx : dx + width]
        for dy, dx in moves
        if math.dist((dy, dx), (by, by)) <= by + 0.3
    ]
    return np.logical_or.reduce(views)


def _gallery() -> Image.Image:
    columns, rows = 6, 8
    width = (_WIDTH - 2 * _MARGIN - (columns - 1) * _GAP) // columns
    height = 128
    sheet = Image.new("RGB", (_WIDTH - 2 * _MARGIN, rows * (height + _GAP) - _GAP), _PAGE)
    for index, category in enumerate(CATEGORIES):
        cell = _cell(index + 1, category, width, height)
        sheet.paste(cell, ((index % columns) * (width + _GAP), (index // columns) * (height + _GAP)))
    return sheet


def _cell(number: int, category: Category, width: int, height: int) -> Image.Image:
    field = np.empty((height - 40, width, 3), dtype=np.int64)
    field[:] = _FIELD
    rng = np.random.default_rng(number)
    names = rng.permutation(list(COLORS))
    for k in range(3):
        look = Look(
            category, str(names[k]), (44, 36, 29)[k], 1 + rng.uniform(-0.07, 0.07), rng.uniform(-1, 1)
        )
        x, y = width * (0.19, 0.53, 0.83)[k], field.shape[0] / 2
        patch = draw(look, Pose(x, y, rng.uniform(-24, 24), int(rng.choice([-1, 1]))))
        rows, columns = patch.body.shape
        top, left = max(patch.top, 0), max(patch.left, 0)
        seen = (slice(top - patch.top, None), slice(left - patch.left, None))
        under = field[top : patch.top + rows, left : patch.left + columns]
        body, ink = (
            c[seen][: under.shape[0], : under.shape[1], None].astype(int) for c in (patch.body, patch.ink)
        )
        under[:] = body * np.array(look.body) + ink * np.array(look.ink) + (SAMPLES**2 - body - ink) * under
        under[:] //= SAMPLES**2
    cell = Image.new("RGB", (width, height), _PAGE)
    cell.paste(Image.fromarray(field.astype(np.uint8)), (0, 0))
    pen = ImageDraw.Draw(cell)
    pen.text((2, height - 38), category.noun, fill=_TEXT, font=_font(18))
    pen.text(
        (width - 2, height - 35),
        f"{number} / group {group_of(number)}",
        fill=_FAINT,
        font=_font(13),
        anchor="ra",
    )
    worn = f"{category.silhouette}, {DESCRIPTIONS[category.pattern]}"
    pen.text((2, height - 17), worn, fill=_FAINT, font=_font(13))
    return cell
