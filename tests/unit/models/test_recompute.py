"""Activations made again against activations kept: the same loss and gradients, dropout included, and less kept."""

import pytest
import torch
from tiny import make_clip, make_support, tiny_model


def step(model):
    """Loss, gradients, numbers kept for the backward pass, and whether random numbers go on from one place."""
    torch.manual_seed(5)
    kept = {}
    model.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(
        lambda x: kept.update({x.untyped_storage().data_ptr(): x.untyped_storage().size()}) or x, lambda x: x
    ):
        said = model(make_clip(frames=3), make_support(frames=3))
    loss = sum(x.square().mean() for y in (said, *said.auxiliary) for x in (y.logits, y.boxes, y.masks))
    drawn = torch.rand(1)
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return loss.detach(), gradients, sum(kept.values()), drawn


@pytest.mark.parametrize("variant", ["cma", "referformer"])
def test_gradients_are_the_same_and_less_is_kept(variant):
    kept = tiny_model(variant, dropout=0.3).train()
    again = tiny_model(variant, dropout=0.3, recompute_activations=True).train()
    again.load_state_dict(kept.state_dict())
    (loss, gradients, most, drawn), (same_loss, same, least, same_drawn) = step(kept), step(again)
    assert torch.equal(loss, same_loss)
    assert torch.equal(drawn, same_drawn)
    assert gradients.keys() == same.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(same[name], gradient, atol=1e-7, rtol=1e-6, msg=name)
    assert least < most


def test_nothing_of_frozen_encoders_is_kept():
    model = tiny_model(
        "cma", backbone={"name": "resnet18", "pretrained": False}, text_encoder="small"
    ).train()
    clip = make_clip()
    maps, tokens = model.backbone(clip.frames), model.text_encoder.tokenize(clip.expressions)
    assert not any(x.requires_grad for x in (*maps, *model.text_encoder(tokens)))
