"""Backbones of timm: torchvision's ResNets, frozen batch norm, any model at four strides, weights that cannot be had."""

import math

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from tiny import SIZES, TEXT_ENCODER
from torch import nn

from fsrvos.encoders.build import build_backbone
from fsrvos.encoders.timm_backbone import TimmBackbone
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA

TINY = {"text_encoder": TEXT_ENCODER, **SIZES}


@pytest.fixture(scope="module")
def resnet18():
    torch.manual_seed(0)
    return TimmBackbone("resnet18")


def test_strides_and_channels(resnet18):
    with torch.no_grad():
        maps = resnet18(torch.randn(2, 3, 3, 64, 96))
    assert resnet18.channels == [64, 128, 256, 512]
    shapes = [(64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)]
    assert [tuple(m.shape) for m in maps] == [(2, 3, *shape) for shape in shapes]


def test_equals_torchvision_with_the_same_weights(resnet18):
    reference = torchvision.models.resnet18()
    generator = torch.Generator().manual_seed(1)
    for name, buffer in reference.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    state = {k: v for k, v in reference.state_dict().items() if not k.startswith("fc.")}
    backbone = TimmBackbone("resnet18").train()
    missing, unexpected = backbone.body.load_state_dict(state, strict=False)
    assert not missing
    assert all(name.endswith("num_batches_tracked") for name in unexpected)
    reference.eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = backbone(x[None])
        y = reference.maxpool(reference.relu(reference.bn1(reference.conv1(x))))
        for index, layer in enumerate(
            (reference.layer1, reference.layer2, reference.layer3, reference.layer4)
        ):
            y = layer(y)
            torch.testing.assert_close(found[index][0], y, atol=1e-4, rtol=1e-4)


def test_batch_norm_is_frozen_in_training_mode(resnet18):
    """Statistics and affine parameters alike; the equality above ran in training mode too."""
    assert not any(isinstance(module, nn.BatchNorm2d) for module in resnet18.modules())
    before = {name: buffer.clone() for name, buffer in resnet18.named_buffers()}
    x = torch.randn(1, 2, 3, 64, 64)
    resnet18.train()
    trained = resnet18(x)[-1]
    assert before.keys() == dict(resnet18.named_buffers()).keys()
    assert all(torch.equal(buffer, before[name]) for name, buffer in resnet18.named_buffers())
    torch.testing.assert_close(resnet18.eval()(x)[-1], trained)
    assert all(p.dim() == 4 for p in resnet18.parameters()), "only convolutions are trainable"


def test_frames_do_not_see_each_other(resnet18):
    x = torch.randn(1, 2, 3, 64, 64)
    with torch.no_grad():
        both, second = resnet18(x)[3], resnet18(x[:, 1:])[3]
    torch.testing.assert_close(both[:, 1:], second)


def test_weights_from_a_file(tmp_path, resnet18):
    torch.manual_seed(5)
    reference = torchvision.models.resnet18()
    torch.save(reference.state_dict(), tmp_path / "resnet18.pth")
    backbone = TimmBackbone("resnet18", weights=str(tmp_path / "resnet18.pth"))
    assert torch.equal(backbone.body.conv1.weight, reference.conv1.weight)
    assert torch.equal(backbone.body.layer4[1].conv2.weight, reference.layer4[1].conv2.weight)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TimmBackbone("resnet17"), "timm knows no model 'resnet17'"),
        (lambda: build_backbone("resnet17"), "backbone must be one of small, .*resnet1.*; got 'resnet17'"),
        (
            lambda: build_backbone("nothing like it"),
            "backbone must be one of small, .*; got 'nothing like it'",
        ),
        (lambda: TimmBackbone("coat_tiny")(torch.zeros(1, 1, 3, 64, 64)), "does not take frames of 64x64"),
        (lambda: TimmBackbone("resnet18", pretrained=True), "'resnet18'.*backbone.weights=FILE"),
        (lambda: TimmBackbone("resnet18", weights="/no/such.pth"), "'resnet18'.*/no/such.pth"),
    ],
    ids=["name", "build", "nothing near", "size", "offline", "file"],
)
def test_what_cannot_be_had_is_told_in_one_line(make, message):
    with pytest.raises(UserError, match=message) as caught:
        make()
    assert len(str(caught.value).splitlines()) == 1


# Other families of timm: their strides, and the strides of the maps that stand in for those they lack.
FAMILIES = {
    "convnext_atto": (4, 8, 16, 32),
    "efficientnet_b0": (4, 8, 16, 32),
    "mobilenetv3_small_050": (4, 8, 16, 32),
    "swin_tiny_patch4_window7_224": (4, 8, 16, 32),  # maps with channels last
    "vit_tiny_patch16_224": (16, 16, 16, 16),
    "regnetx_002": (4, 8, 16, 32),
}


@pytest.mark.parametrize("size", [(64, 96), (70, 100), (33, 31)])
@pytest.mark.parametrize("name", FAMILIES)
def test_any_model_at_four_strides(name, size):
    torch.manual_seed(0)
    backbone = build_backbone(name).eval()
    assert backbone.strides == FAMILIES[name]
    with torch.no_grad():
        maps = backbone(torch.randn(1, 2, 3, *size))
    for level, channels, stride in zip(maps, backbone.channels, (4, 8, 16, 32), strict=True):
        assert tuple(level.shape) == (
            1,
            2,
            channels,
            math.ceil(size[0] / stride),
            math.ceil(size[1] / stride),
        )
        assert level.isfinite().all()


@pytest.mark.parametrize("name", ["convnext_atto", "swin_tiny_patch4_window7_224"])
def test_maps_are_those_of_timm(name):
    torch.manual_seed(0)
    backbone = TimmBackbone(name).eval()
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = timm.create_model(
            name, features_only=True, **({"strict_img_size": False} if "swin" in name else {})
        )
        expected.load_state_dict(backbone.body.state_dict())
        for ours, theirs in zip(backbone(x[None]), expected.eval()(x), strict=True):
            theirs = theirs.permute(0, 3, 1, 2) if "swin" in name else theirs
            torch.testing.assert_close(ours[0], theirs)


def test_a_single_stride_is_brought_to_four():
    """A ViT: averages over areas going down, bilinear going up; the middle of a level stays where it was."""
    backbone = TimmBackbone("vit_tiny_patch16_224").eval()
    with torch.no_grad():
        fine, eighth, native, coarse = (m[0] for m in backbone(torch.randn(1, 1, 3, 64, 64)))
    torch.testing.assert_close(coarse, F.avg_pool2d(native, 2))
    torch.testing.assert_close(
        fine, F.interpolate(native, scale_factor=4, mode="bilinear", align_corners=False)
    )
    torch.testing.assert_close(
        eighth, F.interpolate(native, scale_factor=2, mode="bilinear", align_corners=False)
    )


def test_batch_norm_of_other_families_is_frozen_too():
    """Trained or not: weights get gradients, statistics stay."""
    torch.manual_seed(0)
    model = CMA("referformer", backbone={"name": "efficientnet_b0", "frozen": False}, **TINY).train()
    statistics = {name: x.clone() for name, x in model.backbone.named_buffers() if "running" in name}
    assert statistics
    sum(m.square().mean() for m in model.backbone(torch.randn(1, 1, 3, 64, 64))).backward()
    assert all(p.grad is not None for p in model.backbone.parameters() if p.requires_grad)
    assert any(p.requires_grad for p in model.backbone.parameters())
    assert all(
        torch.equal(x, statistics[name]) for name, x in model.backbone.named_buffers() if name in statistics
    )


def test_frozen_by_default():
    model = CMA("referformer", backbone="resnet18", **TINY).train()
    assert not any(p.requires_grad for p in model.backbone.parameters())
    assert not model.backbone.training
