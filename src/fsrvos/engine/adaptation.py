"""Few-shot adaptation: fine-tuning on a few clips that stops early and keeps the best state on held-back frames."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from fsrvos.data.collate import collate
from fsrvos.data.own_episodes import OwnEpisodes
from fsrvos.engine.criterion import Criterion
from fsrvos.engine.held_back_scores import Scorer
from fsrvos.engine.module import SegmentationModule
from fsrvos.engine.optimizers import Recipe
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA

MakeTrainer = Callable[..., L.Trainer]


class AdaptationModule(SegmentationModule):
    """Trains a network on a handful of clips: named parts stay as they are, and so does every batch norm's statistics.

    A batch of a few clips says little of the mean and deviation of a channel; those of the whole training are kept.
    """

    def __init__(
        self, model: CMA, criterion: Criterion, optimizer: Recipe, frozen: Sequence[str] = ()
    ) -> None:
        """Freezes the parts.

        Args:
            model: The network.
            criterion: The loss.
            optimizer: Optimizer and schedule.
            frozen: Names of parts of the network, such as ``"text_encoder"`` or ``"backbone.stem"``.

        Raises:
            UserError: The network has no such part.
        """
        super().__init__(model, criterion, optimizer)
        for name in frozen:
            try:
                model.get_submodule(name).requires_grad_(False)
            except AttributeError as error:
                parts = ", ".join(part for part, _ in model.named_children())
                raise UserError(f"frozen: the network has no part {name!r}; there are {parts}") from error

    def train(self, mode: bool = True) -> AdaptationModule:
        """Training mode, in which batch norms stay in evaluation mode."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        return self


@dataclass
class Curve:
    """What was measured on the way: loss of every step, J on the stopping frames at some.

    Attributes:
        losses: Total training loss, step by step.
        scores: Step -> mean J over the clips in [0, 1]; step 0 is the network as it came.
        best_step: Step of the best state after 0; 0 where none was scored.
        interrupted: Whether Ctrl-C ended it.
    """

    losses: list[float] = field(default_factory=list)
    scores: dict[int, float] = field(default_factory=dict)
    best_step: int = 0
    interrupted: bool = False


class BestState(Callback):
    """Scores the stopping frames every few steps, keeps the best state, and stops where it gets no better."""

    def __init__(
        self,
        scorer: Scorer,
        curve: Curve,
        every: int,
        patience: int,
        on_step: Callable[[int, int], None] | None = None,
    ) -> None:
        """Sets up.

        Args:
            scorer: Scores the network.
            curve: Where the measurements go.
            every: Steps between scores.
            patience: Scores without a better one after which training ends.
            on_step: Told (done, total) after every step.
        """
        self.scorer, self.curve, self.every, self.patience = scorer, curve, every, patience
        self.on_step = on_step
        self.state: dict[str, Tensor] | None = None

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Takes the loss, and scores when it is time or the end."""
        assert isinstance(pl_module, AdaptationModule)
        step, total = batch_idx + 1, int(trainer.num_training_batches)
        self.curve.losses.append(float(outputs["loss"]))
        if self.on_step is not None:
            self.on_step(step, total)
        if step % self.every and step != total:
            return
        score = fmean(self.scorer(pl_module.model, "stop").values())
        pl_module.train()
        earlier = [value for at, value in self.curve.scores.items() if at > 0]
        self.curve.scores[step] = score
        if not earlier or score > max(earlier):
            self.curve.best_step = step
            self.state = {name: value.clone() for name, value in pl_module.model.state_dict().items()}
        elif step - self.curve.best_step >= self.patience * self.every:
            trainer.should_stop = True


@dataclass
class Adaptation:
    """What came of an adaptation; the network holds the best state after step 0, in evaluation mode.

    Attributes:
        curve: What was measured on the way.
        before: J on the report's frames by clip, of the network as it came, in [0, 1].
        after: The same of the best state.
        better: Whether the adapted network may be called better.
    """

    curve: Curve
    before: Mapping[str, float]
    after: Mapping[str, float]
    better: bool

    @property
    def gain(self) -> float:
        """Mean J after less before, in [0, 1]."""
        return fmean(self.after.values()) - fmean(self.before.values())


def adapt(
    model: CMA,
    episodes: OwnEpisodes,
    scorer: Scorer,
    criterion: Criterion,
    recipe: Recipe,
    make_trainer: MakeTrainer,
    *,
    frozen: Sequence[str] = (),
    batch_size: int = 4,
    every: int = 20,
    patience: int = 4,
    min_gain: float = 0.01,
    on_step: Callable[[int, int], None] | None = None,
) -> Adaptation:
    """Fine-tunes a network in place and says whether it got better.

    Better is: on the stopping frames the best state beats the network as it came, and on the report's frames by at
    least ``min_gain``. Ctrl-C ends the training; the best state so far counts.

    Args:
        model: The network; changed.
        episodes: What trains; as many batches as fit are the steps.
        scorer: Scores held-back frames.
        criterion: The loss.
        recipe: Optimizer and schedule.
        make_trainer: Makes a trainer from further arguments of ``lightning.Trainer``.
        frozen: Parts of the network that stay as they are.
        batch_size: Episodes of a step.
        every: Steps between scores on the stopping frames.
        patience: Scores without a better one after which training ends.
        min_gain: Least gain of mean J, in [0, 1].
        on_step: Told (done, total) after every step.

    Returns:
        What came of it.

    Raises:
        UserError: Settings that cannot be.
        KeyboardInterrupt: Ctrl-C before the first score.
    """
    if every < 1 or patience < 1 or batch_size < 1:
        raise UserError(
            f"every, patience and batch_size must be at least 1, got {every}, {patience}, {batch_size}"
        )
    module = AdaptationModule(model, criterion, recipe, frozen)
    before = scorer(model, "report")
    curve = Curve(scores={0: fmean(scorer(model, "stop").values())})
    best = BestState(scorer, curve, every, patience, on_step)
    loader = DataLoader(episodes, batch_size, collate_fn=collate, drop_last=True)
    trainer = make_trainer(
        callbacks=[best], logger=False, enable_checkpointing=False, enable_progress_bar=False, max_epochs=1
    )
    handler = signal.getsignal(signal.SIGINT)
    module.train()  # Lightning leaves modes as they are
    try:
        trainer.fit(module, loader)
    except SystemExit:  # how Lightning ends after Ctrl-C
        if not trainer.interrupted:
            raise
        curve.interrupted = True
    finally:
        if signal.getsignal(signal.SIGINT) is not handler:
            signal.signal(signal.SIGINT, handler)  # Lightning turns a second Ctrl-C off
    if best.state is None:
        raise KeyboardInterrupt
    model.load_state_dict(best.state)
    after = scorer(model, "report")
    found = Adaptation(curve, before, after, better=False)
    # Rounding noise apart: a gain of exactly min_gain is enough.
    is_enough = found.gain >= min_gain - 1e-9
    found.better = is_enough and curve.scores[curve.best_step] > curve.scores[0]
    return found
