"""The configs of launchers and sweepers, with the plugins of the extra "sweep"."""

import sys

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import OmegaConf

from fsrvos.cli.common import config_directory, hydra_command

WHY = "needs the extra: pip install 'fsrvos[sweep]'"


@pytest.fixture(autouse=True)
def clean():
    yield
    HydraConfig.instance().cfg = None


def composed(*overrides):
    with initialize_config_dir(config_directory(), version_base="1.3"):
        return compose("train", list(overrides), return_hydra_config=True)


def test_the_folders_of_a_sweep():
    config = composed("name=one", "hydra.job.num=3")
    folder = config.hydra.sweep.dir
    assert folder.startswith("outputs/sweeps/20")
    assert config.hydra.sweep.subdir == f"../../one/{folder.removeprefix('outputs/sweeps/')}_3"
    callback = instantiate(config.hydra.callbacks.sweep)
    assert callable(callback.on_multirun_start)


@pytest.mark.parametrize("plugin", ["submitit_slurm", "slurm"])
def test_slurm_composes(plugin):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason=WHY)
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher

    config = composed(f"hydra/launcher={plugin}", "hydra.launcher.partition=gpu", "hydra.job.num=0")
    launcher = instantiate(config.hydra.launcher)
    assert isinstance(launcher, SlurmLauncher)
    assert launcher.params["partition"] == "gpu"
    assert launcher.params["submitit_folder"].startswith("outputs/sweeps/")
    if plugin == "slurm":
        assert (launcher.params["timeout_min"], launcher.params["gpus_per_node"]) == (1440, 1)


@pytest.mark.parametrize("plugin", ["submitit_local", "local"])
def test_local_composes(plugin):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason=WHY)
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import LocalLauncher

    launcher = instantiate(composed(f"hydra/launcher={plugin}", "hydra.job.num=0").hydra.launcher)
    assert isinstance(launcher, LocalLauncher)
    if plugin == "local":
        assert launcher.params["timeout_min"] == 7 * 24 * 60


def steep(config):
    """Best at the upper end; the middle of the range fails."""
    if 5e-4 < config.optim.lr < 2e-3:
        raise RuntimeError("a trial that fails")
    return config.optim.lr


def test_search_finds_the_best(tmp_path, monkeypatch, capfd):
    """Real trials of a task that is quick: the sampler is Optuna's, the range is the config's."""
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason=WHY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys, "argv", ["fsrvos-train", "-m", "hydra/sweeper=search", "hydra.sweeper.n_trials=6"]
    )
    with pytest.raises(SystemExit) as stop:
        hydra_command("train", steep)
    assert stop.value.code == 1
    (folder,) = (tmp_path / "outputs" / "sweeps").iterdir()
    best = OmegaConf.load(folder / "optimization_results.yaml")
    lines = [line for line in capfd.readouterr().err.splitlines() if "failed: RuntimeError: a trial" in line]
    tried = [
        float(OmegaConf.load(file)[0].split("=")[1])
        for file in tmp_path.glob("outputs/train/*/.hydra/overrides.yaml")
    ]
    assert len(tried) == 6
    assert all(1e-4 <= lr <= 1e-2 for lr in tried)
    assert best.best_value == best.best_params["optim.lr"] == max(lr for lr in tried if not 5e-4 < lr < 2e-3)
    assert len(lines) == 2 * sum(5e-4 < lr < 2e-3 for lr in tried) > 0, "told at once and at the end"


def test_a_search_for_the_worst_score_is_refused(tmp_path, monkeypatch, capfd):
    """Optuna minimises if it is not told otherwise."""
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason=WHY)
    from fsrvos.cli.train import train

    monkeypatch.chdir(tmp_path)
    arguments = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=1", "optim.lr=interval(1e-4, 1e-2)"]
    monkeypatch.setattr(sys, "argv", ["fsrvos-train", *arguments])
    with pytest.raises(SystemExit) as stop:
        hydra_command("train", train)
    assert stop.value.code == 2
    assert "say hydra.sweeper.direction=maximize" in capfd.readouterr().err
