"""Where a checkpoint loses: in its masks, or in the choice among objects?

    python benchmarks/choice.py --checkpoint outputs/demo

Region similarity J (percent, frames at test size) on the test episodes of the checkpoint's own run, first seed, right
support: of the query chosen for the whole window, of the one chosen frame by frame, of the best of the Q queries
(an oracle), and of the choice frame by frame against whichever object of the video it fits best.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from statistics import fmean

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from PIL import Image
from rich.progress import track

from fsrvos.checkpoints import checkpoint_file
from fsrvos.cli.common import build
from fsrvos.engine.metrics import region_similarity
from fsrvos.models.mask_head import STRIDE
from fsrvos.report import table
from fsrvos.weights import load_model

COLUMNS = ("one query a window", "frame by frame", "best of the queries", "against the best object")


@torch.no_grad()
def main() -> None:
    """Measures and prints a table per kind of expression."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", required=True, help="run folder, folder of runs, or .ckpt file")
    arguments = parser.parse_args()
    model = load_model(arguments.checkpoint)
    config = OmegaConf.load(checkpoint_file(arguments.checkpoint).parent.parent / "config.yaml")
    data = build(config.data)
    episodes = data.test_episodes(data.test_seeds[0])
    specs = [episodes.one_window(episodes.spec(i)) for i in range(len(episodes))]
    scores: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for spec, batch in track(zip(specs, data.episode_loader(specs), strict=True), "segmenting", len(specs)):
        prediction = model(batch.query, batch.support)
        truth = batch.targets.masks[0]
        masks = F.interpolate(prediction.masks[0], scale_factor=STRIDE, mode="bilinear")
        masks = masks[..., : truth.shape[-2], : truth.shape[-1]] > 0
        similarity = torch.stack([region_similarity(masks[:, q], truth) for q in range(masks.shape[1])], 1)
        probability = prediction.logits[0].sigmoid()
        frames = torch.arange(len(masks))
        by_frame = probability.argmax(1)
        ids = torch.from_numpy(
            np.stack(
                [
                    np.array(Image.open(data.annotations.layout.mask(spec.query.video, f)))
                    for f in spec.query.frames
                ]
            )
        )
        ids = F.interpolate(ids[:, None].float(), truth.shape[-2:], mode="nearest-exact")[:, 0]
        fits = [region_similarity(masks[frames, by_frame], ids == i).mean() for i in ids.unique() if i > 0]
        row = (
            similarity[:, probability.mean(0).argmax()].mean(),
            similarity[frames, by_frame].mean(),
            similarity.mean(0).max(),
            torch.stack(fits).max(),
        )
        kind = data.annotations.expression(spec.query.video, spec.query.expression_id).kind or "any"
        for name in dict.fromkeys(("all", kind)):
            scores[name].append(tuple(100 * value.item() for value in row))
    rows = [
        [name, str(len(of)), *(f"{fmean(column):.1f}" for column in zip(*of, strict=True))]
        for name, of in scores.items()
    ]
    print(table(["kind", "episodes", *COLUMNS], rows))


if __name__ == "__main__":
    main()
