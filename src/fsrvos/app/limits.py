"""How much one visit may ask for."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from fsrvos.errors import UserError


@dataclass(frozen=True)
class Limits:
    """What the page takes.

    Attributes:
        max_upload_mb: Size of a file, in megabytes.
        max_frames: Frames of a video that are segmented; the rest is left out, and the page says so.
        support_frames: Frames of a clip that are offered for painting, evenly spread.
        max_support: Frames offered of all uploads of the support together.

    Raises:
        UserError: A limit below 1.
    """

    max_upload_mb: int = 200
    max_frames: int = 600
    support_frames: int = 8
    max_support: int = 24

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UserError(f"{name} must be a whole number of at least 1, got {value!r}")
