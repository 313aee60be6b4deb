"""``fsrvos-data synth``."""

from __future__ import annotations

import argparse
import re
from typing import Any

from fsrvos.cli.video_bar import video_bar
from fsrvos.data.synthetic import generate


def add(commands: Any) -> None:
    """Adds the command to those of ``fsrvos-data``."""
    synth = commands.add_parser(
        "synth",
        help="make the synthetic benchmark",
        description="Makes Mini-Ref-Synthetic in the layout of Mini-Ref-YouTube-VOS. "
        "The same parameters make the same bytes, whatever the number of workers.",
    )
    synth.add_argument("--out", required=True, metavar="DIR", help="the data root to make")
    synth.add_argument("--seed", type=int, default=0, help="seed of everything random (default: %(default)s)")
    synth.add_argument(
        "--videos-per-category",
        type=int,
        default=6,
        metavar="N",
        help="videos of each of the 48 categories (default: %(default)s)",
    )
    synth.add_argument(
        "--frames", type=int, default=12, metavar="N", help="frames a video (default: %(default)s)"
    )
    synth.add_argument(
        "--size",
        type=_size,
        default="112x192",
        metavar="HxW",
        help="height and width in pixels (default: %(default)s)",
    )
    synth.add_argument("--workers", type=int, metavar="N", help="processes (default: one per available core)")
    synth.add_argument(
        "--overwrite", action="store_true", help="replace an earlier synthetic benchmark of other parameters"
    )
    synth.set_defaults(run=_synth)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"must be HEIGHTxWIDTH such as 112x192, got {text!r}")
    return int(match[1]), int(match[2])


def _synth(arguments: argparse.Namespace) -> None:
    with video_bar() as bar:
        root = generate(
            arguments.out,
            seed=arguments.seed,
            videos_per_category=arguments.videos_per_category,
            frames=arguments.frames,
            size=arguments.size,
            workers=arguments.workers,
            overwrite=arguments.overwrite,
            progress=bar,
        )
    made = "already there" if bar.total is None else f"made {bar.total} videos of {arguments.frames} frames"
    print(f"{root}: {made}; {root / 'preview.png'} shows them")
