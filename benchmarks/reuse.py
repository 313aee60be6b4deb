"""What encoding the support once, and the frames once for all phrases, saves.

    python benchmarks/reuse.py --checkpoint outputs/demo

Segments one video of 60 frames in turn (1) as Predictor does, and (2) with the support encoded anew for every window,
or with one pass over the video for each phrase, and prints the ratios of their times. Answers are compared, too.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np

from fsrvos.data.clips import read_clip
from fsrvos.data.synthetic_datamodule import SyntheticDataModule
from fsrvos.predictor import Predictor
from fsrvos.report import table
from fsrvos.video import open_video


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", required=True, help="run folder, folder of runs, or .ckpt file")
    parser.add_argument("--data", default="data/Mini-Ref-Synthetic", help="made there once")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    data = SyntheticDataModule(arguments.data, support_frames=5, test_seeds=(0,))
    data.prepare_data()
    data.setup("test")
    spec = data.test_episodes(0).spec(0)
    clip, shown = read_clip(data.annotations, spec.query), read_clip(data.annotations, spec.support[0])
    frames = np.resize(clip.frames.permute(0, 2, 3, 1).numpy(), (60, *clip.frames.shape[-2:], 3))
    predictor, video = Predictor.from_pretrained(arguments.checkpoint), open_video(frames)
    source = (shown.frames.permute(0, 2, 3, 1).numpy(), shown.masks.numpy())
    window = predictor.settings.window

    def once(phrases):
        support = predictor.support(source, shown.expression)
        return predictor.segment(video, phrases, support)

    def anew_each_window(phrase):
        masks, previous = [], None
        for start in range(0, 60, window):
            support = predictor.support(source, shown.expression)
            part = next(predictor.stream(video, [phrase], support, start=start, previous=previous))
            previous = part.masks[:, -1]
            masks.append(part.masks[0])
        return np.concatenate(masks)

    phrase, rows = spec.query.expression, []
    assert np.array_equal(once(phrase).masks, anew_each_window(phrase))
    several = [phrase, "the red one", "the one on the left", "a small one"]
    together, alone = once(several), [once(one) for one in several]
    assert all(np.array_equal(a.masks, b.masks) for a, b in zip(together, alone, strict=True))
    for name, ours, other in (
        ("support of 5 frames once, not for each of 6 windows", lambda: once(phrase), lambda: anew_each_window(phrase)),
        ("4 phrases in one pass, not 4 passes", lambda: once(several), lambda: [once(one) for one in several]),
    ):  # fmt: skip
        ratios = [seconds(other) / seconds(ours) for _ in range(arguments.repeats)]
        rows.append([name, f"{median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}"])
    print(table(["what is shared", "times as fast", "range"], rows))


def seconds(call) -> float:
    """How long a call takes on the processor's clock, which other processes do not stretch."""
    started = time.process_time()
    call()
    return time.process_time() - started


if __name__ == "__main__":
    main()
