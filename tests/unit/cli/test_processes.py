"""Several processes: how many may be asked for, and whose mistake is told. What they compute: test_train_and_eval.py."""

import pytest
import torch

from fsrvos.cli import processes
from fsrvos.cli.processes import check_processes, run_processes
from fsrvos.engine.processes import gather, place, share
from fsrvos.errors import UserError


def test_what_cannot_run_is_refused(monkeypatch):
    check_processes(3, "cpu")
    with pytest.raises(UserError, match="processes must be at least 1, got 0"):
        check_processes(0, "cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_processes(2, "cuda")
    with pytest.raises(UserError, match="processes=3, but there are 2 GPUs"):
        check_processes(3, "cuda")
    with pytest.raises(UserError, match="say device=cuda instead of cuda:1"):
        check_processes(2, "cuda:1")


def test_one_process_has_all():
    assert place() == (0, 1)
    assert share([1, 2, 3]) == [1, 2, 3]
    assert gather((1, 2)) == [1, 2]


def fail_in_the_second(message, device):
    rank, count = place()
    assert (count, device.type) == (2, "cpu")
    assert gather([rank]) == [0, 1]
    assert share("abcde") == "abcde"[rank::2]
    if rank == 1:
        raise UserError(message)
    gather([])  # waits for the other one


def test_the_mistake_of_one_process_is_that_of_all():
    with pytest.raises(UserError, match="frame 7 is missing"):
        run_processes(fail_in_the_second, 2, "cpu", "frame 7 is missing")
    assert processes.distributed.is_initialized() is False
