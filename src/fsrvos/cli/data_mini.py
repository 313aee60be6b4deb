"""``fsrvos-data mini``."""

from __future__ import annotations

import argparse
from typing import Any

from fsrvos.cli.video_bar import video_bar
from fsrvos.data.mini import LINKS, PUBLISHED_VIDEOS, Mini, make_mini

_DESCRIPTION = """\
Makes the 48-category layout of Mini-Ref-YouTube-VOS from a full copy of
Ref-YouTube-VOS, whose train split must have train/JPEGImages,
train/Annotations, train/meta.json (or meta.json) and
meta_expressions/train/meta_expressions.json.

A video is kept if an expression refers to an object of one of the 48
categories that is visible in it. Its JSON entries are taken over whole;
objects of the other 17 categories stay in them, and are never used. Which
1,668 videos the published set holds is not known here: the number is
compared, not the list.

--out appears when all of it is written. What is there already is never
replaced.
"""


def add(commands: Any) -> None:
    """Adds the command to those of ``fsrvos-data``."""
    parser = commands.add_parser(
        "mini",
        help="make the 48-category layout from Ref-YouTube-VOS, by links",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--from", required=True, dest="source", metavar="REF_YOUTUBE_VOS", help="the copy of Ref-YouTube-VOS"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="the data set to make")
    parser.add_argument(
        "--link",
        choices=LINKS,
        default="symlink",
        help="symlink: absolute links to the video folders (default); hard: links of files, on one file system;"
        " copy: copies of the files",
    )
    parser.set_defaults(run=_mini)


def _mini(arguments: argparse.Namespace) -> None:
    with video_bar() as bar:
        made = make_mini(arguments.source, arguments.out, arguments.link, bar)
    print(f"{made.root}: {'already there' if made.was_there else 'made'}, from {made.source}")
    print(
        f"videos: {made.videos:,} of {made.source_videos:,}; published: {PUBLISHED_VIDEOS:,} ({_difference(made)})"
    )
    print(_per_category(made))


def _difference(made: Mini) -> str:
    difference = made.videos - PUBLISHED_VIDEOS
    if difference == 0:
        return "the same number, which does not prove the same list"
    return f"{abs(difference):,} {'more' if difference > 0 else 'fewer'} here"


def _per_category(made: Mini) -> str:
    """Three columns of category and videos; a video counts for each category that it shows."""
    cells = [f"{name:<13} {videos:>5}" for name, videos in made.per_category.items()]
    height = -(-len(cells) // 3)
    rows = ["   ".join(cells[row::height]) for row in range(height)]
    few = sum(videos < 2 for videos in made.per_category.values())
    told = f"\n{few} categories have fewer than two videos, so no episodes" if few else ""
    return "videos per category (a video counts for each category it shows):\n" + "\n".join(rows) + told
