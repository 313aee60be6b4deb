"""AdamW over parameter groups, and two learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, MultiStepLR

from fsrvos.errors import UserError

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)  # the others hold vectors alone, known by their shape


@dataclass
class Schedule:
    """A scheduler and how often it is stepped: the two entries that Lightning asks for."""

    scheduler: LRScheduler
    interval: Literal["epoch", "step"]


@dataclass
class Recipe:
    """How a network is trained: the arguments of ``build_optimizer`` and ``build_schedule`` in one place.

    Steps are optimizer steps; ``total_steps`` is what the trainer will do when None.
    """

    lr: float = 1e-4
    weight_decay: float = 5e-4
    backbone_lr: float | None = None
    text_lr: float | None = None
    no_decay: bool = False
    schedule: Literal["multistep", "cosine"] = "multistep"
    milestones: Sequence[int] = (3, 5)
    gamma: float = 0.1
    warmup_steps: int = 0
    total_steps: int | None = None
    min_ratio: float = 0.0

    def build(self, model: nn.Module, steps: int) -> tuple[AdamW, Schedule]:
        """The optimizer of a model and its schedule over a training of ``steps``.

        Raises:
            UserError: A rate, decay or schedule that cannot be.
        """
        total = self.total_steps or steps
        try:
            optimizer = build_optimizer(
                model, self.lr, self.weight_decay, self.backbone_lr, self.text_lr, self.no_decay
            )
            return optimizer, build_schedule(
                optimizer,
                self.schedule,
                milestones=self.milestones,
                gamma=self.gamma,
                warmup_steps=min(self.warmup_steps, total - 1),
                total_steps=total,
                min_ratio=self.min_ratio,
            )
        except ValueError as error:
            raise UserError(f"optim: {error}") from error


def parameter_groups(
    model: nn.Module,
    lr: float = 1e-4,
    weight_decay: float = 5e-4,
    backbone_lr: float | None = None,
    text_lr: float | None = None,
    no_decay: bool = False,
    backbone_prefix: str = "backbone",
    text_prefix: str = "text_encoder",
) -> list[dict[str, Any]]:
    """Sorts the trainable parameters into groups, each into exactly one; frozen ones into none.

    A parameter that has several names in the model (shared layers, aliases) belongs to the first of them.

    Args:
        model: Anything with named parameters.
        lr: Learning rate.
        weight_decay: Decoupled weight decay.
        backbone_lr: Learning rate of the parameters below ``backbone_prefix``; ``lr`` when None.
        text_lr: Learning rate of the parameters below ``text_prefix``; ``lr`` when None.
        no_decay: Spares norms, biases and embeddings (learned queries and positions included) the decay.
        backbone_prefix: Name of the model's backbone, without the dot.
        text_prefix: Name of its text encoder.

    Returns:
        Groups for an optimizer, with "name" (such as "rest", "backbone", "text_encoder/no_decay"), "params",
        "lr" and "weight_decay", in the order of the model.

    Raises:
        ValueError: A rate that is not above 0, a negative decay, a model without a trainable parameter, or a
            rate of its own for a part that has none.
    """
    own_rates = {backbone_prefix: ("backbone_lr", backbone_lr), text_prefix: ("text_lr", text_lr)}
    for name, rate in (("lr", lr), *own_rates.values()):
        if rate is not None and not 0 < rate < math.inf:
            raise ValueError(
                f"{name} must be finite and above 0, got {rate}; freeze a part to leave it as it is"
            )
    if not 0 <= weight_decay < math.inf:
        raise ValueError(f"weight_decay must be finite and at least 0, got {weight_decay}")

    spared = _without_decay(model) if no_decay else set()
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in model.named_parameters():  # once per parameter, under its first name
        if not parameter.requires_grad:
            continue
        part = next((prefix for prefix in own_rates if name.startswith(f"{prefix}.")), "rest")
        own_rate = own_rates[part][1] if part != "rest" else None
        rate, decay = own_rate or lr, 0.0 if parameter in spared else weight_decay
        key = f"{part}/no_decay" if parameter in spared else part
        group = groups.setdefault(key, {"name": key, "params": [], "lr": rate, "weight_decay": decay})
        group["params"].append(parameter)
    if not groups:
        raise ValueError(f"{type(model).__name__} has no trainable parameter: unfreeze some")
    for prefix, (name, rate) in own_rates.items():
        if rate is not None and not any(key.split("/")[0] == prefix for key in groups):
            raise ValueError(
                f"{name}={rate} but {type(model).__name__} has no trainable parameter below {prefix!r}: "
                f"unfreeze it or set {name}=null"
            )
    return list(groups.values())


def build_optimizer(
    model: nn.Module,
    lr: float = 1e-4,
    weight_decay: float = 5e-4,
    backbone_lr: float | None = None,
    text_lr: float | None = None,
    no_decay: bool = False,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> AdamW:
    """AdamW over ``parameter_groups``, by default the published recipe; raises ValueError as they do."""
    groups = parameter_groups(model, lr, weight_decay, backbone_lr, text_lr, no_decay)
    return AdamW(groups, lr=lr, betas=(betas[0], betas[1]), eps=eps, weight_decay=weight_decay)


def build_schedule(
    optimizer: Optimizer,
    schedule: Literal["multistep", "cosine"] = "multistep",
    milestones: Sequence[int] = (3, 5),
    gamma: float = 0.1,
    warmup_steps: int = 0,
    total_steps: int | None = None,
    min_ratio: float = 0.0,
) -> Schedule:
    """Chooses a schedule by name: "multistep" per epoch (the published one) or "cosine" per step.

    Arguments of the other schedule are not looked at; see ``multistep_schedule`` and ``cosine_schedule``.

    Raises:
        ValueError: An unknown name, "cosine" without ``total_steps``, or what the schedule itself refuses.
    """
    if schedule == "multistep":
        return Schedule(multistep_schedule(optimizer, milestones, gamma), "epoch")
    if schedule == "cosine":
        if total_steps is None:
            raise ValueError('schedule "cosine" needs total_steps, the optimizer steps of the whole training')
        return Schedule(cosine_schedule(optimizer, total_steps, warmup_steps, min_ratio), "step")
    raise ValueError(f'schedule must be "multistep" or "cosine", got {schedule!r}')


def multistep_schedule(
    optimizer: Optimizer, milestones: Sequence[int] = (3, 5), gamma: float = 0.1
) -> MultiStepLR:
    """Multiplies every rate by ``gamma`` at the start of each epoch in ``milestones`` (counted from 0)."""
    epochs = list(milestones)
    if not epochs or any(epoch < 1 for epoch in epochs) or epochs != sorted(set(epochs)):
        raise ValueError(f"milestones must be epochs from 1 on, each later than the one before, got {epochs}")
    if not 0 < gamma <= 1:
        raise ValueError(f"gamma must be in (0, 1], got {gamma}")
    return MultiStepLR(optimizer, epochs, gamma)


def cosine_schedule(
    optimizer: Optimizer, total_steps: int, warmup_steps: int = 0, min_ratio: float = 0.0
) -> LambdaLR:
    """Raises every rate linearly over ``warmup_steps``, then lowers it by half a cosine.

    Step s (from 0) of the warm-up has the rate times (s + 1) / warmup_steps; the peak is met at its last step
    and at the first one after it; ``min_ratio`` times the peak is reached after ``total_steps`` and kept.
    """
    if not 0 <= warmup_steps < total_steps:
        raise ValueError(
            f"warmup_steps must be at least 0 and below total_steps={total_steps}, got {warmup_steps}"
        )
    if not 0 <= min_ratio <= 1:
        raise ValueError(f"min_ratio must be in [0, 1], got {min_ratio}")

    def ratio(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = min((step - warmup_steps) / (total_steps - warmup_steps), 1.0)
        return min_ratio + (1 - min_ratio) * (1 + math.cos(math.pi * progress)) / 2

    return LambdaLR(optimizer, ratio)


def _without_decay(model: nn.Module) -> set[nn.Parameter]:
    """Parameters of norms and embeddings, and whatever is a vector, a bias or an embedding by name."""
    spared: set[nn.Parameter] = set()
    for module in model.modules():
        is_spared_kind = isinstance(module, (*NORMS, nn.Embedding))
        for name, parameter in module.named_parameters(recurse=False):
            if is_spared_kind or parameter.ndim <= 1 or "embed" in name or "bias" in name:
                spared.add(parameter)
    return spared
