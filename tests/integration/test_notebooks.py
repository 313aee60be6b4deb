"""The notebooks run, with a checkpoint and without one, and what is committed of them can be shown to anybody."""

import base64
import io
from pathlib import Path

import nbformat
import pytest
from execute import execute
from PIL import Image
from tiny import tiny_model

from fsrvos.predictor import Predictor
from fsrvos.predictor_settings import Settings

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = [path.name for path in NOTEBOOKS]
LIMIT = 400_000  # bytes
TOO_LONG = 25  # lines of a cell
OF_A_MACHINE = ("/tmp", "/work", "/root", "/home", "site-packages")
STEPS = "2"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A network of random weights whose affinity may rest, with the settings that go with small frames."""
    folder = tmp_path_factory.mktemp("notebooks") / "tiny"
    Predictor(tiny_model(rest=True), Settings(48, 80, 8)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=NAMES[1:])
def test_runs_with_a_checkpoint(path, checkpoint, tmp_path):
    notebook = execute(path, tmp_path, FSRVOS_CHECKPOINT=str(checkpoint), FSRVOS_STEPS=STEPS)
    assert_ran(notebook)
    assert not (tmp_path / "outputs" / "quickstart").exists(), "trained, though there was a checkpoint"


def test_runs_without_a_checkpoint(tmp_path):
    """The first notebook trains for itself, and says that this is no trained network.

    The others get their checkpoint by the very same cell, see below.
    """
    notebook = execute(ROOT / "notebooks" / "01_quickstart.ipynb", tmp_path, FSRVOS_STEPS=STEPS)
    assert_ran(notebook)
    assert list(tmp_path.glob("outputs/quickstart/*/checkpoints/last.ckpt"))
    assert "untrained" in " ".join(texts(notebook))
    assert (tmp_path / "quickstart" / "overlay.mp4").stat().st_size > 0


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_what_is_committed(path):
    notebook = read(path)
    assert_ran(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert path.stat().st_size < LIMIT
    assert any(images(notebook)), "no picture is kept"
    shown = " ".join(texts(notebook))
    assert "untrained" not in shown, "made without a real checkpoint; see notebooks/README.md"
    for part in OF_A_MACHINE:
        assert part not in shown
    for image in images(notebook):
        image.load()
        assert max(image.size) <= 1300


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_cells_are_short(path):
    for cell in read(path).cells:
        assert len(cell.source.splitlines()) <= TOO_LONG, cell.source


def test_all_take_the_checkpoint_alike():
    """The cell stands in each, so that each runs alone; it is one and the same."""
    cells = [[c.source for c in read(path).cells if "FSRVOS_CHECKPOINT" in c.source] for path in NOTEBOOKS]
    assert len(NOTEBOOKS) == 3
    assert len(cells[0]) == 2  # the prose and the code
    assert cells[0] == cells[1] == cells[2]


def test_the_picture_on_top_is_of_the_same_run():
    """The first cell of the quick start shows what its three lines draw further down."""
    notebook = read(ROOT / "notebooks" / "01_quickstart.ipynb")
    (drawn,) = (cell for cell in notebook.cells if "top" in cell.metadata.get("tags", []))
    on_top = notebook.cells[0].attachments["masks.jpg"]["image/jpeg"]
    assert "attachment:masks.jpg" in notebook.cells[0].source
    assert on_top == drawn.outputs[-1].data["image/jpeg"].strip()


def read(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def assert_ran(notebook):
    """Every cell once, from top to bottom, without an error or a warning."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error", output
            assert output.get("name") != "stderr", output


def texts(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            yield output.get("text", "")
            yield from (v for k, v in output.get("data", {}).items() if not k.startswith("image/"))


def images(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for kind, data in output.get("data", {}).items():
                if kind.startswith("image/"):
                    yield Image.open(io.BytesIO(base64.b64decode(data)))
