"""What holds for every test: no network, one seed, and one thread: faster for small tensors on a busy machine."""

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported
os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
sys.path.append(str(Path(__file__).parent / "unit" / "data"))  # zoo, a tiny data set on disk

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
