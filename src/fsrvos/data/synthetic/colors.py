"""Eight named colours that nobody confuses, and the inks drawn on them."""

from __future__ import annotations

Rgb = tuple[int, int, int]

COLORS: dict[str, Rgb] = {
    "red": (219, 36, 36),
    "orange": (247, 134, 22),
    "yellow": (240, 208, 20),
    "green": (44, 160, 58),
    "cyan": (36, 196, 214),
    "blue": (48, 92, 232),
    "purple": (140, 62, 202),
    "pink": (246, 116, 184),
}

_PALE: Rgb = (250, 250, 250)


def ink(color: str, tone: str) -> Rgb:
    """The ink on a body of ``color``: near white, or the colour itself nearly black, so it stays nameable."""
    if tone == "pale":
        return _PALE
    r, g, b = COLORS[color]
    return (r * 22 // 100, g * 22 // 100, b * 22 // 100)
