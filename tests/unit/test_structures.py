import torch

from fsrvos.structures import Batch, Clip, Support, Targets, Tokens


def batch():
    frames = torch.zeros(1, 2, 3, 4, 4)
    padding, sizes = torch.zeros(1, 2, 4, 4, dtype=torch.bool), torch.tensor([[4, 4]])
    tokens = Tokens(torch.zeros(1, 3, dtype=torch.long), torch.zeros(1, 3, dtype=torch.bool))
    support = Support(frames, padding, sizes, ["a"], tokens, padding, torch.zeros(1, dtype=torch.long))
    targets = Targets(padding, torch.zeros(1, 2, 4), torch.ones(1, 2, dtype=torch.bool))
    return Batch(Clip(frames, padding, sizes, ["a"]), support, targets, native_sizes=[(4, 4)])


def test_to_reaches_every_tensor_and_shares_the_rest():
    original = batch()
    moved = original.to("meta")
    assert moved.query.frames.is_meta
    assert moved.query.tokens is None
    assert moved.support.tokens.ids.is_meta
    assert moved.support.owner.is_meta
    assert moved.targets.boxes.is_meta
    assert moved.native_sizes == [(4, 4)]
    assert not original.query.frames.is_meta


def test_pin_memory_reaches_nested_tensors(monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: pinned.append(self.shape) or self)
    batch().pin_memory()
    assert len(pinned) == 3 + 5 + 2 + 3
