"""Tables and plots of ``benchmarks/synthetic.py``, from its records."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from fsrvos.report import replace_file, table

CONTROLS = {"wrong_support": "wrong support", "no_support": "no support", "wrong_text": "wrong text"}
Record = dict[str, Any]
CONDITIONS = {"right": "tab:blue", "wrong_support": "0.45", "no_support": "0.65"}


def write_report(
    records: Sequence[Record], variants: Sequence[str], folder: Path, best: str = "cma_plus"
) -> None:
    """Writes synthetic.json, synthetic.md and four plots.

    Args:
        records: Of trained networks and of their scores with other supports.
        variants: In the order of the table; those without a run are shown as missing.
        folder: Where to; it is made.
        best: The variant whose categories are drawn.
    """
    trained = [record for record in records if "variant" in record]
    supports = [record for record in records if "support_of" in record]
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(slim(records), indent=1) + "\n"
    replace_file(folder / "synthetic.json", lambda file: file.write(text.encode()))
    plots = {
        "variants": draw_variants(trained, variants, folder),
        "curves": draw_curves(trained, variants, folder),
    }
    of_best = [record for record in trained if record["variant"] == best]
    plots["categories"] = draw_categories(of_best, folder)
    plots["supports"] = draw_supports(supports, folder)
    markdown = "\n".join(lines(trained, supports, variants, [name for name, drawn in plots.items() if drawn]))
    replace_file(folder / "synthetic.md", lambda file: file.write(markdown.encode()))
    print(f"{len(trained)} runs -> {folder / 'synthetic.md'}")


def slim(records: Iterable[Record]) -> list[Record]:
    """Records without the paths of this machine."""
    kept = []
    for record in records:
        kept.append({**record, "settings": portable(record["settings"])})
        kept[-1].pop("run", None)
    return kept


def portable(settings: Iterable[str]) -> list[str]:
    """Settings without the paths of this machine."""
    return [setting for setting in settings if not setting.startswith(("data.root=", "checkpoint="))]


def lines(
    trained: Sequence[Record], supports: Sequence[Record], variants: Sequence[str], plots: Sequence[str]
) -> list[str]:
    """The Markdown page, line by line."""
    page = [
        "# Variants on Mini-Ref-Synthetic",
        "",
        "Written by `python benchmarks/synthetic.py`; do not edit. J in percent on unseen categories, standard protocol;",
        "± is the standard deviation over training seeds where a cell holds more than one. Wrong text: the drop against",
        "the right phrase on those same episodes, which are the ones with two objects of the category.",
        "",
    ]
    for group in sorted({record["group"] for record in trained}):
        of_group = [record for record in trained if record["group"] == group]
        steps = sorted({record["steps"] for record in of_group})
        rows = [row(variant, [r for r in of_group if r["variant"] == variant]) for variant in variants]
        header = ["variant", "seeds", "J", *CONTROLS.values(), "F", "minutes"]
        header[header.index("wrong text")] = "wrong text, drop"
        page += [
            f"## Group {group} held out, {' or '.join(map(str, steps))} steps",
            "",
            table(header, rows),
            "",
        ]
    if supports:
        rows = [
            [str(r["frames"]), str(r["clips"]), f"{r['results']['standard']['J']:.1f}"]
            for r in sorted(supports, key=lambda r: (r["clips"], r["frames"]))
        ]
        page += ["## Support of the test", "", table(["frames of a clip", "clips", "J"], rows), ""]
    for name in plots:
        page += [f"![{name}](synthetic_{name}.png)", ""]
    for machine in sorted({(r["machine"], r["jobs"]) for r in trained}):
        page.append(
            f"Machine: {machine[0]}; runs side by side: {machine[1]}. Minutes are of training and scoring."
        )
    return [*page, ""]


def row(variant: str, runs: Sequence[Record]) -> list[str]:
    """A variant's row; of dashes when there is no run."""
    if not runs:
        return [variant, "0", *["missing"] * 6]

    def control(name: str) -> str:
        values = [run["results"]["controls"].get(name) for run in runs]
        if None in values:
            return "none"
        if name == "wrong_text":
            return spread([v["right_on_same"]["standard"]["J"] - v["standard"]["J"] for v in values])
        return spread([v["standard"]["J"] for v in values])

    return [
        variant,
        str(len(runs)),
        spread([run["results"]["standard"]["J"] for run in runs]),
        *(control(name) for name in CONTROLS),
        spread([run["results"]["standard"]["F"] for run in runs]),
        f"{fmean(run['minutes'] for run in runs):.0f}",
    ]


def spread(values: Sequence[float]) -> str:
    """Mean and, of several, standard deviation."""
    return f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def draw_variants(trained: Sequence[Record], variants: Sequence[str], folder: Path) -> bool:
    """Bars of J and its controls, every run a dot."""
    shown = [v for v in variants if any(r["variant"] == v for r in trained)]
    if not shown:
        return False
    figure, axes = plt.subplots(figsize=(8, 1 + 0.55 * len(shown)), layout="constrained")
    for i, (key, colour) in enumerate(CONDITIONS.items()):
        for y, variant in enumerate(shown):
            values = [score(r, key) for r in trained if r["variant"] == variant]
            place = y + 0.26 * (i - 1)
            axes.barh(
                place, fmean(values), 0.24, color=colour, label=key.replace("_", " ") if y == 0 else None
            )
            axes.plot(values, [place] * len(values), "k.", markersize=4)
    axes.set_yticks(range(len(shown)), shown)
    axes.invert_yaxis()
    axes.set_xlabel("J, unseen categories (dots: runs)")
    axes.legend(frameon=False)
    return finish(figure, axes, folder / "synthetic_variants.png")


def score(record: Record, key: str) -> float:
    """J of a run under a condition."""
    results = record["results"]
    return float((results if key == "right" else results["controls"][key])["standard"]["J"])


def draw_curves(trained: Sequence[Record], variants: Sequence[str], folder: Path) -> bool:
    """Validation J against minutes of training, one line a run."""
    shown = [v for v in variants if any(r["variant"] == v and r["curve"] for r in trained)]
    if not shown:
        return False
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    shades = plt.get_cmap("tab20").colors  # type: ignore[attr-defined]
    colours = (*shades[::2], *shades[1::2])  # pairs of one hue far apart
    for colour, variant in zip(colours, shown, strict=False):
        for i, record in enumerate(r for r in trained if r["variant"] == variant):
            minutes = [point["minutes"] for point in record["curve"]]
            values = [point["J"] for point in record["curve"]]
            axes.plot(minutes, values, ".-", color=colour, label=variant if i == 0 else None)
    axes.set_xlabel("minutes of training")
    axes.set_ylabel("validation J, unseen categories")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    return finish(figure, axes, folder / "synthetic_curves.png")


def draw_categories(runs: Sequence[Record], folder: Path) -> bool:
    """J of every unseen category, mean over runs."""
    values: dict[str, list[float]] = defaultdict(list)
    for record in runs:
        for name, scores in record["results"]["per_category"].items():
            values[name].append(scores["J"])
    if not values:
        return False
    names = sorted(values, key=lambda name: fmean(values[name]))
    figure, axes = plt.subplots(figsize=(8, 1 + 0.24 * len(names)), layout="constrained")
    axes.barh(names, [fmean(values[name]) for name in names], color="tab:blue")
    axes.set_xlabel("J of each unseen category, cma_plus")
    return finish(figure, axes, folder / "synthetic_categories.png")


def draw_supports(supports: Sequence[Record], folder: Path) -> bool:
    """J against support frames and support clips."""
    if not supports:
        return False
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    lines_of = {
        "frames of one clip": [(r["frames"], r) for r in supports if r["clips"] == 1],
        "clips of one frame": [(r["clips"], r) for r in supports if r["frames"] == 1],
    }
    for label, found in lines_of.items():
        counts: dict[int, list[float]] = defaultdict(list)
        for count, record in found:
            counts[count].append(score(record, "right"))
        axes.plot(sorted(counts), [fmean(counts[n]) for n in sorted(counts)], "o-", label=label)
    axes.set_xticks(sorted({count for found in lines_of.values() for count, _ in found}))
    axes.set_xlabel("how many")
    axes.set_ylabel("J, unseen categories")
    axes.legend(frameon=False)
    return finish(figure, axes, folder / "synthetic_supports.png")


def finish(figure: Any, axes: Axes, path: Path) -> bool:
    """Saves a plot."""
    axes.spines[["top", "right"]].set_visible(False)
    replace_file(path, lambda file: figure.savefig(file, format="png", dpi=110, metadata={"Software": None}))
    plt.close(figure)
    return True
