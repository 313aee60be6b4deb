"""The LightningModule: what the optimizer holds, what validation measures, what a step's loss is."""

import math
from types import SimpleNamespace

import lightning as L
import numpy as np
import pytest
import torch
from scipy import ndimage
from tiny import BACKBONE, PHRASES, make_clip, make_support, tiny_model
from torch.utils.data import DataLoader

from fsrvos.engine.criterion import Criterion
from fsrvos.engine.module import SegmentationModule
from fsrvos.engine.optimizers import Recipe
from fsrvos.models.cma import VARIANTS
from fsrvos.ops.boxes import boxes_from_masks
from fsrvos.structures import Batch, ClipSpec, EpisodeSpec, Targets

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(num_workers|does not have many workers|isinstance.treespec|defined a `validation_step`|in eval mode).*"
)


def batch(seed, real=(60, 90), with_support=True):
    """Two episodes with truth."""
    query = make_clip(PHRASES[:2], real=real, seed=seed)
    masks = torch.zeros_like(query.padding_mask)
    masks[:, :, 10:40, 20 : 50 + 4 * seed] = True
    masks[1, 0] = False
    boxes = torch.stack([boxes_from_masks(m[:, : real[0], : real[1]]) for m in masks])
    spec = EpisodeSpec(0, "dax", ClipSpec("v", "1", "0", PHRASES[0], ("0", "1")), ())
    return Batch(
        query,
        make_support((0, 1), seed=seed + 10) if with_support else None,
        Targets(masks, boxes, masks.flatten(2).any(-1)),
        [spec, spec],
        [real, real],
    )


def loader(*batches):
    return DataLoader(list(batches), batch_size=1, collate_fn=lambda items: items[0])


def make_module(model=None, **recipe):
    return SegmentationModule(model or tiny_model(), Criterion(), Recipe(**recipe))


def quiet_trainer(**options):
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        **options,
    )


@pytest.mark.parametrize("frozen", [False, True], ids=["free", "frozen"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_trainable_parameter_is_in_the_optimizer_once(variant, frozen):
    module = make_module(tiny_model(variant, backbone={**BACKBONE, "frozen": frozen}))
    module.trainer = SimpleNamespace(estimated_stepping_batches=7)
    optimizer = module.configure_optimizers()["optimizer"]
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    trainable = {id(p): name for name, p in module.named_parameters() if p.requires_grad}
    assert len(held) == len(set(held))
    assert set(held) == set(trainable)
    assert any(name.startswith("model.backbone.") for name in trainable.values()) != frozen


def test_a_step_trains_on_the_criterions_total():
    module = make_module()
    one = batch(0)
    expected = module.criterion(module.model(one.query, one.support), one.targets)
    logged = {}
    module.log = lambda name, value, **_: logged.update({name: value})
    module.log_dict = lambda values, **_: logged.update(values)
    loss = module.training_step(one, 0)
    torch.testing.assert_close(loss, expected.total)
    assert loss.requires_grad
    assert logged["train/loss"] is loss
    assert {f"train/{name}" for name in expected.terms} == logged.keys() - {"train/loss"}


def found_and_true(model, batches):
    """(found, true) of every unpadded frame, (h, w) bool arrays, the mask resized from its cells."""
    for one in batches:
        answer = model.segment(one.query, one.support)
        for b, (h, w) in enumerate(one.query.sizes.tolist()):
            cells = answer.masks[b, :, : -(-h // 4), : -(-w // 4)]
            logits = torch.nn.functional.interpolate(cells[:, None], (h, w), mode="bilinear")[:, 0]
            truth = one.targets.masks[b, :, :h, :w]
            yield from zip((logits > 0).numpy(), truth.numpy(), strict=True)


def similarity(model, batches):
    """Mean IoU over frames."""
    scores = []
    for found, truth in found_and_true(model, batches):
        union = (found | truth).sum().item()
        scores.append((found & truth).sum().item() / union if union else 1.0)
    return sum(scores) / len(scores)


def accuracy(model, batches):
    """Mean F over frames with SciPy: boundaries dilated with the disk of ceil(0.008 * diagonal) pixels."""
    scores = []
    for pair in found_and_true(model, batches):
        radius = math.ceil(0.008 * math.hypot(*pair[0].shape))
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
        disk = x**2 + y**2 <= radius**2
        found, truth = (edges(mask) for mask in pair)
        if not found.any() or not truth.any():
            scores.append(float(not found.any() and not truth.any()))
            continue
        precision = (found & ndimage.binary_dilation(truth, disk)).sum() / found.sum()
        recall = (truth & ndimage.binary_dilation(found, disk)).sum() / truth.sum()
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return sum(scores) / len(scores)


def edges(mask):
    """Pixels that differ from their right, lower or lower-right neighbour, the frame's edge repeated."""
    right, below, corner = np.roll(mask, -1, 1), np.roll(mask, -1, 0), np.roll(mask, (-1, -1), (0, 1))
    right[:, -1], below[-1], corner[-1], corner[:, -1] = mask[:, -1], mask[-1], right[-1], below[:, -1]
    corner[-1, -1] = mask[-1, -1]
    return (mask != right) | (mask != below) | (mask != corner)


def test_validation_logs_the_three_conditions():
    module = make_module()
    right, wrong = [batch(0), batch(1)], [batch(2)]
    without = [batch(3, with_support=False)]
    trainer = quiet_trainer()
    trainer.validate(module, [loader(*right), loader(*wrong), loader(*without)], verbose=False)
    logged = {name: value.item() for name, value in trainer.callback_metrics.items()}
    controls = {f"controls/J_{condition}" for condition in ("right", "wrong_support", "no_support")}
    assert logged.keys() == {"val/J", "val/F", "val/J_wrong_support", "val/J_no_support", *controls}
    assert logged["controls/J_right"] == logged["val/J"]
    assert logged["controls/J_wrong_support"] == logged["val/J_wrong_support"]
    assert logged["controls/J_no_support"] == logged["val/J_no_support"]
    model = module.model.eval()
    assert logged["val/F"] == pytest.approx(accuracy(model, right), abs=1e-6)
    assert logged["val/J"] == pytest.approx(similarity(model, right), abs=1e-6)
    assert logged["val/J_wrong_support"] == pytest.approx(similarity(model, wrong), abs=1e-6)
    assert logged["val/J_no_support"] == pytest.approx(similarity(model, without), abs=1e-6)
    assert 0 < logged["val/J"] < 1


def test_training_lowers_the_loss_and_leaves_the_frozen_alone():
    model = tiny_model(backbone={**BACKBONE, "frozen": True}, dropout=0.0).train()
    module = make_module(model, lr=3e-3)
    before = {name: p.clone() for name, p in model.named_parameters()}
    one = batch(0)
    first = module.criterion(model(one.query, one.support), one.targets).total.item()
    quiet_trainer(max_steps=8, gradient_clip_val=1.0).fit(module, loader(*[one] * 8))
    last = module.criterion(model(one.query, one.support), one.targets).total.item()
    assert last < first
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    assert changed <= trainable
    assert {name.split(".")[0] for name in changed} == {name.split(".")[0] for name in trainable}
