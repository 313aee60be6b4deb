"""Does memory grow with the length of a video? fsrvos-predict on videos of 200 to 10,000 frames.

    python benchmarks/long_video.py --checkpoint outputs/demo --out docs/results

Makes mp4 videos by showing one synthetic clip again and again, runs the command on each in a process of its own (one
after the other, with support, masks, overlay), and reads from /proc what that process holds, twice a second. Writes
long_video.json and long_video.png, and prints a table. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from matplotlib.figure import Figure
from rich.progress import track

from fsrvos.data.clips import read_clip
from fsrvos.data.synthetic_datamodule import SyntheticDataModule
from fsrvos.prediction_folder import JOURNAL
from fsrvos.report import replace_file, table
from fsrvos.video import VideoWriter, open_video


def main() -> None:
    """Measures, writes, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", required=True, help="run folder, folder of runs, or .ckpt file")
    parser.add_argument("--data", default="data/Mini-Ref-Synthetic", help="made there once")
    parser.add_argument("--frames", type=int, nargs="+", default=[200, 1000, 3000, 10000])
    parser.add_argument("--out", type=Path, default=Path("outputs/long_video"))
    arguments = parser.parse_args()
    data = SyntheticDataModule(arguments.data, support_frames=1, test_seeds=(0,))
    data.prepare_data()
    data.setup("test")
    spec = data.test_episodes(0).spec(0)
    clip = read_clip(data.annotations, spec.query)
    support = data.annotations.layout.frame(spec.support[0].video, spec.support[0].frames[0]).parent
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.frames:
            video = Path(folder) / f"{count}.mp4"
            shown = clip.frames.permute(0, 2, 3, 1).numpy()
            with VideoWriter(video, shown.shape[1:3], 25) as writer:
                for index in track(range(count), f"making {count} frames"):
                    writer.write(shown[index % len(shown)])
            assert open_video(video).count == count
            out = Path(folder) / f"out{count}"
            command = [
                sys.executable, "-m", "fsrvos.cli.predict", f"checkpoint={arguments.checkpoint}", f"video={video}",
                f"text={spec.query.expression}", f"support={support}", f"object={spec.support[0].object_id}",
                f"support_text={spec.support[0].expression}", f"out={out}",
            ]  # fmt: skip
            curve, seconds = watched(command, out / JOURNAL)
            done = json.loads((out / "predictions.json").read_text())[0]["frames"]
            assert len(done) == count
            measured.append({"frames": count, "seconds": round(seconds, 1), "curve": curve})
    replace_file(arguments.out / "long_video.json", lambda file: file.write(json.dumps(measured).encode()))
    draw(measured, arguments.out / "long_video.png")
    rows = []
    for run in measured:
        held = [mb for _, mb in run["curve"]]
        half = held[len(held) // 2 :]
        row = (run["frames"], max(held), sum(half) / len(half), run["frames"] / run["seconds"])
        rows.append([f"{row[0]:,}", f"{row[1]:.0f}", f"{row[2]:.0f}", f"{row[3]:.1f}"])
    print(table(["frames", "peak, MB", "mean of the second half, MB", "frames/s, start included"], rows))


def watched(command: list[str], journal: Path) -> tuple[list[tuple[int, float]], float]:
    """Runs a command; returns (frames done, resident megabytes) over time, and the seconds it took."""
    started, curve = time.perf_counter(), []
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    done, position = 0, 0
    while process.poll() is None:
        time.sleep(0.5)
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            with journal.open("rb") as lines:
                lines.seek(position)
                new = lines.read()
        except OSError:
            continue  # not begun yet, or over
        done += new.count(b"\n")
        position += len(new)
        resident = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
        if resident and done > 1:
            curve.append((done - 1, int(resident[0]) / 1000))
    assert process.returncode == 0, command
    return curve, time.perf_counter() - started


def draw(measured: list[dict], path: Path) -> None:
    """Memory over frames, one curve a video."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    for run in measured:
        frames, held = zip(*run["curve"], strict=True)
        axes.plot(frames, held, label=f"{run['frames']:,} frames")
    axes.set(xscale="log", xlabel="frames done", ylabel="resident memory, MB", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    replace_file(path, lambda file: figure.savefig(file, format="png", dpi=110))


if __name__ == "__main__":
    main()
