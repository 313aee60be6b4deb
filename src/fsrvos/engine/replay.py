"""Runs a training step again and finds where its numbers stop to be finite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fsrvos.engine.criterion import Losses
from fsrvos.engine.module import SegmentationModule
from fsrvos.ops.precision import computing
from fsrvos.structures import Batch


@dataclass
class Replay:
    """What a step did when it was run again.

    Attributes:
        weights: Names of weights and buffers that were not finite before the step.
        inputs: Whether all that the network read was finite.
        module: First module with an output that is not finite, though its inputs are; None if there is none.
        loss: The loss, and its terms by name.
        gradient: The first operation whose gradient is NaN, as PyTorch names it; None if there is none, or the loss is
            not finite already.
        parameters: Names of parameters whose gradients are not finite.
    """

    weights: list[str] = field(default_factory=list)
    inputs: bool = True
    module: str | None = None
    loss: float = 0.0
    terms: dict[str, float] = field(default_factory=dict)
    gradient: str | None = None
    parameters: list[str] = field(default_factory=list)

    @property
    def is_finite(self) -> bool:
        """Whether the step could have been taken."""
        finite_loss = bool(torch.tensor(self.loss).isfinite())
        return finite_loss and self.gradient is None and not self.parameters


def replay(module: SegmentationModule, batches: list[Batch], seed: int, precision: str = "32-true") -> Replay:
    """Runs forward and backward pass of a step.

    Args:
        module: With the weights from before the step, on the device to run on.
        batches: What the step read.
        seed: For PyTorch, before the first batch.
        precision: As the trainer had it: "bf16-mixed", or "16-mixed" without its scaler; else that of the weights.
    """
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    found = Replay(weights=[name for name, tensor in state.items() if not _is_finite(tensor)])
    found.inputs = all(_is_finite(batch) for batch in batches)
    module.train()
    module.zero_grad()
    torch.manual_seed(seed)
    for batch in batches:
        batch = batch.to(module.device)
        with _watched(module, found), computing(precision, module.device):
            losses = module.losses(batch)
        found.loss += float(losses.total.detach())
        _add(found.terms, losses)
        if _is_finite(losses.total):
            _backward(losses.total, found)
    found.parameters = [
        name
        for name, parameter in module.named_parameters()
        if parameter.grad is not None and not _is_finite(parameter.grad)
    ]
    return found


def _backward(loss: Tensor, found: Replay) -> None:
    try:
        with torch.autograd.set_detect_anomaly(True):
            loss.backward(retain_graph=True)
    except RuntimeError as error:
        if "returned nan" not in str(error):
            raise
        found.gradient = found.gradient or str(error).splitlines()[0]
        loss.backward()  # to its end, to see whose gradients it reaches


@contextmanager
def _watched(module: nn.Module, found: Replay) -> Iterator[None]:
    def look(name: str) -> Any:
        def hook(_: nn.Module, inputs: Any, keywords: Any, output: Any) -> None:
            if found.module is None and not _is_finite(output) and _is_finite([inputs, keywords]):
                found.module = name

        return hook

    hooks = [
        part.register_forward_hook(look(name), with_kwargs=True)
        for name, part in module.named_modules()
        if name
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _add(terms: dict[str, float], losses: Losses) -> None:
    for name, term in losses.terms.items():
        terms[name] = terms.get(name, 0.0) + float(term)


def _is_finite(value: Any) -> bool:
    """Whether all tensors in a value are."""
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(value.detach().isfinite().all())
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    if is_dataclass(value) and not isinstance(value, type):
        return all(_is_finite(getattr(value, part.name)) for part in fields(value))
    return True
