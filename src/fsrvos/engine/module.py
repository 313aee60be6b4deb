"""The LightningModule: the network, its loss, its optimizer, and validation that watches the controls."""

from __future__ import annotations

from functools import partial
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from fsrvos.data.datamodule import VALIDATED
from fsrvos.engine.criterion import Criterion, Losses
from fsrvos.engine.metrics import ContourAccuracy, RegionSimilarity
from fsrvos.engine.optimizers import Recipe
from fsrvos.engine.processes import take_buffers_of_first
from fsrvos.engine.sharding import SPREAD, Sharded, check_kind, is_sharded, shard
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA
from fsrvos.models.full_size import mask_logits
from fsrvos.structures import Batch


class SegmentationModule(L.LightningModule):
    """Trains a network on episodes.

    Args:
        model: The network; it keeps its own layers, this class only drives it.
        criterion: The loss.
        optimizer: Optimizer and schedule.
    """

    def __init__(self, model: CMA, criterion: Criterion, optimizer: Recipe) -> None:
        super().__init__()
        self.model, self.criterion, self.recipe = model, criterion, optimizer
        self.similarity = torch.nn.ModuleDict({condition: RegionSimilarity() for condition in VALIDATED})
        self.accuracy = ContourAccuracy()

    def configure_model(self) -> None:
        """Spreads the network over the processes, where the strategy says so."""
        if isinstance(self.trainer.strategy, Sharded) and not is_sharded(self.model):
            shard(self.model, self.trainer.strategy.processes())

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of a batch of episodes."""
        losses = self.losses(batch)
        size = len(batch.specs)
        self.log("train/loss", losses.total, prog_bar=True, batch_size=size)
        self.log_dict({f"train/{name}": term for name, term in losses.terms.items()}, batch_size=size)
        return losses.total

    def losses(self, batch: Batch) -> Losses:
        """What the criterion finds in a batch of episodes."""
        prediction = self.model(batch.query, batch.support)
        assert batch.targets is not None
        return self.criterion(
            prediction,
            batch.targets,
            batch.query.padding_mask.flatten(2).all(-1),
            [spec.category for spec in batch.specs],
            self._fit(batch) if self.criterion.phrase_weight else None,
        )

    def _fit(self, batch: Batch) -> Tensor:
        """How well all phrases known of the clips fit the queries' objects and their rivals: (P, T, 1 + K)."""
        assert batch.targets is not None
        if (rivals := batch.targets.rivals) is None:
            raise UserError(
                "criterion.phrase_weight above 0 needs objects to choose among: set data.rivals=1"
            )
        masks = torch.cat((batch.targets.masks[:, :, None], rivals.masks), 2)
        boxes = torch.cat((batch.targets.boxes[:, :, None], rivals.boxes), 2)
        return self.model.fit(batch.query, masks, boxes, rivals.phrases, rivals.owner)

    def on_validation_start(self) -> None:
        """All processes validate the network that is saved."""
        take_buffers_of_first(self.model)

    def validation_step(
        self, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, list[Tensor]]:
        """Scores of held-out episodes, one loader a condition: right, wrong, no support.

        Returns:
            "masks": what was found, (T, h, w) bool for each episode, unpadded; callbacks draw it.
        """
        assert batch.targets is not None
        condition = VALIDATED[dataloader_idx]
        segmentation = self.model.segment(batch.query, batch.support)
        similarity = self.similarity[condition]
        assert isinstance(similarity, RegionSimilarity)
        sizes = [(h, w) for h, w in batch.query.sizes.tolist()]
        found = [logits > 0 for logits in mask_logits(segmentation, batch.query, sizes)]
        for masks, truth, (h, w) in zip(found, batch.targets.masks, sizes, strict=True):
            similarity(masks, truth[:, :h, :w])
            if condition == "right":
                self.accuracy(masks, truth[:, :h, :w])
        name = "val/J" if condition == "right" else f"val/J_{condition}"
        log = partial(self.log, on_epoch=True, add_dataloader_idx=False, batch_size=len(batch.specs))
        log(name, similarity, prog_bar=True)
        log(f"controls/J_{condition}", similarity)  # a panel of their own, with the right one for comparison
        if condition == "right":
            log("val/F", self.accuracy)
        return {"masks": found}

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Optimizer and schedule of the recipe."""
        steps = self.trainer.estimated_stepping_batches
        optimizer, schedule = self.recipe.build(self.model, int(steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule.scheduler, "interval": schedule.interval},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Makes the file self-describing: primitives from which the network can be built again."""
        checkpoint["fsrvos"] = {"model": self.model.config}
        if is_sharded(self.model):
            checkpoint["fsrvos"][SPREAD] = True

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses the state of an optimizer whose parameters were spread, where they are not."""
        check_kind(checkpoint, spread=is_sharded(self.model))
