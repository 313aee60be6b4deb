"""Contact sheets: episodes side by side, with phrase, support, truth and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fsrvos.pictures import Colour, overlay

SUPPORT: Colour = (45, 125, 255)
TRUTH: Colour = (30, 190, 90)
PREDICTION: Colour = (255, 120, 0)

INK, FAINT, CARD, EMPTY, PAPER = (
    (28, 32, 38),
    (112, 120, 130),
    (244, 246, 248),
    (226, 230, 234),
    (255, 255, 255),
)
GRADES = ((196, 190, 30), (50, 125, 145), (50, 20, 75))
MARGIN, GAP, PADDING, LABEL, BLOCK_GAP = 24, 6, 16, 24, 18
TITLE_SIZE, PHRASE_SIZE, TEXT_SIZE = 28, 22, 14


@dataclass(frozen=True)
class SheetRow:
    """One episode of a contact sheet. Frames are (H, W, 3) uint8, masks (H, W) bool, of any size.

    Attributes:
        phrase: The query expression.
        category: Category of the episode.
        query_frames: T frames.
        truth: T masks.
        prediction: T masks.
        support_frames: S frames, of one clip or several; empty for no support.
        support_masks: S masks.
        kind: Kind of expression, where the data set tells.
        J: Region similarity of the whole episode in [0, 1]; None to leave it out.
    """

    phrase: str
    category: str
    query_frames: Sequence[np.ndarray]
    truth: Sequence[np.ndarray]
    prediction: Sequence[np.ndarray]
    support_frames: Sequence[np.ndarray] = ()
    support_masks: Sequence[np.ndarray] = ()
    kind: str = ""
    J: float | None = None


def contact_sheet(
    rows: Sequence[SheetRow],
    title: str = "",
    support_frames: int = 2,
    query_frames: int = 4,
    cell_width: int = 240,
) -> Image.Image:
    """One card an episode: phrase, category, kind and J above; support, truth and prediction below.

    Support frames stand in columns of two at the left; at the right truth stands above prediction, frame by
    frame. Frames are drawn evenly over their clip and scaled to the cell, up or down, keeping their shape.

    Args:
        rows: Episodes, top to bottom.
        title: Line above all.
        support_frames: Frames of support shown, at most.
        query_frames: Frames of the query shown, at most.
        cell_width: Width of one frame in pixels.

    Returns:
        An RGB image.

    Raises:
        ValueError: no rows, or frames and masks that do not fit.
    """
    if not rows:
        raise ValueError("a contact sheet needs at least one row")
    for row in rows:
        _check(row)
    height, width = rows[0].query_frames[0].shape[:2]
    cell = (cell_width, round(cell_width * min(max(height / width, 0.4), 1.4)))
    supports = min(support_frames, max(len(row.support_frames) for row in rows))
    queries = min(query_frames, max(len(row.query_frames) for row in rows))
    cards = [_card(row, cell, supports, queries) for row in rows]
    top = MARGIN + (TITLE_SIZE + 14 if title else 0) + TEXT_SIZE + 14
    sheet_width = max(card.width for card in cards) + 2 * MARGIN
    sheet = Image.new(
        "RGB", (sheet_width, top + sum(card.height + MARGIN // 2 for card in cards) + MARGIN), PAPER
    )
    draw = ImageDraw.Draw(sheet)
    if title:
        _text(draw, (MARGIN, MARGIN), title, TITLE_SIZE, INK, sheet_width - 2 * MARGIN)
    x = MARGIN
    for name, colour in (("support mask", SUPPORT), ("truth", TRUTH), ("prediction", PREDICTION)):
        draw.rounded_rectangle((x, top - TEXT_SIZE - 14, x + 20, top - 14), 4, fill=colour)
        x += 28 + _text(draw, (x + 28, top - TEXT_SIZE - 15), name, TEXT_SIZE, INK) + 24
    for card in cards:
        sheet.paste(card, (MARGIN, top))
        top += card.height + MARGIN // 2
    return sheet


def _check(row: SheetRow) -> None:
    """Raises ValueError unless every frame has its masks, of its own size."""
    if not row.query_frames:
        raise ValueError(f"{row.phrase!r}: no query frame")
    for name, frames, masks in (
        ("truth", row.query_frames, row.truth),
        ("prediction", row.query_frames, row.prediction),
        ("support", row.support_frames, row.support_masks),
    ):
        if [np.shape(frame)[:2] for frame in frames] != [np.shape(mask) for mask in masks]:
            raise ValueError(f"{row.phrase!r}: {name} masks differ from their frames in number or size")


def _card(row: SheetRow, cell: tuple[int, int], support_frames: int, query_frames: int) -> Image.Image:
    shown, asked = (
        _spread(len(row.support_frames), support_frames),
        _spread(len(row.query_frames), query_frames),
    )
    columns = max(1, -(-support_frames // 2))
    left = PADDING + columns * (cell[0] + GAP) - GAP + BLOCK_GAP + LABEL
    top = PADDING + PHRASE_SIZE + 16 + TEXT_SIZE + 8
    width = left + query_frames * (cell[0] + GAP) - GAP + PADDING
    card = Image.new("RGB", (width, top + 2 * cell[1] + GAP + PADDING), CARD)
    draw = ImageDraw.Draw(card)

    used = _chips(draw, width - PADDING, PADDING, row)
    _text(draw, (PADDING, PADDING - 2), f"“{row.phrase}”", PHRASE_SIZE, INK, used - 2 * PADDING)
    header = (PADDING, top - TEXT_SIZE - 8)
    _text(draw, header, "support" if shown else "no support", TEXT_SIZE, FAINT)

    if not shown:
        draw.rectangle((PADDING, top, PADDING + cell[0] - 1, top + 2 * cell[1] + GAP - 1), fill=EMPTY)
    for place, index in enumerate(shown):
        at = PADDING + place // 2 * (cell[0] + GAP), top + place % 2 * (cell[1] + GAP)
        card.paste(_cell(row.support_frames[index], row.support_masks[index], SUPPORT, cell), at)
    for place, index in enumerate(asked):
        x = left + place * (cell[0] + GAP)
        name = f"query, {index + 1} of {len(row.query_frames)}"
        _text(draw, (x, header[1]), name, TEXT_SIZE, FAINT)
        card.paste(_cell(row.query_frames[index], row.truth[index], TRUTH, cell), (x, top))
        predicted = _cell(row.query_frames[index], row.prediction[index], PREDICTION, cell)
        card.paste(predicted, (x, top + cell[1] + GAP))
    for strip, (name, colour) in enumerate((("truth", TRUTH), ("prediction", PREDICTION))):
        label = Image.new("RGB", (cell[1], LABEL), CARD)
        ImageDraw.Draw(label).text(
            (cell[1] / 2, LABEL / 2),
            name,
            fill=colour,
            font=ImageFont.load_default(TEXT_SIZE + 1),
            anchor="mm",
        )
        card.paste(label.rotate(90, expand=True), (left - LABEL - 2, top + strip * (cell[1] + GAP)))
    return card


def _chips(draw: ImageDraw.ImageDraw, right: int, top: int, row: SheetRow) -> int:
    """Draws J, kind and category from the right; returns where they begin."""
    chips: list[tuple[str, Colour, Colour]] = []
    if row.J is not None:
        chips.append((f"J {100 * row.J:.1f}", _grade(row.J), PAPER))
    chips += [(name, EMPTY, INK) for name in (row.kind, row.category) if name]
    font = ImageFont.load_default(TEXT_SIZE)
    for text, fill, ink in chips:
        width = int(draw.textlength(text, font=font)) + 20
        draw.rounded_rectangle((right - width, top, right, top + TEXT_SIZE + 10), 12, fill=fill)
        draw.text((right - width / 2, top + TEXT_SIZE / 2 + 5), text, fill=ink, font=font, anchor="mm")
        right -= width + 8
    return right


def _grade(score: float) -> Colour:
    """Red at 0, amber half way, green at 1, each dark enough for white letters."""
    red, green, blue = (np.interp(score, (0, 0.5, 1), line) for line in GRADES)
    return int(red), int(green), int(blue)


def _cell(frame: np.ndarray, mask: np.ndarray, colour: Colour, cell: tuple[int, int]) -> Image.Image:
    """The frame fitted into the cell, and the mask drawn at that size, so that its outline is crisp."""
    height, width = frame.shape[:2]
    scale = min(cell[0] / width, cell[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.asarray(Image.fromarray(np.asarray(frame)).resize(size, Image.Resampling.LANCZOS))
    shape = Image.fromarray(np.asarray(mask, dtype=np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    tinted = overlay(picture, np.asarray(shape) > 127, [colour])
    image = Image.new("RGB", cell, EMPTY)
    image.paste(Image.fromarray(tinted), ((cell[0] - size[0]) // 2, (cell[1] - size[1]) // 2))
    return image


def _text(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, colour: Colour, room: float = 1e9
) -> int:
    """Draws one line, cut with an ellipsis where it would pass ``room`` pixels; returns its width."""
    font = ImageFont.load_default(size)
    if draw.textlength(text, font=font) > room:
        while text and draw.textlength(text + "…", font=font) > room:
            text = text[:-1]
        text += "…"
    draw.text(at, text, fill=colour, font=font)
    return int(draw.textlength(text, font=font))


def _spread(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` indices below ``count``, first and last among them, evenly spaced."""
    return sorted(set(np.linspace(0, count - 1, min(count, wanted)).round().astype(int).tolist()))
