"""Compiled blocks: the answers of plain ones, one graph for all sizes, and one line where there is no compiler."""

import pytest
import torch
from tiny import make_clip, make_support, tiny_model
from torch._dynamo.testing import CompileCounter

from fsrvos.errors import UserError
from fsrvos.models.compiling import check_compiler, compile_blocks
from fsrvos.models.transformer import EncoderLayer, Memory


@pytest.fixture(autouse=True)
def fresh():
    """No graphs of another test, and no settings for another test."""
    torch._dynamo.reset()
    config, duck = torch._dynamo.config.recompile_limit, torch.fx.experimental._config.use_duck_shape
    yield
    torch._dynamo.reset()
    torch._dynamo.config.recompile_limit, torch.fx.experimental._config.use_duck_shape = config, duck


def episode(frames, size):
    return make_clip(frames=frames, size=size), make_support(frames=frames, size=size)


# Every level has more than one cell, and sides that are equal to each other or to the number of frames.
SIZES = [(4, (160, 160)), (3, (160, 192)), (5, (192, 256)), (2, (192, 160))]


def test_answers_are_the_same_and_graphs_serve_all_sizes():
    plain, compiled, counter = tiny_model(), tiny_model(), CompileCounter()
    compile_blocks(compiled, counter)
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    counts = []
    for frames, size in SIZES:
        with torch.no_grad():
            expected, found = (model(*episode(frames, size)) for model in (plain, compiled))
        for name in ("logits", "boxes", "masks"):
            torch.testing.assert_close(
                getattr(found, name), getattr(expected, name), atol=1e-4, rtol=1e-4, msg=name
            )
        counts.append(counter.frame_count)
    assert 0 < counts[0] < 20
    assert counts[-1] == counts[1], counts


def encoder_layer(dtype):
    """A layer whose points lie off the cells' centres, and what it reads."""
    torch.manual_seed(0)
    layer, shapes = EncoderLayer(16, 2, 2, 2, 32, 0.0).to(dtype), [(6, 8), (3, 4)]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    tokens, position = torch.randn(2, 3, 60, 16, dtype=dtype).unbind()
    padding, ratios = torch.zeros(3, 60, dtype=torch.bool), torch.ones(3, 2, 2)
    return layer, (Memory(tokens, padding, ratios, shapes), position, torch.rand(3, 60, 2, 2, dtype=dtype))


def test_gradients_are_the_same():
    """Forward and backward pass as a compiler traces them, executed by PyTorch."""
    layer, given = encoder_layer(torch.float64)
    expected, found = [], []
    for gradients in (expected, found):
        layer.zero_grad()
        layer(*given).square().sum().backward()
        gradients += [parameter.grad for parameter in layer.parameters()]
        compile_blocks(layer, "aot_eager")
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-8)


def test_a_layer_compiled_by_the_real_compiler():
    layer, given = encoder_layer(torch.float32)
    layer.eval()
    with torch.no_grad():
        expected = layer(*given)
        compile_blocks(layer)
        torch.testing.assert_close(layer(*given), expected, atol=1e-5, rtol=1e-5)


def test_no_compiler_is_one_line():
    with (
        torch._inductor.config.patch({"cpp.cxx": ("/nowhere/g++",)}),
        torch._inductor.utils.fresh_cache(),
        pytest.raises(
            UserError, match=r"compile=true: PyTorch cannot compile here .*install a C\+\+ compiler"
        ),
    ):
        check_compiler("cpu")
