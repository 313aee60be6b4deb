"""CMA assembled: every variant forward and backward, batches, edges of size, and rebuilding from its config."""

import json
from types import MappingProxyType

import pytest
import torch
from tiny import (
    BACKBONE,
    PHRASES,
    SIZES,
    TEXT_ENCODER,
    make_clip,
    make_support,
    pick_clips,
    pick_support,
    tiny_model,
)

from fsrvos.errors import UserError
from fsrvos.models.cma import CMA, VARIANTS

# A key's bias shifts all scores of a softmax alike, so it has no gradient however well it is reached.
INVARIANT = ("of_query.key.bias", "of_support.key.bias", "attention.self.key.bias")


def outputs(prediction):
    layers = [*prediction.auxiliary, prediction]
    return [x for layer in layers for x in (layer.logits, layer.boxes, layer.masks)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_shapes(variant):
    model = tiny_model(variant)
    prediction = model(make_clip(PHRASES[:2], frames=3), make_support((0, 1), frames=3))
    assert len(prediction.auxiliary) == SIZES["num_decoder_layers"] - 1
    for layer in (*prediction.auxiliary, prediction):
        assert layer.logits.shape == (2, 3, 3)
        assert layer.boxes.shape == (2, 3, 3, 4)
        assert layer.masks.shape == (2, 3, 3, 16, 24)
        assert (layer.boxes > 0).all()
        assert (layer.boxes < 1).all()
    assert prediction.matches == []


@pytest.mark.parametrize("frozen", [False, True], ids=["free", "frozen"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_reach_all_that_is_trainable_and_nothing_else(variant, frozen):
    model = tiny_model(
        variant,
        backbone={**BACKBONE, "frozen": frozen},
        text_encoder={**TEXT_ENCODER, "frozen": frozen},
        rest=variant == "cma_plus",
    ).train()
    prediction = model(make_clip(PHRASES[:2]), make_support((0, 1)))
    assert len(prediction.matches) == (4 if variant == "cma_plus" else 0)
    total = sum((x * torch.randn_like(x)).sum() for x in outputs(prediction))
    total = total + sum(match.logits.sum() for match in prediction.matches)
    total.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name} is trainable, but no path leads through it"
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any() or name.endswith(INVARIANT), name
        else:
            assert parameter.grad is None, name
    encoders = [*model.backbone.parameters(), *model.text_encoder.parameters()]
    assert any(p.requires_grad for p in encoders) != frozen


def test_frozen_encoders_stay_in_evaluation_mode():
    model = tiny_model(backbone={**BACKBONE, "frozen": True}, dropout=0.5).train()
    assert not model.backbone.training
    assert not any(module.training for module in model.backbone.modules())
    assert model.text_encoder.training
    assert model.affinity.training
    assert not model.eval().affinity.training


def test_encoders_are_frozen_unless_told_otherwise():
    model = tiny_model(backbone={k: v for k, v in BACKBONE.items() if k != "frozen"})
    assert not any(p.requires_grad for p in model.backbone.parameters())
    assert "frozen" in TEXT_ENCODER


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_equals_its_episodes_one_by_one(variant):
    """Phrases of different lengths; in the variants that allow it, supports of different numbers."""
    model = tiny_model(variant, rest=variant == "cma_plus")
    # The ablations add one support clip to each episode, frame by frame.
    owner = (0, 1, 2) if variant in ("base", "self") else (0, 2, 2)
    query = make_clip(PHRASES, real=(60, 90))
    support = make_support(owner, real=(64, 80))
    with torch.no_grad():
        together = model(query, support)
        for b in range(3):
            alone = model(pick_clips(query, [b]), pick_support(support, b))
            pairs = list(zip(outputs(together), outputs(alone), strict=True))
            matches = zip(together.matches, alone.matches, strict=True)
            pairs += [(m.logits.sigmoid(), n.logits.sigmoid()) for m, n in matches]
            for joint, own in pairs:
                assert (joint[b : b + 1] - own).abs().max() < 1e-5 * own.abs().max()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_smallest_input(variant):
    """One frame of 32x32, where the coarsest level is one cell, one query, one word, forward and backward."""
    model = tiny_model(variant, num_queries=1, hidden_dim=64, rest=variant == "cma_plus").train()
    prediction = model(make_clip(["dax"], 1, (32, 32)), make_support((0,), 1, (32, 32)))
    assert prediction.masks.shape == (1, 1, 1, 8, 8)
    assert all(x.isfinite().all() for x in outputs(prediction))
    sum(x.sum() for x in outputs(prediction)).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("variant", VARIANTS)
def test_sizes_that_no_stride_divides(variant):
    """Test episodes come unpadded."""
    model = tiny_model(variant)
    with torch.no_grad():
        prediction = model(make_clip(size=(45, 71)), make_support(size=(45, 71)))
    assert prediction.masks.shape[-2:] == (12, 18)
    assert all(x.isfinite().all() for x in outputs(prediction))


def disturbance(model, query, plain, **arguments):
    with torch.no_grad():
        return (model(query, arguments["support"]).masks - plain).abs().max().item()


@pytest.mark.parametrize("variant", VARIANTS)
def test_who_reads_the_support(variant):
    model = tiny_model(variant)
    query, support = make_clip(), make_support()
    with torch.no_grad():
        plain = model(query, support).masks
    others = [disturbance(model, query, plain, support=s) for s in (make_support(seed=5), None)]
    assert model.uses_support == (variant != "referformer")
    if model.uses_support:
        assert min(others) > 1e-4
    else:
        assert max(others) == 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_everyone_reads_the_phrase_and_the_frames(variant):
    model = tiny_model(variant)
    query, support = make_clip(PHRASES[:1]), make_support()
    with torch.no_grad():
        plain = model(query, support).masks
        assert (model(make_clip(PHRASES[1:2]), support).masks - plain).abs().max() > 1e-4
        assert (model(make_clip(PHRASES[:1], seed=9), support).masks - plain).abs().max() > 1e-4


def test_each_switch_of_cma_plus_does_something_and_all_five_are_cma_plus():
    switches = (
        "all_support_frames",
        "mask_background",
        "pad_support_masks",
        "transform_all_levels",
        "true_first_anchors",
    )
    query, support = make_clip(frames=3, real=(60, 90)), make_support((0,), frames=3, real=(50, 80))

    def masks(variant, **options):
        with torch.no_grad():
            return tiny_model(variant, **options)(query, support).masks

    published, plus = masks("cma"), masks("cma_plus")
    for switch in switches:
        assert (masks("cma", **{switch: True}) - published).abs().max() > 1e-5, switch
        assert (masks("cma_plus", **{switch: False}) - plus).abs().max() > 1e-5, switch
    torch.testing.assert_close(masks("cma", **dict.fromkeys(switches, True)), plus)
    torch.testing.assert_close(masks("cma_plus", **dict.fromkeys(switches, False)), published)


def test_segment_chooses_one_query_for_the_whole_clip():
    model = tiny_model()
    query, support = make_clip(PHRASES, frames=3), make_support((0, 1, 2))
    with torch.no_grad():
        prediction = model(query, support)
    answer = model.segment(query, support)
    for b in range(3):
        scores = prediction.logits[b].sigmoid().mean(0).tolist()
        best = scores.index(max(scores))
        assert answer.queries[b].tolist() == [best] * 3
        assert answer.scores[b].item() == pytest.approx(scores[best])
        torch.testing.assert_close(answer.masks[b], prediction.masks[b, :, best])
        torch.testing.assert_close(answer.boxes[b], prediction.boxes[b, :, best])


@pytest.mark.parametrize(
    ("variant", "judges"),
    [(v, {}) for v in VARIANTS]
    + [("cma_plus", {"rest": True, "judge_by_match": True, "judge_by_phrase": True})],
)
@pytest.mark.parametrize("real", [None, (40, 90)], ids=["whole", "padded"])
def test_the_last_layer_alone_says_what_it_says_among_all(variant, judges, real):
    model, drawn = tiny_model(variant, num_decoder_layers=3, **judges), []
    query, support = make_clip(PHRASES[:2], real=real), make_support((0, 1))
    model.mask_head.register_forward_hook(lambda *_: drawn.append(1))
    with torch.no_grad():
        among_all = model(query, support)
        assert (len(drawn), len(among_all.auxiliary)) == (3, 2)
        alone = model(query, support, every_layer=False)
    assert (len(drawn), len(alone.auxiliary)) == (4, 0)
    for name in ("logits", "boxes", "masks"):
        assert torch.equal(getattr(alone, name), getattr(among_all, name))


@pytest.mark.parametrize("judges", [{}, {"rest": True, "judge_by_match": True, "judge_by_phrase": True}])
def test_gradients_of_the_last_layer_are_the_same_alone(judges):
    model = tiny_model(num_decoder_layers=3, **judges).train()
    model.apply(lambda module: setattr(module, "p", 0.0) if isinstance(module, torch.nn.Dropout) else None)
    found = []
    for every_layer in (True, False):
        torch.manual_seed(0)
        prediction = model(make_clip(), make_support(), every_layer=every_layer)
        total = sum((x**2).sum() for x in (prediction.logits, prediction.boxes, prediction.masks))
        parameters = [p for p in model.parameters() if p.requires_grad]
        found.append(torch.autograd.grad(total, parameters, allow_unused=True))
    assert any(gradient is not None for gradient in found[0])
    for among_all, alone in zip(*found, strict=True):
        torch.testing.assert_close(alone, among_all)


def test_segment_draws_masks_of_the_last_layer_alone():
    model, drawn = tiny_model(num_decoder_layers=3), []
    model.mask_head.register_forward_hook(lambda *_: drawn.append(1))
    model.segment(make_clip(), make_support())
    assert len(drawn) == 1


def test_segment_may_choose_frame_by_frame():
    model = tiny_model(choose_per_frame=True)
    query, support = make_clip(PHRASES, frames=3), make_support((0, 1, 2))
    with torch.no_grad():
        prediction = model(query, support)
    answer = model.segment(query, support)
    for b in range(3):
        for t in range(3):
            scores = prediction.logits[b, t].sigmoid().tolist()
            best = scores.index(max(scores))
            assert answer.queries[b, t] == best
            torch.testing.assert_close(answer.masks[b, t], prediction.masks[b, t, best])
            torch.testing.assert_close(answer.boxes[b, t], prediction.boxes[b, t, best])
        chosen = prediction.logits[b].sigmoid().amax(-1).mean()
        assert answer.scores[b].item() == pytest.approx(chosen.item())


def test_mask_head_gets_centres_in_pixels_of_the_unpadded_frame():
    model = tiny_model()
    centres, boxes = [], []
    model.mask_head.register_forward_pre_hook(lambda _, arguments: centres.append(arguments[1]))
    with torch.no_grad():
        prediction = model(make_clip(size=(64, 96), real=(40, 90)), make_support())
    boxes = [layer.boxes for layer in (*prediction.auxiliary, prediction)]
    for found, box in zip(centres, boxes, strict=True):
        torch.testing.assert_close(found, box[0, ..., :2] * torch.tensor([90.0, 40.0]))


@pytest.mark.parametrize("variant", VARIANTS)
def test_config_makes_the_same_network(variant):
    model = tiny_model(variant, backbone=MappingProxyType(BACKBONE), mask_background=True)
    config = json.loads(json.dumps(model.config))
    again = CMA(**config)
    again.load_state_dict(model.state_dict())
    assert again.config == model.config
    query, support = make_clip(), make_support()
    with torch.no_grad():
        assert torch.equal(again.eval()(query, support).masks, model(query, support).masks)
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    assert [name for name, p in again.named_parameters() if p.requires_grad] == trainable


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "cma2"}, "cma, base, self, referformer, cma_plus; got 'cma2'"),
        ({"backbone": "resnet19"}, "backbone must be one of small, resnet18, .*; got 'resnet19'"),
        ({"text_encoder": {"name": "/no/such/encoder"}}, "/no/such/encoder"),
    ],
)
def test_unknown_parts(options, message):
    with pytest.raises(UserError, match=message) as caught:
        CMA(**{"backbone": BACKBONE, "text_encoder": TEXT_ENCODER, **SIZES, **options})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("variant", ["cma", "cma_plus", "base", "self"])
def test_support_encoded_once_answers_as_support_encoded_anew(variant):
    model, support = tiny_model(variant), make_support(frames=3)
    encoded = model.encode_support(support)
    for seed, phrase in ((0, "a dax"), (5, "the red blicket on the left")):
        query = make_clip([phrase], frames=2, seed=seed)
        anew, again = model(query, support), model(query, encoded)
        for name in ("logits", "boxes", "masks"):
            assert torch.equal(getattr(anew, name), getattr(again, name))


@pytest.mark.parametrize("variant", ["cma", "cma_plus"])
def test_encoded_support_of_several_sizes_answers_as_support_encoded_anew(variant):
    support = make_support(owner=(0, 0), frames=2, size=(96, 128), real=(90, 120))
    support.sizes[1] = torch.tensor([60, 70])
    support.padding_mask[1, :, 60:] = support.padding_mask[1, :, :, 70:] = True
    support.frames.masked_fill_(support.padding_mask[:, :, None], 0.0)
    support.masks &= ~support.padding_mask
    model, query = tiny_model(variant), make_clip(frames=2)
    anew, again = model(query, support), model(query, model.encode_support(support))
    assert torch.equal(anew.masks, again.masks)
    assert torch.equal(anew.logits, again.logits)


def test_maps_of_the_backbone_serve_every_phrase():
    model, support = tiny_model(), make_support()
    maps = model.backbone(make_clip().frames)
    for phrase in ("a dax", "the wug that moves up"):
        query = make_clip([phrase])
        assert torch.equal(model(query, support).masks, model(query, support, maps).masks)


def test_encoded_support_wants_clips_of_one_size():
    model, support = tiny_model(), make_support()
    padded = make_clip(size=(128, 128), real=(64, 96))
    with pytest.raises(ValueError, match="one size"):
        model(padded, model.encode_support(support))


@pytest.mark.parametrize("frozen", [True, False])
def test_only_the_support_frame_that_is_read_is_encoded(frozen):
    """The published affinity reads the middle one; batch norm in training takes its statistics from all."""
    model = tiny_model("cma", backbone={**BACKBONE, "frozen": frozen}, dropout=0.0)
    query, support = make_clip(frames=2), make_support(frames=5)
    other = make_support(frames=5, seed=7)
    other.frames[:, 2], other.masks[:, 2] = support.frames[:, 2], support.masks[:, 2]
    assert torch.equal(model(query, support).masks, model(query, other).masks)
    assert [x.shape[1] for x in model.encode_support(support).levels[0]] == [1] * 4
    assert [x.shape[1] for x in model.train().encode_support(support).levels[0]] == [1 if frozen else 5] * 4


@pytest.mark.parametrize("switch", ["all_support_frames", "pad_support_masks"])
def test_all_support_frames_are_encoded_where_they_may_be_read(switch):
    model = tiny_model("cma", **{switch: True})
    assert [x.shape[1] for x in model.encode_support(make_support(frames=3)).levels[0]] == [3] * 4
