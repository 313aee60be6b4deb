"""The small backbone and the choice of backbones by name."""

import pytest
import torch

from fsrvos.encoders.build import build_backbone
from fsrvos.encoders.small import SmallBackbone


def test_strides_and_channels():
    backbone = SmallBackbone((8, 16, 24, 32), (1, 2, 1, 1))
    maps = backbone(torch.randn(2, 3, 3, 64, 96))
    assert backbone.channels == [8, 16, 24, 32]
    shapes = [(8, 16, 24), (16, 8, 12), (24, 4, 6), (32, 2, 3)]
    assert [tuple(m.shape) for m in maps] == [(2, 3, *shape) for shape in shapes]
    assert [len(stage) for stage in backbone.stages] == [1, 2, 1, 1]


def test_gradients_reach_every_parameter():
    backbone = SmallBackbone((8, 16, 24, 32))
    sum((m * torch.randn_like(m)).sum() for m in backbone(torch.randn(1, 2, 3, 64, 64))).backward()
    assert all(p.grad is not None and p.grad.any() for p in backbone.parameters())


def test_clips_and_frames_do_not_see_each_other():
    backbone = SmallBackbone((16, 16, 16, 16)).eval()
    x = torch.randn(2, 2, 3, 32, 32)
    torch.testing.assert_close(backbone(x)[2][1:, 1:], backbone(x[1:, 1:])[2])


def test_coarse_maps_reach_the_fine_ones():
    """A level is its own stage plus a 1x1 convolution of the next level, each cell repeated over what it covers."""
    backbone = SmallBackbone((8, 16, 24, 32)).eval()
    x = torch.randn(1, 2, 3, 72, 96)
    with torch.no_grad():
        found = backbone(x)
        bare = [backbone.stages[0](backbone.stem(x[0]))]
        for stage in backbone.stages[1:]:
            bare.append(stage(bare[-1]))
        expected = bare[3]
        torch.testing.assert_close(found[3][0], expected)
        for level in (2, 1, 0):
            layer, (h, w) = backbone.top_down[level], bare[level].shape[-2:]
            seen = (
                torch.einsum("oi,nihw->nohw", layer.weight[:, :, 0, 0], expected) + layer.bias[:, None, None]
            )
            rows = [i * seen.shape[-2] // h for i in range(h)]
            columns = [j * seen.shape[-1] // w for j in range(w)]
            expected = bare[level] + seen[..., rows, :][..., columns]
            torch.testing.assert_close(found[level][0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "options", [{"channels": (8, 8, 8)}, {"channels": (7, 8, 8, 8)}, {"blocks": (1, 1, 1)}]
)
def test_bad_widths(options):
    with pytest.raises(ValueError, match="four stages, the first of even width"):
        SmallBackbone(**options)


def test_build_passes_options_on():
    assert build_backbone("small", channels=[16, 16, 16, 16]).channels == [16] * 4
    assert build_backbone("resnet34", pretrained=False).channels == [64, 128, 256, 512]
