"""W&B without its server: names, what a refused login becomes, and an environment left as it was."""

import os

import pytest
import wandb

from fsrvos.engine.wandb_run import PLACES, WandbRun
from fsrvos.errors import UserError


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for key in list(os.environ):
        if key.startswith("WANDB_"):
            monkeypatch.delenv(key)


def settings(logger):
    return logger._wandb_init["name"], logger._wandb_init["group"]


def test_the_config_names_a_run_before_its_overrides_do(tmp_path):
    named = WandbRun(tmp_path, name="mine", group="ours")
    named.label("seed=1", "sweep_1")
    assert settings(named) == ("mine", "ours")
    free = WandbRun(tmp_path)
    free.label("seed=1", "sweep_1")
    assert settings(free) == ("seed=1", "sweep_1")


def test_a_refused_login_is_one_line(tmp_path, monkeypatch):
    def refuse(**options):
        assert options == {"prompt": False}
        raise wandb.errors.AuthenticationError("WANDB_API_KEY invalid:\n  too short.")

    monkeypatch.setattr(wandb, "login", refuse)
    with pytest.raises(UserError, match="WANDB_API_KEY invalid: too short; run `wandb login`") as told:
        WandbRun(tmp_path).check_login()
    assert "\n" not in str(told.value)


def test_a_server_that_does_not_answer_is_one_line(tmp_path, monkeypatch):
    def unanswered(**options):
        raise wandb.errors.CommError("Run initialization has timed out after 60.0 sec.")

    monkeypatch.setattr(wandb, "init", unanswered)
    logger = WandbRun(tmp_path)
    with pytest.raises(UserError, match=r"timed out after 60\.0 sec; .*logger\.offline=true"):
        logger.log_metrics({"train/loss": 1.0}, 0)
    logger.finish(1)


def test_files_have_their_place_until_the_run_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(wandb, "login", lambda prompt: True)
    monkeypatch.setenv("WANDB_CACHE_DIR", "/mine")  # the user's own choice stays
    logger = WandbRun(tmp_path)
    logger.check_login()
    assert os.environ["WANDB_CACHE_DIR"] == "/mine"
    assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / "wandb" / "data")
    assert logger.finish() is None
    assert {key: os.environ.get(key) for key in PLACES} == {
        "WANDB_CACHE_DIR": "/mine",
        "WANDB_DATA_DIR": None,
        "WANDB_ARTIFACT_DIR": None,
    }


@pytest.mark.parametrize("mode", ["offline", "dryrun", "disabled"])
def test_the_users_own_mode_needs_no_login(tmp_path, monkeypatch, mode):
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setattr(wandb, "login", lambda **_: pytest.fail("asked to log in"))
    WandbRun(tmp_path).check_login()
    monkeypatch.delenv("WANDB_MODE")
    WandbRun(tmp_path, offline=True).check_login()
    assert "WANDB_MODE" not in os.environ
