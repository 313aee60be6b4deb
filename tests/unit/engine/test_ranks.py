"""Several ranks do what one does: the same loss and gradients, and no parameter is left without one."""

import os
from dataclasses import replace
from unittest import mock

import pytest
import torch
from test_module import batch
from tiny import pick_clips, pick_support, tiny_model
from torch import distributed, multiprocessing
from torch.distributed.device_mesh import init_device_mesh
from torch.nn.parallel import DistributedDataParallel

from fsrvos.engine.affinity_criterion import AffinityCriterion
from fsrvos.engine.criterion import Criterion
from fsrvos.engine.module import SegmentationModule
from fsrvos.engine.optimizers import Recipe
from fsrvos.engine.sharding import gathered, shard, whole
from fsrvos.models.cma import VARIANTS
from fsrvos.structures import Targets


class Step(torch.nn.Module):
    """A training step as DDP wraps it."""

    def __init__(self, variant, affinity):
        super().__init__()
        contrast = AffinityCriterion(mask_weight=5.0, dice_weight=5.0) if affinity else None
        self.module = SegmentationModule(
            tiny_model(variant, dropout=0.0, **({"rest": True} if affinity else {})),
            Criterion(affinity=contrast),
            Recipe(),
        )

    def forward(self, batch):
        return self.module.losses(batch).total


def episodes(hidden=(), double=False):
    """Two episodes of one and two visible frames; ``hidden`` ones show their object nowhere."""
    both = batch(1)
    for episode in hidden:
        both.targets.masks[episode] = False
        both.targets.boxes[episode] = 0
        both.targets.is_visible[episode] = False
    if double:
        both.query.frames, both.support.frames = both.query.frames.double(), both.support.frames.double()
        both.targets.boxes = both.targets.boxes.double()
    both.specs[1] = replace(both.specs[1], category="wug")  # so that the affinity has something to contrast
    return both


def one_of(both, row):
    targets = both.targets
    alone = Targets(*(part[[row]] for part in (targets.masks, targets.boxes, targets.is_visible)))
    return replace(
        both, query=pick_clips(both.query, [row]), support=pick_support(both.support, row), targets=alone,
        specs=[both.specs[row]],
    )  # fmt: skip


def gradients(step, both):
    loss = step(both)
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in step.named_parameters() if p.requires_grad}


CASES = [("cma", False, ()), ("cma_plus", True, ()), ("cma_plus", True, (0,)), ("cma_plus", True, (0, 1))]


def run_rank(rank, meeting):
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    for variant, affinity, hidden in CASES:
        both = episodes(hidden, double=True)
        step = Step(variant, affinity).double()
        wrapped = DistributedDataParallel(step)
        loss = wrapped(one_of(both, rank))
        loss.backward()
        loss = loss.detach()
        distributed.all_reduce(loss)
        found = {name: p.grad.clone() for name, p in step.named_parameters() if p.requires_grad}
        with mock.patch.object(distributed, "is_initialized", return_value=False):
            expected, slopes = gradients(Step(variant, affinity).double(), both)
        scale = max(slope.abs().max() for slope in slopes.values())
        assert abs(loss / 2 - expected) <= 1e-6 * expected.abs(), (variant, hidden, loss / 2, expected)
        for name, slope in slopes.items():
            worst = (found[name] - slope).abs().max()
            assert worst <= 1e-6 * scale, (variant, hidden, name, worst, scale)
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_gloo_available(), reason="torch was built without gloo")
def test_two_ranks_of_one_episode_have_the_loss_and_gradients_of_one_rank_of_two(tmp_path):
    multiprocessing.spawn(run_rank, args=(tmp_path / "meeting",), nprocs=2)


def run_shard(rank, meeting):
    """As ``run_rank`` for a network whose parameters are spread over the ranks."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    both, step = episodes(double=True), Step("cma", affinity=False).double()
    shard(step.module.model, init_device_mesh("cpu", (2,)))
    loss = step(one_of(both, rank))
    loss.backward()
    kept = sum(p.to_local().numel() for p in step.parameters())
    assert kept < 0.6 * sum(p.numel() for p in step.parameters())
    norm = gathered(torch.nn.utils.get_total_norm([p.grad for p in step.parameters() if p.grad is not None]))
    found = {name: p.grad.full_tensor() for name, p in step.named_parameters() if p.requires_grad}
    loss = loss.detach()
    distributed.all_reduce(loss)
    with mock.patch.object(distributed, "is_initialized", return_value=False):
        expected, slopes = gradients(Step("cma", affinity=False).double(), both)
    scale = max(slope.abs().max() for slope in slopes.values())
    assert abs(loss / 2 - expected) <= 1e-6 * expected.abs()
    for name, slope in slopes.items():
        assert (found[name] - slope).abs().max() <= 1e-6 * scale, name
    true_norm = torch.cat([slope.flatten() for slope in slopes.values()]).norm()
    torch.testing.assert_close(norm, true_norm, atol=0, rtol=1e-6)
    state = whole(step.module.model, torch.device("cpu")).state_dict()
    for name, tensor in Step("cma", affinity=False).module.model.state_dict().items():
        if "running_" not in name and "num_batches" not in name:
            assert torch.equal(state[name], tensor), name
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_gloo_available(), reason="torch was built without gloo")
def test_a_network_spread_over_two_ranks_has_the_same_loss_and_gradients(tmp_path):
    multiprocessing.spawn(run_shard, args=(tmp_path / "meeting",), nprocs=2)


@pytest.mark.parametrize("hidden", [(), (0, 1)], ids=["visible", "hidden"])
@pytest.mark.parametrize("frozen", [False, True], ids=["free", "frozen"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_no_trainable_parameter_is_without_gradient(variant, frozen, hidden):
    """As DDP demands, which waits for each of them."""
    step = Step(variant, variant == "cma_plus")
    if frozen:
        step.module.model.backbone.requires_grad_(False)
    _, slopes = gradients(step, episodes(hidden))
    assert [name for name, slope in slopes.items() if slope is None] == []
