"""The wheel carries the configs, the tokenizer and the commands, and works away from the checkout."""

import os
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import tiny_model

from fsrvos.predictor import Predictor
from fsrvos.predictor_settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "fsrvos-train": "fsrvos.cli.train:main",
    "fsrvos-eval": "fsrvos.cli.eval:main",
    "fsrvos-predict": "fsrvos.cli.predict:main",
    "fsrvos-adapt": "fsrvos.cli.adapt:main",
    "fsrvos-data": "fsrvos.cli.data:main",
    "fsrvos-replay": "fsrvos.cli.replay:main",
    "fsrvos-weights": "fsrvos.cli.weights:main",
    "fsrvos-report": "fsrvos.cli.report:main",
    "fsrvos-app": "fsrvos.cli.app:main",
}


def call(*arguments, **options):
    done = subprocess.run(
        list(map(str, arguments)), capture_output=True, text=True, timeout=600, check=False, **options
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built with what is installed here, so without a network."""
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (file,) = folder.glob("fsrvos-*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    target = tmp_path_factory.mktemp("site")
    call(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        target,
        wheel,
    )
    return target


def test_what_the_wheel_holds(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entries = next(name for name in names if name.endswith("entry_points.txt"))
        scripts = ConfigParser()
        scripts.read_string(archive.read(entries).decode())
        for name in names:
            if name.endswith(".yaml"):
                assert archive.read(name) == (ROOT / name.removeprefix("fsrvos/")).read_bytes()
    configs = {f"fsrvos/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "configs").rglob("*.yaml")}
    modules = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    assert len(configs) > 30
    assert configs <= names
    assert modules <= names
    assert "fsrvos/encoders/tokenizer.json" in names
    assert dict(scripts["console_scripts"]) == COMMANDS
    assert not any(name.startswith(("tests/", "docs/", "fsrvos/fsrvos")) for name in names)
    assert wheel.stat().st_size < 3_000_000


def away(installed):
    return {**os.environ, "PYTHONPATH": str(installed)}


def test_configs_and_tokenizer_come_from_the_wheel(installed, tmp_path):
    """In an empty directory, with the wheel before the checkout's editable install."""
    script = f"""
import runpy, sys
from fsrvos.cli.common import config_directory
from fsrvos.encoders.text import small_tokenizer
print(config_directory())
print(small_tokenizer()("a dax")["input_ids"][0])
sys.argv = ["fsrvos-train", "--cfg", "job", "experiment=demo"]
runpy.run_path({str(installed / "bin" / "fsrvos-train")!r}, run_name="__main__")
"""
    said = call(sys.executable, "-c", script, cwd=tmp_path, env=away(installed)).splitlines()
    assert said[0] == str(installed / "fsrvos" / "configs")
    assert said[1] == "0"
    assert "name: demo" in said
    assert "  _target_: fsrvos.weights.create_model" in said
    assert list(tmp_path.iterdir()) == [], "asking for the config runs nothing"


def test_the_data_command_of_the_wheel(installed, tmp_path):
    command = installed / "bin" / "fsrvos-data"
    arguments = ["synth", "--out", "made", "--videos-per-category", "1", "--frames", "4", "--size", "48x64"]
    call(sys.executable, command, *arguments, cwd=tmp_path, env=away(installed))
    assert len(list((tmp_path / "made" / "train" / "JPEGImages").iterdir())) == 48


def test_the_weights_command_of_the_wheel(installed, tmp_path):
    command = installed / "bin" / "fsrvos-weights"
    assert "IN.pth" in call(sys.executable, command, "import", "--help", cwd=tmp_path, env=away(installed))


def test_the_predict_command_of_the_wheel(installed, tmp_path):
    """From a saved network and images to masks, in an empty directory."""
    pixels = np.random.default_rng(0).integers(0, 255, (3, 40, 64, 3), dtype=np.uint8)
    for index, frame in enumerate(pixels):
        (tmp_path / "clip").mkdir(exist_ok=True)
        Image.fromarray(frame).save(tmp_path / "clip" / f"{index}.png")
    Predictor(tiny_model(), Settings(32, None, 4)).save_pretrained(tmp_path / "net")
    command = installed / "bin" / "fsrvos-predict"
    said = call(
        sys.executable, command, "checkpoint=net", "video=clip", "text=the red one, left", "out=masks",
        cwd=tmp_path, env=away(installed),
    )  # fmt: skip
    assert said.splitlines()[-1].endswith("-> masks/overlay.mp4")
    assert {path.name for path in tmp_path.iterdir()} == {"clip", "net", "masks"}
    assert (tmp_path / "masks" / "masks" / "1_the_red_one_left" / "2.png").is_file()
    assert "support=null" in call(sys.executable, command, "--help", cwd=tmp_path, env=away(installed))


@pytest.mark.parametrize(
    ("name", "word"), [("fsrvos-adapt", "held_out=[]"), ("fsrvos-app", "host=127.0.0.1")]
)
def test_the_help_of_the_wheel(installed, tmp_path, name, word):
    said = call(sys.executable, installed / "bin" / name, "--help", cwd=tmp_path, env=away(installed))
    assert word in said
    assert list(tmp_path.iterdir()) == []
