"""Data sets that the tests of this folder read."""

from __future__ import annotations

from pathlib import Path

import pytest
from zoo import read_quietly, write, zoo

from fsrvos.data.annotations import Annotations

SHARED = Path(__file__).resolve().parents[4] / "shared"


@pytest.fixture(scope="session")
def zoo_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("zoo"), zoo())


@pytest.fixture(scope="session")
def annotations(zoo_root: Path) -> Annotations:
    return read_quietly(zoo_root)


@pytest.fixture(scope="session")
def real_root() -> Path:
    root = SHARED / "data"
    if not root.is_dir():
        pytest.skip("../shared with the real clips is not here")
    return root
