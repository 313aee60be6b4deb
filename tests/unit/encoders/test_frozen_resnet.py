"""Folded norms against the network that applies them one by one, in float64, values and gradients."""

import copy

import pytest
import timm
import torch
from timm.utils.model import freeze_batch_norm_2d

from fsrvos.encoders.frozen_resnet import FRAMES, can_fold, folded_maps
from fsrvos.encoders.timm_backbone import TimmBackbone


def body(name):
    torch.manual_seed(0)
    model = timm.create_model(name, features_only=True, out_indices=(1, 2, 3, 4))
    for buffer_name, buffer in model.named_buffers():
        if buffer_name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    return freeze_batch_norm_2d(model).double()


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_equals_the_unfolded_network(name):
    plain = body(name)
    images = torch.randn(FRAMES + 1, 3, 40, 56, dtype=torch.float64)
    with torch.no_grad():
        for found, expected in zip(folded_maps(plain, images), plain(images), strict=True):
            torch.testing.assert_close(found, expected)


def test_gradients_equal_those_of_the_unfolded_network():
    plain, folded = (model := body("resnet18")), copy.deepcopy(model)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    sum(m.square().mean() for m in plain(images)).backward()
    sum(m.square().mean() for m in folded_maps(folded, images)).backward()
    for (name, a), (_, b) in zip(folded.named_parameters(), plain.named_parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, msg=name)


def test_new_weights_are_seen_at_once():
    backbone = TimmBackbone("resnet18").eval()
    frames = torch.randn(1, 1, 3, 32, 32)
    with torch.no_grad():
        before = backbone(frames)[3]
        backbone.body.conv1.weight.mul_(2)
        assert not torch.equal(backbone(frames)[3], before)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "wide_resnet50_2"])
def test_plain_resnets_fold(name):
    assert can_fold(body(name))


@pytest.mark.parametrize(
    "name", ["resnet26d", "seresnet18", "resnext26ts", "resnetv2_50", "mobilenetv3_small_050"]
)
def test_others_do_not(name):
    """A deep stem, extra gates, groups, norms before convolutions, no ResNet at all."""
    assert not can_fold(body(name))
