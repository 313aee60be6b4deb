"""What an adaptation leaves to read: adapt.json, report.md and curve.png."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from fsrvos.data.held_back import OwnClip
from fsrvos.engine.adaptation import Adaptation
from fsrvos.report import replace_file, table

RECORD = "adapt.json"


def describe(
    found: Adaptation, clips: Sequence[OwnClip], settings: Mapping[str, Any], checkpoint: str, written: bool
) -> dict[str, Any]:
    """The content of adapt.json; J in percent.

    Args:
        found: What came of the adaptation.
        clips: The user's clips.
        settings: Resolved config.
        checkpoint: The file that was adapted.
        written: Whether the adapted network is.
    """
    curve = found.curve
    before, after = (100 * fmean(scores.values()) for scores in (found.before, found.after))
    frames = {
        own.name: {
            "category": own.category,
            "phrase": own.clip.expression,
            **{part: list(getattr(own, part)) for part in ("train", "stop", "report")},
        }
        for own in clips
    }
    return {
        "verdict": verdict(found, written),
        "better": found.better,
        "written": written,
        "checkpoint": checkpoint,
        "J_before": before,
        "J_after": after,
        "per_clip": {
            name: {"before": 100 * J, "after": 100 * found.after[name]} for name, J in found.before.items()
        },
        "best_step": curve.best_step,
        "steps_done": len(curve.losses),
        "interrupted": curve.interrupted,
        "reported_apart": all(own.reports_apart for own in clips if own.stop),
        "clips": frames,
        "stop_J": {str(step): 100 * J for step, J in curve.scores.items()},
        "losses": curve.losses,
        "settings": dict(settings),
    }


def verdict(found: Adaptation, written: bool) -> str:
    """One line, such as ``better: J 41.2 -> 63.0 on held-back frames (step 120)``."""
    before, after = (100 * fmean(scores.values()) for scores in (found.before, found.after))
    stop_before, stop_after = (100 * found.curve.scores[step] for step in (0, found.curve.best_step))
    where = f"J {before:.1f} -> {after:.1f} on held-back frames (step {found.curve.best_step})"
    if found.better:
        return f"better: {where}"
    why = "" if stop_after > stop_before else f"; no state beat {stop_before:.1f} on the stopping frames"
    return f"not better: {where}{why}; " + ("written all the same" if written else "network not written")


def save_report(record: Mapping[str, Any], folder: Path) -> None:
    """Writes the three files into a folder."""
    text = json.dumps(record, indent=1) + "\n"
    replace_file(folder / RECORD, lambda file: file.write(text.encode()))
    replace_file(folder / "report.md", lambda file: file.write(markdown(record).encode()))
    save_curve(record, folder / "curve.png")


def markdown(record: Mapping[str, Any]) -> str:
    """The report of an adapt.json."""
    rows = [
        [name, f"{J['before']:.1f}", f"{J['after']:.1f}", f"{J['after'] - J['before']:+.1f}"]
        for name, J in record["per_clip"].items()
    ]
    before, after = record["J_before"], record["J_after"]
    rows.append(["**mean**", f"{before:.1f}", f"{after:.1f}", f"{after - before:+.1f}"])
    frames = [
        [name, of["phrase"], *(spans(of[part]) for part in ("train", "stop", "report"))]
        for name, of in record["clips"].items()
    ]
    apart = (
        "No frame of the report chose the state that is reported."
        if record["reported_apart"]
        else "Of some clips the same few frames chose the state and are reported, so J after is optimistic; from four "
        "held-back frames on they are apart."
    )
    settings = record["settings"]
    end = "ended by Ctrl-C" if record["interrupted"] else "done"
    shown = ("steps", "batch_size", "every", "patience", "min_gain", "frozen", "within", "seed", "input")
    sections = [
        "# Adaptation",
        record["verdict"],
        f"Checkpoint `{record['checkpoint']}`; {record['steps_done']} steps {end}, the state of step "
        f"{record['best_step']} is the best on the stopping frames.",
        table(["J in percent, native size", "before", "after", "gain"], rows),
        apart,
        "## Frames",
        table(["clip", "phrase", "training", "stopping", "report"], frames),
        "Frames count from 0 in the order of the annotations. Support of a scored clip are training frames of the next "
        "clip of its category, of itself where there is no other.",
        "![J and loss over steps](curve.png)",
        "## Settings",
        "\n".join(f"- {key}: {settings[key]}" for key in shown if key in settings)
        + (f"\n- optim: {settings['optim']}" if "optim" in settings else ""),
    ]
    return "\n\n".join(sections) + "\n"


def spans(positions: Sequence[int]) -> str:
    """Positions as ranges, such as ``0-5, 8``; a dash for none."""
    parts: list[list[int]] = []
    for position in positions:
        if parts and position == parts[-1][-1] + 1:
            parts[-1][1:] = [position]
        else:
            parts.append([position])
    return ", ".join("-".join(map(str, part)) for part in parts) or "-"


def save_curve(record: Mapping[str, Any], path: Path) -> None:
    """Draws J on the stopping frames over the training loss."""
    from matplotlib.figure import Figure  # takes a second, which no other command should pay

    figure = Figure(figsize=(7, 5), dpi=120, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    steps = [int(step) for step in record["stop_J"]]
    above.plot(steps, list(record["stop_J"].values()), marker="o", color="C0")
    above.axhline(record["stop_J"]["0"], color="0.6", linewidth=1, linestyle="--", label="before")
    above.axvline(record["best_step"], color="C1", linewidth=1, label=f"best, step {record['best_step']}")
    above.set_ylabel("J, stopping frames (%)")
    above.legend(frameon=False, fontsize=8)
    losses = record["losses"]
    below.plot(range(1, len(losses) + 1), losses, color="0.75", linewidth=0.8, label="each step")
    width = max(1, len(losses) // 20)
    means = [fmean(losses[max(0, i - width) : i + 1]) for i in range(len(losses))]
    below.plot(range(1, len(losses) + 1), means, color="C3", label=f"mean of {width + 1}")
    below.set_ylabel("training loss")
    below.set_xlabel("step")
    below.legend(frameon=False, fontsize=8)
    for panel in (above, below):
        panel.spines[["top", "right"]].set_visible(False)
    replace_file(path, lambda file: figure.savefig(file, format="png"))
