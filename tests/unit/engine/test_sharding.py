"""What a spread network does not go with, in one line; spreading itself is tested with two processes in test_ranks."""

import pytest
import torch
from tiny import tiny_model

from fsrvos.engine.sharding import Sharded, check_kind, check_shardable, gathered, is_sharded, own_part
from fsrvos.errors import UserError


@pytest.mark.parametrize(
    ("description", "spread", "words"),
    [({}, True, "is not of strategy=fsdp"), ({"spread": True}, False, "is of strategy=fsdp")],
)
def test_checkpoints_of_the_other_kind_are_refused(description, spread, words):
    with pytest.raises(UserError, match=words):
        check_kind({"fsrvos": description}, spread=spread)
    check_kind({"fsrvos": description}, spread=not spread)


def test_the_strategy_looks_before_it_loads(tmp_path):
    """PyTorch would complain of one parameter, and only after it has changed others."""
    torch.save({"fsrvos": {"model": {}}}, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match="is not of strategy=fsdp"):
        Sharded().load_checkpoint(tmp_path / "last.ckpt")


def test_networks_that_wait_for_one_another_are_refused():
    check_shardable(tiny_model("cma"), compiled=False)
    with pytest.raises(UserError, match="compiled"):
        check_shardable(tiny_model("cma"), compiled=True)
    with pytest.raises(UserError, match="such as cma_plus"):
        check_shardable(tiny_model("cma_plus"), compiled=False)
    with pytest.raises(UserError, match="such as referformer"):
        check_shardable(tiny_model("referformer", pad_support_masks=True), compiled=False)


def test_a_whole_network_is_taken_as_it_is():
    assert not is_sharded(tiny_model("cma"))
    tensor = torch.randn(3)
    assert gathered(tensor) is tensor
    assert own_part(tensor) is tensor
