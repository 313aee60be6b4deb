"""Sweeps end well: failures are told, other jobs run, and what Lightning would start is the job and not the sweep."""

import contextlib
import importlib.util
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from lightning.fabric.strategies.launchers.subprocess_script import _hydra_subprocess_cmd

import __main__
from fsrvos.cli import jobs
from fsrvos.cli.common import config_directory, hydra_command
from fsrvos.errors import UserError
from fsrvos.run_folders import failure, job_records


@pytest.fixture
def sweep(tmp_path, monkeypatch, capfd):
    """Runs a task over a sweep: exit code, stderr, and the records of the jobs."""
    monkeypatch.chdir(tmp_path)

    def run(task, *arguments):
        monkeypatch.setattr(sys, "argv", ["fsrvos-train", *arguments])
        before = list(sys.argv)
        code = None
        try:
            hydra_command("train", task)
        except SystemExit as stop:
            code = stop.code
        assert sys.argv == before
        folders = list((tmp_path / "outputs" / "sweeps").glob("*"))
        return code, capfd.readouterr().err, job_records(folders[0]) if folders else []

    return run


class Wrong:
    """Fails on some groups, and remembers all that it was called for."""

    def __init__(self, **failures):
        self.failures, self.groups = failures, []

    def __call__(self, config):
        self.groups.append(config.group)
        error = self.failures.get(f"group{config.group}")
        if error is not None:
            raise error


def test_a_failed_job_leaves_the_others_running(sweep):
    task = Wrong(group1=UserError("no such data"), group3=RuntimeError("out of memory\nand more"))
    code, err, records = sweep(task, "-m", "group=1,2,3,4", "seed=5")
    assert task.groups == [1, 2, 3, 4]
    assert code == 1, "an error of the program is among them"
    assert [record.state for record in records] == ["failed", "done", "failed", "done"]
    assert [record.mistake for record in records] == [True, False, False, False]
    assert [record.overrides for record in records] == [
        [f"group={group}", "seed=5"] for group in (1, 2, 3, 4)
    ]
    assert err.splitlines()[-3:] == [
        "fsrvos: 2 of 4 jobs have no result:",
        "fsrvos: job 0 (group=1 seed=5) failed: no such data",
        "fsrvos: job 2 (group=3 seed=5) failed: RuntimeError: out of memory",
    ]
    assert err.count("Traceback") == 1, "of the program's error, not of the user's"
    assert failure(records[0].folder) == "no such data"
    assert failure(records[1].folder) is None
    # A run lies where it would lie without the sweep.
    assert {record.folder.parent.relative_to(Path.cwd()) for record in records} == {Path("outputs/train")}


def test_mistakes_alone_end_with_2_and_success_with_0(sweep):
    code, _, _ = sweep(Wrong(group1=UserError("a"), group2=UserError("b")), "-m", "group=1,2")
    assert code == 2


def test_success_says_nothing_on_stderr(sweep):
    code, err, records = sweep(Wrong(), "-m", "group=1,2")
    assert (code, err) == (None, "")
    assert [record.state for record in records] == ["done", "done"]


def test_later_batches_run_too(sweep):
    """Hydra's own sweeper drops them where an exception reaches it."""
    task = Wrong(group1=UserError("no"))
    code, _, _ = sweep(task, "-m", "group=1,2,3", "hydra.sweeper.max_batch_size=1")
    assert (code, task.groups) == (2, [1, 2, 3])


def test_a_wrong_option_ends_a_sweep_before_it_starts(sweep):
    task = Wrong()
    code, err, records = sweep(task, "-m", "backbone=small,nonsense")
    assert (code, task.groups, records) == (2, [], [])
    assert "backbone/nonsense" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(1)], ids=["here", "in Lightning"])
def test_ctrl_c_stops_the_sweep(sweep, stop):
    task = Wrong(group1=UserError("no"), group2=stop)
    code, err, records = sweep(task, "-m", "group=1,2,3")
    assert task.groups == [1, 2]
    assert code in (1, "fsrvos: interrupted")
    assert [record.state for record in records] == ["failed", "interrupted"]
    assert "job 0 (group=1) failed: no\n" in err
    assert "job 1 (group=2) interrupted" in err
    assert failure(records[1].folder) == "interrupted"


def test_a_single_run_leaves_its_failure_and_a_new_one_takes_it_away(tmp_path, sweep):
    fixed = f"hydra.run.dir={tmp_path / 'run'}"
    code, _, _ = sweep(Wrong(group1=UserError("two\nlines")), fixed)
    assert (code, failure(tmp_path / "run")) == (2, "two lines")
    assert sweep(Wrong(), fixed)[0] is None
    assert failure(tmp_path / "run") is None


def test_what_ddp_leaves_in_the_environment_ends_with_the_job(sweep, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    seen = []

    def task(config):
        seen.append(os.environ.get("LOCAL_RANK"))
        os.environ["LOCAL_RANK"] = "0"  # Lightning takes it for: the processes are there already

    assert sweep(task, "-m", "group=1,2")[0] is None
    assert seen == [None, None]
    assert "LOCAL_RANK" not in os.environ


@pytest.mark.parametrize("program", ["script", "launcher"])
def test_ddp_children_get_the_job_and_not_the_sweep(sweep, monkeypatch, tmp_path, program):
    """The command that Lightning builds, for a console script and for a launcher's own program such as submitit's."""
    spec = None if program == "script" else importlib.util.find_spec("json.tool")
    monkeypatch.setattr(__main__, "__spec__", spec)
    built = []

    def task(config):
        command, cwd = _hydra_subprocess_cmd(local_rank=1)
        built.append((command, cwd, HydraConfig.get().runtime.output_dir))

    arguments = ["experiment=smoke", "group=1,2", "data.test_seeds=[0, 1]"]
    code, err, records = sweep(task, "--multirun", *arguments, "hydra.sweeper.max_batch_size=1")
    assert code is None, err
    assert __main__.__spec__ is spec
    start = [str(tmp_path / "fsrvos-train")] if program == "script" else ["-m", "fsrvos.cli.train"]
    for group, (command, cwd, folder), record in zip((1, 2), built, records, strict=True):
        head = [sys.executable, *start]
        assert command[: len(head)] == head
        assert command[len(head) :] == [
            "--config-name=train", "experiment=smoke", f"group={group}", "data.test_seeds=[0,1]",
            f'hydra.run.dir="{folder}"', "hydra.job.name=train_ddp_process_1", "hydra.output_subdir=null",
        ]  # fmt: skip
        assert cwd == str(tmp_path)
        assert folder == str(record.folder)
        with initialize_config_dir(config_directory(), version_base="1.3"):
            overrides = [part for part in command[len(head) :] if not part.startswith("--")]
            config = compose("train", overrides, return_hydra_config=True)
        assert (config.group, config.name, list(config.data.test_seeds)) == (group, "smoke", [0, 1])
        assert config.hydra.run.dir == folder


@pytest.mark.parametrize(
    ("code", "told", "state", "message"),
    [
        (0, None, "done", None),
        (2, "no such data", "failed", "no such data"),
        (1, "RuntimeError: out of memory", "failed", "RuntimeError: out of memory"),
        (-9, None, "failed", "killed by signal 9"),
    ],
)
def test_a_job_of_several_processes_has_one_of_its_own(sweep, monkeypatch, code, told, state, message):
    """Where one process of DDP dies, Lightning kills the one that started it."""
    commands = []

    def start(command, check):
        commands.append(command)
        folder = Path(command[-1].removeprefix('hydra.run.dir="').removesuffix('"'))
        if told:
            (folder / "failed.txt").write_text(f"{told}\n")
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr(jobs.subprocess, "run", start)
    task = Wrong()
    left, _, records = sweep(task, "-m", "group=2", "strategy=ddp", "trainer.devices=2")
    assert task.groups == [], "not in this process"
    assert commands == [
        [
            sys.executable, "-m", "fsrvos.cli.train", "--config-name=train", "group=2", "strategy=ddp",
            "trainer.devices=2", f'hydra.run.dir="{records[0].folder}"',
        ]
    ]  # fmt: skip
    assert (records[0].state, records[0].message) == (state, message)
    assert left == {0: None, 2: 2}.get(code, 1)


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_the_command_runs_as_a_module(monkeypatch, capfd):
    """What DDP children of a launcher's job, and jobs of several processes, are started by."""
    monkeypatch.setattr(sys, "argv", ["train", "--cfg", "job", "--package", "trainer"])
    with contextlib.suppress(SystemExit):
        runpy.run_module("fsrvos.cli.train", run_name="__main__")
    assert "_target_: lightning.pytorch.Trainer" in capfd.readouterr().out


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "jobs").mkdir()
    file = tmp_path / "jobs" / "0.json"
    for content in ("{", "[]", json.dumps({"number": 0})):
        file.write_text(content)
        with pytest.raises(UserError, match=str(file)):
            job_records(tmp_path)
