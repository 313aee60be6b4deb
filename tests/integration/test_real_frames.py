"""Training and scoring on real frames in the benchmark's own layout: DAVIS clips of ../shared."""

import json
from pathlib import Path

import pytest
from commands import run
from PIL import Image

from fsrvos.cli import train as train_command

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason="../shared with the real clips is not here"),
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
]


def test_dogs_and_people_train_and_sedans_are_segmented(tmp_path, monkeypatch, capfd):
    arguments = [
        "experiment=ytvos_g1",
        f"paths.data={DATA}",
        "backbone=small",
        "text_encoder=small",
        "model=cma_plus",
        "data.num_workers=0",
        "data.query_frames=1",
        "data.support_frames=1",
        "data.val_episodes=1",
        "data.max_test_per_category=1",
        "data.test_seeds=[0]",
        "++data.train_transform.short_sides=[64]",
        "++data.train_transform.crop=false",
        "data.test_transform.short_side=64",
        "data.window=4",
        "trainer.max_steps=2",
        "trainer.max_epochs=-1",
        "trainer.log_every_n_steps=1",
        "++trainer.limit_val_batches=1",
        "evaluation.conditions=[right]",
        "evaluation.sheet_rows=1",
        "evaluation.save_masks=true",
        "hydra.run.dir=run",
    ]
    done = run(train_command.main, arguments, tmp_path, monkeypatch, capfd)
    assert done.code == 0, done.err
    left_out = [line for line in done.told if "fewer than two videos" in line]
    assert len(left_out) == 1, done.err
    assert left_out[0].startswith("fsrvos: warning: ")
    assert "hat (0)" in left_out[0]
    assert "sedan" not in left_out[0]
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["per_category"].keys() == {"sedan"}
    masks = list((tmp_path / "run" / "predictions").rglob("*.png"))
    assert len(masks) == results["frames"] > 5
    for mask in masks:
        with Image.open(mask) as image:
            assert image.size == (854, 480)
