"""The two commands end to end: what they print, what they write, and that their numbers hold."""

import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch
import yaml
from commands import BIN, run
from PIL import Image

from fsrvos.cli import eval as eval_command
from fsrvos.cli import train as train_command
from fsrvos.engine.module import SegmentationModule

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
]
KEYS = {
    "experiment", "group", "seeds", "standard", "paper", "controls", "per_category", "episodes", "frames", "seconds"
}  # fmt: skip
HEADLINE = re.compile(
    r"unseen categories: J (\d+\.\d) F (\d+\.\d) \| wrong support J (\d+\.\d) \| no support J (\d+\.\d)"
    r" \| wrong text J (\d+\.\d) -> (\S+)$"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("smoke")


@pytest.fixture(scope="module")
def smoke(place):
    """One run of the real command in a process of its own: stdout, stderr and the run folder.

    Coordinates in pixels, and a seed that suits, make even a fresh network draw masks, without which every score would
    be 0.
    """
    overrides = [
        "data.max_test_per_category=2", "evaluation.sheet_rows=3", "model.coordinate_scale=1.0", "seed=1",
    ]  # fmt: skip
    done = subprocess.run(
        [BIN / "fsrvos-train", "experiment=smoke", *overrides],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (place / "outputs" / "smoke").iterdir()
    return done, folder


def results_of(folder):
    return json.loads((folder / "results.json").read_text())


def test_smoke_ends_with_the_headline(smoke, place):
    done, folder = smoke
    last = done.stdout.strip().splitlines()[-1]
    told = HEADLINE.fullmatch(last)
    assert told, last
    results = results_of(folder)
    found = [results["standard"]["J"], results["standard"]["F"]]
    found += [
        results["controls"][name]["standard"]["J"] for name in ("wrong_support", "no_support", "wrong_text")
    ]
    assert [float(number) for number in told.groups()[:5]] == pytest.approx(found, abs=0.051)
    assert (place / told[6]).resolve() == folder.resolve()
    assert "Traceback" not in done.stderr


def test_smoke_writes_everything(smoke):
    _, folder = smoke
    results = results_of(folder)
    assert results.keys() >= KEYS
    assert (results["experiment"], results["group"], results["seeds"]) == ("smoke", 1, [0])
    for scores in (results, *results["controls"].values()):
        for protocol in ("standard", "paper"):
            assert {"J", "F", "JF"} <= scores[protocol].keys()
            assert all(0 <= scores[protocol][name] <= 100 for name in ("J", "F", "JF"))
    assert set(results["controls"]) == {"wrong_support", "no_support", "wrong_text"}
    assert len(results["per_category"]) == 12
    assert len({scores["J"] for scores in results["per_category"].values()}) > 3
    assert results["standard"]["J"] not in {c["standard"]["J"] for c in results["controls"].values()}
    assert results["episodes"] == 24
    assert results["frames"] == 24 * 4
    report = (folder / "report.md").read_text()
    assert f"{results['standard']['J']:.1f}" in report
    assert all(category in report for category in results["per_category"])
    with Image.open(folder / "contact_sheet.png") as sheet:
        assert min(sheet.size) > 200
        assert len(sheet.convert("RGB").getcolors(maxcolors=10**7)) > 1000
    assert len(list((folder / "overlays").glob("*.png"))) == 3
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4
    header = (folder / "logs" / "metrics.csv").read_text().splitlines()[0]
    assert {"val/J", "val/J_wrong_support", "val/J_no_support"} <= set(header.split(","))
    assert (folder / "config.yaml").is_file()


def test_eval_gives_the_numbers_of_training(smoke, place, monkeypatch, capfd):
    _, folder = smoke
    again = place / "outputs" / "again"
    arguments = [f"checkpoint={folder}", "save_masks=true", f"hydra.run.dir={again}"]
    done = run(eval_command.main, arguments, place, monkeypatch, capfd)
    assert done.code == 0
    trained, scored = results_of(folder), results_of(again)
    for results in (trained, scored):
        results.pop("seconds")
    # The limits of the test belong to the run, so nothing had to be said again.
    assert scored == trained
    assert HEADLINE.fullmatch(done.out.strip().splitlines()[-1])
    check_masks(again, place / "data" / "Mini-Ref-Synthetic-smoke" / "train", trained)


def test_eval_in_lower_precision_gives_close_numbers(smoke, place, monkeypatch, capfd):
    trained, again = results_of(smoke[1]), place / "outputs" / "rounded"
    arguments = [f"checkpoint={smoke[1]}", "precision=bf16-mixed", "evaluation.conditions=[right]"]
    done = run(eval_command.main, [*arguments, f"hydra.run.dir={again}"], place, monkeypatch, capfd)
    assert done.code == 0
    scored = results_of(again)
    assert scored["per_category"] != trained["per_category"]
    assert scored["standard"]["J"] == pytest.approx(trained["standard"]["J"], abs=3)
    assert yaml.safe_load((again / "config.yaml").read_text())["precision"] == "bf16-mixed"


def check_masks(folder, data, results):
    """PNGs at native size whose J, from the files alone, is the one in results.json."""
    objects = json.loads((data / "meta.json").read_text())["videos"]
    expressions = json.loads(
        (data.parent / "meta_expressions" / "train" / "meta_expressions.json").read_text()
    )["videos"]
    scores, files = {}, sorted((folder / "predictions" / "seed0" / "Annotations").glob("*/*/*.png"))
    assert len(files) == results["frames"]
    for file in files:
        expression, video = file.parent.name, file.parent.parent.name
        object_id = expressions[video]["expressions"][expression]["obj_id"]
        with Image.open(file) as image:
            assert image.mode == "P"
            found = np.asarray(image)
        truth = np.asarray(Image.open(data / "Annotations" / video / file.name)) == int(object_id)
        assert found.shape == truth.shape == (64, 96)
        assert set(np.unique(found)) <= {0, 1}
        union = (found.astype(bool) | truth).sum()
        similarity = (found.astype(bool) & truth).sum() / union if union else 1.0
        category = objects[video]["objects"][object_id]["category"]
        scores.setdefault(category, {}).setdefault((video, expression), []).append(similarity)
    per_category = {c: np.mean([np.mean(js) for js in of.values()]) for c, of in scores.items()}
    for category, similarity in per_category.items():
        assert results["per_category"][category]["J"] == pytest.approx(100 * similarity)
    assert results["standard"]["J"] == pytest.approx(100 * np.mean(list(per_category.values())))


def test_predictions_on_disk_give_the_same_numbers(smoke, place, monkeypatch, capfd):
    """Written above, scored from PNG and from COCO RLE: the standard protocol to the last digit."""
    again = place / "outputs" / "again"
    expected = results_of(again)
    for number, source in enumerate((again, again / "predictions" / "seed0" / "predictions.json")):
        scored = place / "outputs" / f"scored{number}"
        done = run(
            eval_command.main, [f"predictions={source}", f"hydra.run.dir={scored}"], place, monkeypatch, capfd
        )
        assert done.code == 0, done.err
        results = results_of(scored)
        for key in ("standard", "statistics", "per_size", "episodes", "frames", "seeds", "experiment"):
            found, wanted = results[key], expected[key]
            if key == "per_size":
                found, wanted = ({s: of["J"] for s, of in sizes.items()} for sizes in (found, wanted))
            assert found == wanted, key
        # Resized masks here, resized logits there.
        assert results["paper"]["J"] == pytest.approx(expected["paper"]["J"], abs=1)
        assert results["controls"] == {}
        assert (scored / "contact_sheet.png").is_file()


def test_missing_predictions_are_listed(smoke, place, monkeypatch, capfd):
    again = place / "outputs" / "again"
    folder = place / "part"
    shutil.copytree(again / "predictions" / "seed0", folder / "seed0")
    lost = sorted((folder / "seed0" / "Annotations").glob("*/*/00002.png"))[:3]
    for file in lost:
        file.unlink()
    config = yaml.safe_load((again / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    done = run(eval_command.main, [f"predictions={folder}", "hydra.run.dir=lost"], place, monkeypatch, capfd)
    assert done.code == 2
    (line,) = done.complaints
    assert "3 frames of 3 expressions are missing" in line
    listed = (place / "lost" / "missing.txt").read_text().splitlines()
    assert sorted(listed) == [str(file.relative_to(folder).with_suffix("")) for file in lost]
    assert all(entry.rsplit("/", 1)[0] in line for entry in listed)


def test_any_number_of_processes_gives_identical_numbers(smoke, place):
    """Two and three processes with gloo against one, the same number of threads in each."""
    _, folder = smoke
    found = {}
    for processes in (1, 2, 3):
        name = f"processes{processes}"
        done = subprocess.run(
            [BIN / "fsrvos-eval", f"checkpoint={folder}", f"processes={processes}", f"hydra.run.dir={name}",
             "evaluation.conditions=[right,wrong_text]", "save_masks=true"],
            cwd=place, capture_output=True, text=True, timeout=600, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("unseen categories") == 1
        results = results_of(place / name)
        results.pop("seconds")
        masks = {
            p.relative_to(place / name): p.read_bytes() for p in (place / name / "predictions").rglob("*.*")
        }
        sheet = (place / name / "contact_sheet.png").read_bytes()
        found[processes] = results, masks, sheet
    assert found[1][0]["episodes"] == 24
    assert len(found[1][1]) == 24 * 4 + 1
    assert found[1] == found[2] == found[3]


def test_training_in_two_processes_ends_in_the_scores_of_one(place, monkeypatch, capfd):
    """DDP scores in its own processes: once, every episode once, and as one process finds them."""
    settings = ["experiment=smoke", "strategy=ddp", "trainer.devices=2", "trainer.max_steps=1",
                "model.coordinate_scale=1.0", "seed=1", "hydra.run.dir=ddp"]  # fmt: skip
    done = subprocess.run(
        [BIN / "fsrvos-train", *settings], cwd=place, capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "MEMBER: 2/2" in done.stdout + done.stderr
    assert done.stdout.count("unseen categories") == 1
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = run(eval_command.main, ["checkpoint=ddp", "hydra.run.dir=alone"], place, monkeypatch, capfd)
    finally:
        torch.set_num_threads(threads)
    assert alone.code == 0, alone.err
    together, by_one = results_of(place / "ddp"), results_of(place / "alone")
    for results in (together, by_one):
        results.pop("seconds")
    assert together == by_one
    assert together["episodes"] == 12
    assert together["standard"]["J"] > 0


def test_resuming_goes_on_where_training_stopped(smoke, place, monkeypatch, capfd):
    """Two steps and two more read the same episodes, and end with the same network, as four at once."""
    seen = []
    step = SegmentationModule.training_step

    def watched(self, batch, batch_idx):
        seen.append((self.trainer.global_step, [spec.index for spec in batch.specs]))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(SegmentationModule, "training_step", watched)

    def train(name, folder, steps, *more):
        arguments = [
            "experiment=smoke",
            f"name={name}",
            "data.batch_size=2",
            "data.val_episodes=1",
            "++optim.total_steps=4",
            "optim.warmup_steps=1",
            f"trainer.max_steps={steps}",
            "trainer.val_check_interval=2",
            "evaluate=false",
            f"hydra.run.dir=outputs/{name}/{folder}",
            *more,
        ]
        seen.clear()
        done = run(train_command.main, arguments, place, monkeypatch, capfd)
        assert done.code == 0, done.err
        return torch.load(
            place / "outputs" / name / folder / "checkpoints" / "last.ckpt", weights_only=True
        ), list(seen)

    whole, steps = train("whole", "a", 4)
    first, before = train("parts", "a", 2)
    second, after = train("parts", "b", 4, "ckpt_path=last")
    assert (first["global_step"], second["global_step"], whole["global_step"]) == (2, 4, 4)
    assert before == steps[:2]
    assert after == steps[2:]
    assert [number for number, _ in steps] == [0, 1, 2, 3]
    changed = [k for k, v in whole["state_dict"].items() if not torch.equal(v, first["state_dict"][k])]
    assert len(changed) > 100
    different = [k for k, v in whole["state_dict"].items() if not torch.equal(v, second["state_dict"][k])]
    assert different == []
