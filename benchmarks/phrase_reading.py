"""How fast is a phrase read? The judge by itself, on true masks, without the rest of the network.

    python benchmarks/phrase_reading.py --group 1

Trains ``text_encoder=small`` and ``PhraseJudge`` from nothing to say which of the two objects of a category a phrase is
about: two frames of each pair, the noun a pseudo-word. *One*: one phrase of each of twelve pairs a step. *All*: all about
both objects of six pairs, as training does (``data.rivals``). Prints the share of right choices on pairs of unseen
categories, whole videos, by kind of phrase; 50 is chance. A few minutes of one core.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor, nn

from fsrvos.data.annotations import Annotations
from fsrvos.data.captions import pseudo_word, rename
from fsrvos.data.categories import held_out, training
from fsrvos.data.clips import native_masks, read_clip
from fsrvos.data.draws import generator, pick
from fsrvos.data.synthetic_datamodule import SyntheticDataModule
from fsrvos.data.transforms import TestTransform
from fsrvos.encoders.text import TextEncoder
from fsrvos.models.features import TextProjection
from fsrvos.models.mask_head import STRIDE
from fsrvos.models.phrase_judge import PhraseJudge
from fsrvos.ops.boxes import boxes_from_masks
from fsrvos.report import table

PAIRS, FRAMES, CHANNELS = 6, 2, 64
KINDS = ("color", "motion", "position", "size")


@dataclass
class Pair:
    """Two objects of a category: frames (T, 3, h, w), coverage (T, 2, h, w), boxes (T, 2, 4), phrases of each."""

    category: str
    frames: Tensor
    masks: Tensor
    boxes: Tensor
    phrases: list[list[tuple[str, str]]]


class Reader(nn.Module):
    """Words and judge."""

    def __init__(self) -> None:
        super().__init__()
        self.words = TextEncoder("small")
        self.project = TextProjection(self.words.channels, CHANNELS, 0.0)
        self.judge = PhraseJudge(CHANNELS)

    def forward(self, pairs: list[Pair], phrases: list[str], cuts: list[slice]) -> Tensor:
        """Log-probabilities (B, T, 2) of the two objects, one phrase a pair."""
        tokens = self.words.tokenize(phrases)
        phrase = self.project(*self.words(tokens), tokens.padding_mask)
        masks, boxes, frames = (
            torch.stack([getattr(pair, name)[cut] for pair, cut in zip(pairs, cuts, strict=True)])
            for name in ("masks", "boxes", "frames")
        )
        padding = torch.zeros(masks[:, :, 0].shape, dtype=torch.bool)
        return self.judge.fit(masks, boxes, frames, padding, phrase).log_softmax(-1)


def read_pairs(annotations: Annotations, categories: tuple[str, ...]) -> list[Pair]:
    """All pairs of some categories."""
    transform, found = TestTransform(short_side=None), []
    videos = [(c, v) for c in categories for v in annotations.category_videos[c]]
    for category, video in track(videos, "reading"):
        ids = annotations.objects(video, category)
        if len(ids) != 2:
            continue
        content = annotations.videos[video]
        clips = [annotations.clip(video, i, content.expression_ids(i)[0], content.frames) for i in ids]
        frames = transform(read_clip(annotations, clips[0]), generator("none")).frames
        masks = torch.stack([native_masks(annotations, clip) for clip in clips], 1)
        phrases = [
            [
                (content.expressions[e].text, content.expressions[e].kind or "")
                for e in content.expression_ids(i)
            ]
            for i in ids
        ]
        found.append(
            Pair(
                category,
                F.avg_pool2d(frames, STRIDE),
                F.avg_pool2d(masks.float(), STRIDE),
                torch.stack([boxes_from_masks(masks[:, k]) for k in range(2)], 1),
                phrases,
            )
        )
    return found


def train(
    pairs: list[Pair], unseen: list[Pair], steps: int, *, all_phrases: bool
) -> dict[int, dict[str, float]]:
    """Accuracies on ``unseen`` after a quarter, a half and all of the steps."""
    torch.manual_seed(0)
    reader, rng, found = Reader(), np.random.default_rng(0), {}
    optimizer = torch.optim.AdamW(reader.parameters(), lr=1e-3, weight_decay=1e-4)
    for step in track(range(1, steps + 1), "all" if all_phrases else "one"):
        batch, targets, texts, cuts = [], [], [], []
        for _ in range(PAIRS if all_phrases else 2 * PAIRS):
            pair = pick(rng, pairs)
            start = int(rng.integers(len(pair.frames) - FRAMES + 1))
            noun = pseudo_word(rng)
            known = [(target, text) for target, said in enumerate(pair.phrases) for text, _ in said]
            for target, text in known if all_phrases else [pick(rng, known)]:
                batch.append(pair)
                targets.append(target)
                texts.append(rename(text, pair.category, noun))
                cuts.append(slice(start, start + FRAMES))
        fit = reader(batch, texts, cuts)
        loss = -fit[torch.arange(len(batch)), :, torch.tensor(targets)].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in (steps // 4, steps // 2, steps):
            found[step] = accuracies(reader, unseen)
    return found


@torch.no_grad()
def accuracies(reader: Reader, pairs: list[Pair]) -> dict[str, float]:
    """Share of frames with the right choice, percent, of all phrases and by kind."""
    right: dict[str, list[float]] = defaultdict(list)
    rng = np.random.default_rng(1)
    for pair in pairs:
        noun = pseudo_word(rng)
        for target, phrases in enumerate(pair.phrases):
            texts = [rename(text, pair.category, noun) for text, _ in phrases]
            fit = reader([pair] * len(texts), texts, [slice(None)] * len(texts))
            for (_, kind), share in zip(
                phrases, (fit.argmax(-1) == target).float().mean(1).tolist(), strict=True
            ):
                right["all"].append(share)
                right[kind].append(share)
    return {kind: 100 * float(np.mean(of)) for kind, of in right.items()}


def main() -> None:
    """Reads, trains twice, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--group", type=int, default=1, choices=(1, 2, 3, 4), help="held-out group")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument(
        "--root", type=Path, default=Path("data/Mini-Ref-Synthetic-32"), help="made if missing"
    )
    arguments = parser.parse_args()
    data = SyntheticDataModule(
        str(arguments.root),
        videos_per_category=32,
        video_frames=8,
        video_size=(96, 160),
        group=arguments.group,
    )
    data.prepare_data()
    annotations = data.annotations
    pairs = read_pairs(annotations, training(arguments.group, annotations.categories))
    unseen = read_pairs(annotations, held_out(arguments.group, annotations.categories))
    rows = []
    for all_phrases in (False, True):
        for step, of in train(pairs, unseen, arguments.steps, all_phrases=all_phrases).items():
            rows.append(
                ["all" if all_phrases else "one", str(step), *(f"{of[kind]:.0f}" for kind in ("all", *KINDS))]
            )
    print(f"{len(pairs)} pairs of training categories, {len(unseen)} of unseen ones")
    print(table(["phrases of a pair", "steps", "all", *KINDS], rows))


if __name__ == "__main__":
    main()
