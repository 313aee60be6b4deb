"""Every kind of fault that a data set can have, each with a way to plant it in the set of `planting`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from planting import EXPRESSIONS, IMAGES, MASKS, META, cut, edit_json, edit_mask


def in_expressions(change: Callable[[dict], object]) -> Callable[[Path], object]:
    return lambda root: edit_json(root / EXPRESSIONS, change)


def in_meta(change: Callable[[dict], object]) -> Callable[[Path], object]:
    return lambda root: edit_json(root / META, change)


def of_pair(**changes) -> Callable[[Path], object]:
    return in_expressions(lambda videos: videos["pair"]["expressions"]["0"].update(changes))


def without(key: str) -> Callable[[Path], object]:
    return in_expressions(lambda videos: videos["pair"]["expressions"]["0"].pop(key))


def resize(path: str, size: tuple[int, int]) -> Callable[[Path], object]:
    def plant(root: Path) -> None:
        with Image.open(root / path) as image:
            small = image.resize(size)
        small.save(root / path)

    return plant


def both_resized(root: Path) -> None:
    resize(f"{IMAGES}/pair/00005.jpg", (20, 12))(root)
    resize(f"{MASKS}/pair/00005.png", (20, 12))(root)


def truncated(path: str, share: float) -> Callable[[Path], object]:
    return lambda root: cut(root / path, share)


def as_rgb(root: Path) -> None:
    path = root / MASKS / "pair/00005.png"
    with Image.open(path) as image:
        coloured = image.convert("RGB")
    coloured.save(path)


def repaint(videos: list[str], old: int, new: int, frames: str = "*") -> Callable[[Path], object]:
    def plant(root: Path) -> None:
        for video in videos:
            for path in (root / MASKS / video).glob(f"{frames}.png"):
                edit_mask(path, lambda values: np.where(values == old, new, values))

    return plant


def twice_in_text(root: Path) -> None:
    text = (root / EXPRESSIONS).read_text().replace('"1": {"obj_id"', '"0": {"obj_id"', 1)
    (root / EXPRESSIONS).write_text(text)


def frog_and_owl(videos: dict) -> None:
    """One frog and no plant; the owl is of no category of the benchmark."""
    videos["pair"]["objects"]["2"].update(category="frog")
    videos["plant_a"]["objects"]["1"].update(category="owl")


# kind: (what to do, file of the fault, what the line says)
PLANTED: dict[str, list[tuple[Callable[[Path], object], str, str]]] = {
    "file-missing": [
        (lambda root: (root / META).unlink(), META, "missing (train.json would do as well)"),
        (lambda root: (root / EXPRESSIONS).unlink(), EXPRESSIONS, "missing; it lists the frames"),
        (lambda root: shutil.rmtree(root / IMAGES), IMAGES, "a folder of frames for each video"),
        (lambda root: shutil.rmtree(root / MASKS), MASKS, "a folder of masks for each video"),
    ],
    "json": [
        (lambda root: cut(root / META, 0.5), META, "not valid JSON"),
        (lambda root: cut(root / EXPRESSIONS, 0.5), EXPRESSIONS, "not valid JSON"),
        (lambda root: (root / META).write_text("[]"), META, "must be a JSON object ({...}), found a list"),
        (lambda root: (root / META).write_text("[" * 100_000), META, "nested too deep"),
        (lambda root: (root / META).write_text('{"videos": {}}'), META, "lists no video"),
        (lambda root: (root / "categories.json").write_text("{}"), "categories.json", "list of names"),
        (
            in_expressions(lambda videos: videos["pair"].pop("expressions")),
            EXPRESSIONS,
            "'pair', \"expressions\"",
        ),
        (
            in_meta(lambda videos: videos["pair"]["objects"]["2"].pop("frames")),
            META,
            "object '2' has no \"frames\"",
        ),
    ],
    "unsafe-id": [
        (
            in_expressions(lambda videos: videos["pair"]["frames"].append("../../x")),
            EXPRESSIONS,
            "frame '../../x'",
        ),
        (
            in_meta(lambda videos: videos["pair"]["objects"]["1"]["frames"].append("/etc")),
            META,
            "frame '/etc'",
        ),
        (in_meta(lambda videos: videos.update({"../pair": {"objects": {}}})), META, "video '../pair'"),
        (
            in_expressions(
                lambda videos: videos["pair"]["expressions"].update(
                    {"../../9": {"exp": "a hat", "obj_id": "1"}}
                )
            ),
            EXPRESSIONS,
            "expression '../../9'",
        ),
    ],
    "no-object-ids": [
        (
            in_expressions(
                lambda videos: [e.pop("obj_id") for v in videos.values() for e in v["expressions"].values()]
            ),
            EXPRESSIONS,
            'none of its 5 expressions of 3 videos has an "obj_id"',
        )
    ],
    "expression-empty": [
        (of_pair(exp="  "), EXPRESSIONS, "video 'pair', expression '0' has no text"),
        (without("exp"), EXPRESSIONS, "video 'pair', expression '0' has no text"),
    ],
    "expression-without-object": [
        (without("obj_id"), EXPRESSIONS, "video 'pair', expression '0' has no \"obj_id\""),
        (
            of_pair(obj_id="7"),
            EXPRESSIONS,
            "expression '0' of video 'pair' refers to object '7', which is not in",
        ),
    ],
    "distractor": [(of_pair(distractor_expression="0"), EXPRESSIONS, "expression '0'")],
    "object-entry": [
        (
            in_meta(lambda videos: videos["pair"]["objects"]["2"].pop("category")),
            META,
            "object '2' has no \"category\"",
        )
    ],
    "object-id": [
        (in_meta(lambda videos: videos["pair"]["objects"].update({"300": {}})), META, "object '300'"),
        (
            in_meta(lambda videos: videos["pair"]["objects"].update({"9" * 5000: {}})),
            META,
            "must be a number 1-255",
        ),
    ],
    "category-unknown": [
        (
            in_meta(lambda videos: videos["pair"]["objects"]["2"].update(category="plnt")),
            META,
            "object '2' of video 'pair' has the unknown category 'plnt'",
        )
    ],
    "video-without-frames": [
        (
            lambda root: shutil.rmtree(root / IMAGES / "pair"),
            f"{IMAGES}/pair",
            "video 'pair' has no frames there",
        ),
        (
            in_expressions(lambda videos: videos["pair"].update(frames=[])),
            EXPRESSIONS,
            "'pair' has no frames",
        ),
    ],
    "video-without-masks": [
        (
            lambda root: shutil.rmtree(root / MASKS / "pair"),
            f"{MASKS}/pair",
            "video 'pair' has no masks there",
        )
    ],
    "video-unknown": [(in_meta(lambda videos: videos.pop("pair")), EXPRESSIONS, "video 'pair' is not in")],
    "frame-missing": [
        (lambda root: (root / IMAGES / "pair/00005.jpg").unlink(), f"{IMAGES}/pair/00005.jpg", "missing")
    ],
    "frame-unreadable": [
        *[
            (truncated(f"{IMAGES}/pair/00005.jpg", share), f"{IMAGES}/pair/00005.jpg", "cannot be decoded")
            for share in (0, 0.1, 0.6, 0.95, 0.999)
        ],
        (
            lambda root: (root / IMAGES / "pair/00005.jpg").write_text("no"),
            f"{IMAGES}/pair/00005.jpg",
            "cannot",
        ),
    ],
    "mask-missing": [
        (lambda root: (root / MASKS / "pair/00005.png").unlink(), f"{MASKS}/pair/00005.png", "missing")
    ],
    "mask-unreadable": [
        (truncated(f"{MASKS}/pair/00005.png", share), f"{MASKS}/pair/00005.png", "cannot be decoded")
        for share in (0, 0.1, 0.6, 0.9)
    ],
    "mask-mode": [(as_rgb, f"{MASKS}/pair/00005.png", "this one has mode RGB")],
    "frame-size": [
        (both_resized, f"{IMAGES}/pair/00005.jpg", "is 20x12, but 2 of 3 frames of its video are 40x24")
    ],
    "mask-size": [
        (resize(f"{MASKS}/pair/00005.png", (41, 24)), f"{MASKS}/pair/00005.png", "is 41x24, but its frame")
    ],
    "object-in-no-mask": [
        (repaint(["pair"], 2, 0), META, "video 'pair', object '2': none of the 3 masks in"),
        (
            in_meta(
                lambda videos: videos["pair"]["objects"].update(
                    {"5": {"category": "frog", "frames": ["00000", "00005", "00010"]}}
                )
            ),
            META,
            "video 'pair', object '5': none of the 3 masks in",
        ),
    ],
    "value-in-no-json": [
        (
            repaint(["hat_a"], 0, 9, "00005"),
            f"{MASKS}/hat_a/00005.png",
            "has the value 9 (frame 00005 of the video)",
        )
    ],
    "json-key-twice": [(twice_in_text, EXPRESSIONS, "the key '0' stands twice")],
    "category-one-video": [
        (
            in_meta(frog_and_owl),
            META,
            "category 'frog' has one video, 'pair'",
        )
    ],
    "expression-repeated": [
        (
            in_expressions(lambda videos: videos["hat_a"]["expressions"]["1"].update(exp="A  hat")),
            EXPRESSIONS,
            "video 'hat_a', expressions '0', '1': 'a hat' stands there more than once",
        )
    ],
    "expression-ambiguous": [
        (of_pair(exp="a plant"), EXPRESSIONS, "expressions '0', '1': 'a plant' is said of the objects 1, 2")
    ],
    "object-without-expression": [
        (in_expressions(lambda videos: videos["pair"]["expressions"].pop("1")), META, "object '2' (plant)")
    ],
    "object-never-visible": [
        (
            in_meta(lambda videos: videos["pair"]["objects"]["2"].update(frames=[])),
            META,
            "is listed in no frame",
        )
    ],
    "object-not-in-frame": [
        (
            repaint(["pair"], 2, 0, "00005"),
            META,
            "video 'pair', object '2' is listed visible in frame 00005, but not in the masks",
        )
    ],
    "object-not-listed": [
        (
            in_meta(lambda videos: videos["pair"]["objects"]["2"].update(frames=["00000"])),
            META,
            "video 'pair', object '2' is in the masks of 2 frames: 00005, 00010",
        )
    ],
    "frame-not-listed": [
        (
            in_meta(lambda videos: videos["pair"]["objects"]["1"]["frames"].append("00099")),
            META,
            "00099 first",
        )
    ],
    "video-without-expression": [
        (in_meta(lambda videos: videos.update(more={"objects": {}})), META, "video 'more' is not in"),
        (
            in_expressions(lambda videos: videos["pair"].update(expressions={})),
            EXPRESSIONS,
            "'pair' has no expression",
        ),
    ],
}
CASES = [(kind, number) for kind, cases in PLANTED.items() for number in range(len(cases))]
