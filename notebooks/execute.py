"""Runs the notebooks with a real checkpoint and keeps what they show.

    python notebooks/execute.py --checkpoint outputs/demo            # all of them
    python notebooks/execute.py --checkpoint outputs/demo 02_your_own_data.ipynb

Each runs in a folder of its own that is removed afterwards, with the checkpoint at ``outputs/demo``, so that outputs name
no place of this machine. A picture tagged ``top`` is also put into the notebook's first cell.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from fsrvos.report import replace_file

HERE = Path(__file__).parent
SECONDS = 900  # a cell, at most


def main() -> None:
    """Runs them one after the other, in place."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", required=True, type=Path, help="folder of runs, such as outputs/demo")
    parser.add_argument("names", nargs="*", help="which notebooks; all by default")
    arguments = parser.parse_args()
    for path in [HERE / name for name in arguments.names] or sorted(HERE.glob("*.ipynb")):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "outputs"
            place.mkdir()
            (place / "demo").symlink_to(arguments.checkpoint.resolve(strict=True))
            notebook = execute(path, Path(folder))
        show_on_top(notebook)
        text = nbformat.writes(notebook) + "\n"
        replace_file(path, lambda file, text=text: file.write(text.encode()))
        print(f"{path.name}: {time.perf_counter() - started:.0f} s, {len(text) / 1000:.0f} kB")


def execute(path: Path, folder: Path, **environment: str) -> NotebookNode:
    """Runs a notebook with the Python that runs this.

    Args:
        path: The notebook, which stays as it is.
        folder: Where it runs.
        environment: Variables beside those of this process, without its own ``FSRVOS_...``.

    Returns:
        The notebook with its outputs.

    Raises:
        CellExecutionError: A cell raised something.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,  # else it depends on the moment how printed lines are grouped
    )
    client.create_kernel_manager()
    # No kernel that is installed somewhere: that of the Python that runs this.
    client.km.kernel_spec_manager = KernelSpecManager(kernel_dirs=[])
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FSRVOS_")}
    quiet = {"PYTHONWARNINGS": "ignore:IProgress not found"}  # tqdm, of a widget that nothing here needs
    client.execute(env={**kept, **quiet, "IPYTHONDIR": str(folder / ".ipython"), **environment})
    return notebook


def show_on_top(notebook: NotebookNode) -> None:
    """Attaches the last picture of the cell tagged ``top`` to the first cell, as masks.jpg."""
    for cell in notebook.cells:
        if "top" in cell.metadata.get("tags", []):
            pictures = [output.data["image/jpeg"] for output in cell.outputs if "data" in output]
            notebook.cells[0].attachments = {"masks.jpg": {"image/jpeg": pictures[-1].strip()}}


if __name__ == "__main__":
    main()
