"""The training loop can learn: one episode by heart. And the check can fail: not with its masks displaced."""

import re

import pytest
import torch
from commands import run

from fsrvos.cli import train as train_command
from fsrvos.data.collate import collate
from fsrvos.engine.criterion import Criterion
from fsrvos.engine.metrics import region_similarity
from fsrvos.models.cma import CMA
from fsrvos.models.full_size import mask_logits
from fsrvos.ops.boxes import boxes_from_masks
from fsrvos.structures import Episode, EpisodeSpec, SupportClip, Targets

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
]
LEARNED = 0.9
SMALL = [
    "backbone.channels=[16,32,48,48]", "backbone.blocks=[1,1,1,1]", "model.num_decoder_layers=1",
]  # fmt: skip


def test_one_episode_is_learned_from_the_command_line(tmp_path, monkeypatch, capfd):
    outcome = run(
        train_command.main, ["experiment=smoke", "debug=overfit", *SMALL], tmp_path, monkeypatch, capfd
    )
    assert outcome.code == 0, outcome.err
    (similarity,) = re.findall(r"by heart: J (\d+\.\d) -> ", outcome.out)
    assert float(similarity) > 100 * LEARNED


def episode():
    """Three squares of noise on a grey ground; the middle one is meant."""
    generator = torch.Generator().manual_seed(0)
    frames = 0.2 * torch.randn(2, 3, 64, 96, generator=generator)
    masks = torch.zeros(2, 64, 96, dtype=torch.bool)
    for number, left in enumerate((6, 38, 70)):
        frames[:, number, 20:40, left : left + 20] += 2.0
    masks[:, 20:40, 38:58] = True
    spec = EpisodeSpec(0, "dax", None, ())
    support = SupportClip(frames.clone(), masks.clone(), "a dax")
    return Episode(spec, frames, masks, torch.ones(2, dtype=torch.bool), "the green dax", [support], (64, 96))


def learn(displaced, steps=60):
    """J of the true mask after training, on the true mask or on one that was moved to where nothing is."""
    torch.manual_seed(0)
    model = CMA(
        "cma_plus",
        backbone={"name": "small", "channels": [8, 16, 24, 24], "blocks": [1, 1, 1, 1], "frozen": False},
        text_encoder={"name": "small", "frozen": False},
        hidden_dim=64, num_heads=4, num_encoder_layers=1, num_decoder_layers=1, feedforward=64, dropout=0.0,
        mask_channels=8, coordinate_scale=1 / 64, rest=True,
    )  # fmt: skip
    batch = collate([episode()])
    truth = batch.targets.masks[0]
    taught = batch.targets.masks.roll((18, 30), (-2, -1)) if displaced else batch.targets.masks
    targets = Targets(taught, boxes_from_masks(taught), batch.targets.is_visible)
    criterion = Criterion(full_size_masks=True)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 2e-3)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        criterion(model(batch.query, batch.support), targets).total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    (logits,) = mask_logits(model.segment(batch.query, batch.support), batch.query, [(64, 96)])
    return region_similarity(logits > 0, truth).mean().item()


def test_one_episode_is_learned():
    assert learn(displaced=False) > LEARNED


def test_displaced_masks_are_not():
    assert learn(displaced=True) < 0.5
