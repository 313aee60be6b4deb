import math

import pytest
import torch
from torch import nn

from fsrvos.engine.optimizers import (
    Recipe,
    build_optimizer,
    build_schedule,
    cosine_schedule,
    multistep_schedule,
    parameter_groups,
)
from fsrvos.errors import UserError


class Network(nn.Module):
    """The kinds of parameters that a real model has: frozen, shared, aliased, bare, normed, embedded."""

    def __init__(self, frozen_backbone=False):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.backbone.requires_grad_(not frozen_backbone)
        self.backbone_neck = nn.Linear(4, 4)  # begins like the backbone, is not in it
        self.text_encoder = nn.ModuleDict({"words": nn.Embedding(10, 4), "norm": nn.LayerNorm((2, 4))})
        self.heads = nn.ModuleList([nn.Linear(4, 4)] * 3)
        self.decoder = nn.Module()
        self.decoder.heads = self.heads
        self.query_embed = nn.Embedding(5, 4)
        self.level_embed = nn.Parameter(torch.zeros(4, 4))
        self.relative_position_bias_table = nn.Parameter(torch.zeros(9, 2))
        self.unused = nn.Linear(4, 4).requires_grad_(False)


def names(model, group):
    known = {parameter: name for name, parameter in model.named_parameters()}
    return sorted(known[parameter] for parameter in group["params"])


def optimizer_of_one(lr=1.0):
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)


def rates(optimizer, schedule, steps):
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize("no_decay", [False, True])
@pytest.mark.parametrize("frozen_backbone", [False, True])
def test_every_trainable_parameter_stands_exactly_once(no_decay, frozen_backbone):
    model = Network(frozen_backbone)
    groups = parameter_groups(model, no_decay=no_decay)
    found = [parameter for group in groups for parameter in group["params"]]
    assert len(found) == len(set(found))
    assert set(found) == {parameter for parameter in model.parameters() if parameter.requires_grad}
    assert len({group["name"] for group in groups}) == len(groups)


def test_parts_have_their_own_rates():
    model = Network()
    groups = {g["name"]: g for g in parameter_groups(model, 1e-3, 0.1, backbone_lr=1e-4, text_lr=1e-5)}
    assert {name: (g["lr"], g["weight_decay"]) for name, g in groups.items()} == {
        "backbone": (1e-4, 0.1),
        "rest": (1e-3, 0.1),
        "text_encoder": (1e-5, 0.1),
    }
    assert names(model, groups["backbone"]) == [
        "backbone.0.bias",
        "backbone.0.weight",
        "backbone.1.bias",
        "backbone.1.weight",
    ]
    assert "backbone_neck.weight" in names(model, groups["rest"])


def test_norms_biases_and_embeddings_are_spared_on_request():
    model = Network()
    groups = {g["name"]: g for g in parameter_groups(model, 1e-3, 0.1, no_decay=True)}
    assert {name: g["weight_decay"] for name, g in groups.items()} == {
        "backbone": 0.1,
        "backbone/no_decay": 0.0,
        "rest": 0.1,
        "rest/no_decay": 0.0,
        "text_encoder/no_decay": 0.0,
    }
    assert names(model, groups["backbone"]) == ["backbone.0.weight"]
    assert names(model, groups["rest"]) == ["backbone_neck.weight", "heads.0.weight"]
    assert all(group["lr"] == 1e-3 for group in groups.values())


def test_one_optimizer_step_moves_what_is_trainable_and_nothing_else():
    model = Network(frozen_backbone=True)
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimizer = build_optimizer(model, lr=0.1, weight_decay=0.0, text_lr=0.01)
    sum((p + 1).square().sum() for p in model.parameters()).backward()
    optimizer.step()
    for name, parameter in model.named_parameters():
        moved = (parameter - before[name]).abs()
        rate = 0.0 if not parameter.requires_grad else 0.01 if name.startswith("text_encoder.") else 0.1
        torch.testing.assert_close(moved, torch.full_like(moved, rate), rtol=1e-3, atol=1e-6)


def test_defaults_are_the_published_recipe():
    optimizer = build_optimizer(nn.Linear(2, 2))
    assert isinstance(optimizer, torch.optim.AdamW)
    assert [(g["lr"], g["weight_decay"], g["betas"]) for g in optimizer.param_groups] == [
        (1e-4, 5e-4, (0.9, 0.999))
    ]
    schedule = build_schedule(optimizer)
    assert schedule.interval == "epoch"
    assert rates(optimizer, schedule.scheduler, 7) == pytest.approx([1e-4] * 3 + [1e-5] * 2 + [1e-6] * 2)


def test_cosine_rises_linearly_and_falls_to_its_floor():
    optimizer = optimizer_of_one(2.0)
    schedule = build_schedule(optimizer, "cosine", warmup_steps=4, total_steps=12, min_ratio=0.1)
    assert schedule.interval == "step"
    found = rates(optimizer, schedule.scheduler, 15)
    assert found[:5] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0])
    assert found[8] == pytest.approx(2.0 * (0.1 + 0.9 / 2))
    expected = [2.0 * (0.1 + 0.9 * (1 + math.cos(math.pi * s / 8)) / 2) for s in range(8)]
    assert found[4:12] == pytest.approx(expected)
    assert found[12:] == pytest.approx([0.2] * 3)


def test_cosine_without_warmup_never_stands_still_before_its_end():
    optimizer = optimizer_of_one()
    found = rates(optimizer, cosine_schedule(optimizer, total_steps=5), 5)
    assert found[0] == 1.0
    assert found == sorted(found, reverse=True)
    assert found[-1] > 0


def test_every_group_keeps_its_share():
    optimizer = build_optimizer(Network(), lr=1e-3, backbone_lr=1e-4)
    schedule = cosine_schedule(optimizer, total_steps=10, warmup_steps=2)
    for _ in range(6):
        optimizer.step()
        schedule.step()
    lrs = {group["name"]: group["lr"] for group in optimizer.param_groups}
    assert lrs["backbone"] == pytest.approx(lrs["rest"] / 10)


@pytest.mark.parametrize("build", [multistep_schedule, lambda o: cosine_schedule(o, 9, 2)])
def test_a_resumed_schedule_goes_on_where_it_stopped(build, tmp_path):
    optimizer = optimizer_of_one()
    schedule = build(optimizer)
    whole = rates(optimizer, schedule, 4)
    torch.save(
        {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}, tmp_path / "state.pt"
    )
    whole += rates(optimizer, schedule, 4)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    again = optimizer_of_one()
    resumed = build(again)
    resumed.load_state_dict(state["schedule"])
    again.load_state_dict(state["optimizer"])
    assert rates(again, resumed, 4) == pytest.approx(whole[4:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": 0.0}, "lr must be finite and above 0, got 0.0"),
        ({"lr": float("nan")}, "lr must be finite and above 0"),
        ({"backbone_lr": -1e-4}, "backbone_lr must be finite and above 0, got -0.0001; freeze"),
        ({"text_lr": 0}, "text_lr must be finite and above 0, got 0"),
        ({"weight_decay": -1.0}, "weight_decay must be finite and at least 0, got -1.0"),
        ({"backbone_lr": 1e-5}, "backbone_lr=1e-05 but Network has no trainable parameter below 'backbone'"),
    ],
)
def test_bad_rates_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        parameter_groups(Network(frozen_backbone=True), **arguments)


def test_a_frozen_model_is_refused():
    with pytest.raises(ValueError, match="Linear has no trainable parameter"):
        build_optimizer(nn.Linear(2, 2).requires_grad_(False))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schedule": "linear"}, 'schedule must be "multistep" or "cosine", got \'linear\''),
        ({"schedule": "cosine"}, "needs total_steps"),
        ({"schedule": "cosine", "total_steps": 5, "warmup_steps": 5}, "below total_steps=5, got 5"),
        ({"schedule": "cosine", "total_steps": 0}, "below total_steps=0, got 0"),
        (
            {"schedule": "cosine", "total_steps": 5, "min_ratio": 1.5},
            r"min_ratio must be in \[0, 1\], got 1.5",
        ),
        ({"milestones": (5, 3)}, r"got \[5, 3\]"),
        ({"milestones": ()}, r"got \[\]"),
        ({"milestones": (0, 3)}, r"got \[0, 3\]"),
        ({"gamma": 0.0}, r"gamma must be in \(0, 1\], got 0.0"),
    ],
)
def test_bad_schedules_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_schedule(optimizer_of_one(), **arguments)


def test_recipe_says_whose_mistake_it_is():
    with pytest.raises(UserError, match="optim: lr must be finite and above 0, got -1"):
        Recipe(lr=-1).build(nn.Linear(2, 2), steps=10)
    with pytest.raises(UserError, match="optim: schedule must be"):
        Recipe(schedule="none").build(nn.Linear(2, 2), steps=10)
