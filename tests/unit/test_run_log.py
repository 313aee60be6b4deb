"""Runs are named by what was overridden, not by where they run."""

import pytest

from fsrvos.cli.run_log import run_label


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        (["experiment=synth", "group=2", "seed=1"], "group=2,seed=1"),
        (["group=2", "logger=wandb", "logger.offline=true", "paths.data=/data", "~callbacks.pictures"], "group=2"),
        (["+optim.total_steps=4", "++model.rest=true", "~data.x"], "optim.total_steps=4,model.rest=true,data.x"),
        (["seed=3", "name=mine", "hydra.run.dir=here", "debug=short"], "seed=3"),
        (["experiment=synth"], "synth_g1"),
        ([], "synth_g1"),
    ],
)  # fmt: skip
def test_label(overrides, label):
    assert run_label(overrides, "synth_g1") == label
