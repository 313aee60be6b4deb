"""ResNets through timm: strides, widths, torchvision's layout, frozen batch norm, and weights that cannot be had."""

import pytest
import torch
import torchvision
from torch import nn

from fsrvos.encoders.build import build_backbone
from fsrvos.encoders.resnet import TimmBackbone
from fsrvos.errors import UserError


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
        (lambda: build_backbone("resnet17"), "backbone must be small, .*; got 'resnet17'"),
        (lambda: TimmBackbone("vit_tiny_patch16_224"), "strides"),
        (lambda: TimmBackbone("resnet18", pretrained=True), "'resnet18'.*backbone.weights=FILE"),
        (lambda: TimmBackbone("resnet18", weights="/no/such.pth"), "'resnet18'.*/no/such.pth"),
    ],
    ids=["name", "build", "strides", "offline", "file"],
)
def test_what_cannot_be_had_is_told_in_one_line(make, message):
    with pytest.raises(UserError, match=message) as caught:
        make()
    assert len(str(caught.value).splitlines()) == 1
