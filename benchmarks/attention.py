"""Where the affinity looks: attention of the query's object over the support, drawn.

    python benchmarks/attention.py --checkpoint outputs/demo --out attention.png

A row is a test episode (first seed) of the checkpoint's own run: the query frame with the true object outlined, how well
each of its cells matches the support (of a network whose attention may rest), and the middle support frame with the
attention that cells of the true object spend there, at stride 8: once under the right support and once under that of
another category. Printed are means over the episodes: the match inside the true object, and outside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from omegaconf import OmegaConf
from torch import Tensor

from fsrvos.checkpoints import checkpoint_file
from fsrvos.cli.common import build
from fsrvos.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from fsrvos.errors import UserError
from fsrvos.report import replace_file
from fsrvos.structures import Batch
from fsrvos.weights import load_model


def main() -> None:
    """Draws and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", required=True, help="run folder, folder of runs, or .ckpt file")
    parser.add_argument("--out", type=Path, default=Path("attention.png"), help="the picture")
    parser.add_argument("--episodes", type=int, default=5, help="rows")
    arguments = parser.parse_args()
    model = load_model(arguments.checkpoint).eval()
    if not hasattr(model.affinity, "attention") or model.adds_frame_by_frame:
        raise SystemExit(
            "error: this variant has no attention over the support; give a checkpoint of cma or cma_plus"
        )
    config = OmegaConf.load(checkpoint_file(arguments.checkpoint).parent.parent / "config.yaml")
    data = build(config.data)
    episodes = data.test_episodes(data.test_seeds[0])
    right = [episodes.one_window(spec) for spec in episodes.subset(arguments.episodes)]
    wrong = [episodes.wrong_support(spec) for spec in right]
    if None in wrong:
        raise UserError("no other category is held out, so there is no wrong support to compare with")
    figure, axes = plt.subplots(
        len(right), 5, figsize=(15, 2.2 * len(right)), squeeze=False, layout="constrained"
    )
    inside, outside = [], []
    for row, pair in zip(
        axes, zip(data.episode_loader(right), data.episode_loader(wrong), strict=True), strict=True
    ):
        for k, batch in enumerate(pair):
            truth = F.interpolate(batch.targets.masks.float(), scale_factor=1 / 8, mode="area")[0] > 0.5
            attention, match = look(model, batch)
            t = int(truth.flatten(1).sum(1).argmax())
            middle = attention.shape[3] // 2
            spent = attention[t][truth[t]][:, middle].mean(0)
            if k == 0:
                show(row[0], picture(batch.query.frames[0, t]), batch.query.expressions[0])
                row[0].contour(batch.targets.masks[0, t], levels=[0.5], colors="white")
            show(
                row[1 + 2 * k],
                picture(batch.query.frames[0, t]),
                f"match, {'wrong' if k else 'right'} support",
            )
            heat(row[1 + 2 * k], match[t], batch.query.frames.shape[-2:], top=1.0)
            shown = batch.support.frames[0, batch.support.frames.shape[1] // 2]
            rests = 1 - attention[t][truth[t]].sum((-3, -2, -1)).mean()
            show(row[2 + 2 * k], picture(shown), f"attention of the object, {100 * rests:.0f} % rests")
            heat(row[2 + 2 * k], spent, shown.shape[-2:])
            inside.append((k, match[truth].mean().item()))
            outside.append((k, match[~truth].mean().item()))
    replace_file(arguments.out, lambda file: figure.savefig(file, format="png", dpi=80))
    for k, name in enumerate(("right", "wrong")):
        means = (np.mean([value for which, value in values if which == k]) for values in (inside, outside))
        print("{} support: match {:.2f} inside the true object, {:.2f} outside".format(name, *means))
    print(arguments.out)


@torch.no_grad()
def look(model, batch: Batch) -> tuple[Tensor, Tensor]:
    """Attention (T, h, w, S, h', w') and what does not rest of it (T, h, w), at stride 8."""
    features, _ = model.encode(batch.query)
    shown = model.show(batch.support, features)
    attention = model.affinity.attention(features.levels[0], features.padding[0], shown[0])[0]
    return attention, attention.sum((-3, -2, -1))


def picture(frame: Tensor) -> np.ndarray:
    """(H, W, 3) in [0, 1]."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (frame * std + mean).clamp(0, 1).permute(1, 2, 0).numpy()


def show(ax, image: np.ndarray, title: str) -> None:
    """A frame with a title."""
    ax.imshow(image)
    ax.set_title(title, fontsize=9)
    ax.axis("off")


def heat(ax, values: Tensor, size: tuple[int, int], top: float | None = None) -> None:
    """Values (h, w) over the frame, dark where they are 0."""
    large = F.interpolate(values[None, None], size=tuple(size), mode="bilinear")[0, 0]
    ax.imshow(large, cmap="inferno", alpha=0.75, vmin=0, vmax=top or max(float(large.max()), 1e-6))


if __name__ == "__main__":
    main()
