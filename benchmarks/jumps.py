"""Does the answer stay on its object in a long video? J and jumps by what leaving the object costs.

    python benchmarks/jumps.py --checkpoint outputs/demo

Makes a synthetic set of longer videos than the network was trained on (60 frames), and segments those of the held-out
group that have two objects of a category, whole. A jump is a frame whose mask lies on another object of the video
(largest overlap, IoU above 0.3) than the last mask that lay on one did. Scores are at native size, right support.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.progress import track

from fsrvos.data.clips import read_clip
from fsrvos.data.synthetic_datamodule import SyntheticDataModule
from fsrvos.engine.metrics import region_similarity
from fsrvos.predictor import Predictor
from fsrvos.report import table
from fsrvos.video import open_video


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", required=True, help="run folder, folder of runs, or .ckpt file")
    parser.add_argument(
        "--data", type=Path, default=Path("data/Mini-Ref-Synthetic-60"), help="made there once"
    )
    parser.add_argument("--costs", type=float, nargs="+", default=[0.0, 0.25, 0.5, 1.0, 2.0, 4.0])
    parser.add_argument("--window", type=int, help="frames at once; that of the checkpoint by default")
    parser.add_argument("--episodes", type=int, default=24, help="at most so many")
    arguments = parser.parse_args()
    data = SyntheticDataModule(
        str(arguments.data), data_seed=5, videos_per_category=3, video_frames=60, video_size=(96, 160),
        support_frames=1, test_seeds=(0,),
    )  # fmt: skip
    data.prepare_data()
    data.setup("test")
    episodes = data.test_episodes(0)
    specs = [episodes.spec(index) for index in range(len(episodes))]
    several = [s for s in specs if len(data.annotations.objects(s.query.video, s.category)) > 1]
    chosen = several[:: max(1, len(several) // arguments.episodes)][: arguments.episodes]
    predictor = Predictor.from_pretrained(arguments.checkpoint, window=arguments.window)
    found: dict[float, list[tuple[float, int, int]]] = {cost: [] for cost in arguments.costs}
    for spec in track(chosen, "segmenting"):
        clip = read_clip(data.annotations, spec.query)
        video = open_video(clip.frames.permute(0, 2, 3, 1).numpy())
        shown = read_clip(data.annotations, spec.support[0])
        support = predictor.support(
            (shown.frames.permute(0, 2, 3, 1).numpy(), shown.masks.numpy()), shown.expression
        )
        ids = np.stack(
            [
                np.asarray(Image.open(data.annotations.layout.mask(spec.query.video, f)))
                for f in spec.query.frames
            ]
        )
        for cost in arguments.costs:
            predictor.jump_cost = cost
            windows = list(predictor.stream(video, [spec.query.expression], support))
            masks = np.concatenate([window.masks[0] for window in windows])
            j = region_similarity(torch.from_numpy(masks), clip.masks).mean().item()
            on = objects_under(masks, ids)
            borders = np.cumsum([len(window.frames) for window in windows])[:-1]
            found[cost].append((100 * j, *jumps(on, borders)))
    rows = []
    for cost, values in found.items():
        j, all_jumps, at_borders = np.array(values).T
        rows.append([f"{cost:g}", f"{j.mean():.1f}", f"{all_jumps.sum():.0f}", f"{at_borders.sum():.0f}"])
    frames = sum(len(spec.query.frames) for spec in chosen)
    print(f"{len(chosen)} videos, {frames} frames, windows of {predictor.settings.window}")
    print(table(["jump cost", "J", "jumps", "of these at borders of windows"], rows))


def objects_under(masks: np.ndarray, ids: np.ndarray) -> list[int]:
    """Which object (0: none) each mask (T, H, W) lies on, by the ids (T, H, W)."""
    lying = []
    for mask, labels in zip(masks, ids, strict=True):
        ious = {
            int(i): (mask & (labels == i)).sum() / (mask | (labels == i)).sum()
            for i in np.unique(labels)
            if i
        }
        best = max(ious, key=lambda i: ious[i], default=0)
        lying.append(best if ious.get(best, 0) > 0.3 else 0)
    return lying


def jumps(on: list[int], borders: np.ndarray) -> tuple[int, int]:
    """Changes of the object, and how many of them are in the first frame of a window."""
    last, count, at_border = 0, 0, 0
    for frame, now in enumerate(on):
        if now and last and now != last:
            count += 1
            at_border += frame in borders
        last = now or last
    return count, at_border


if __name__ == "__main__":
    main()
