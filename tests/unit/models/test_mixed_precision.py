"""bfloat16 where it is harmless: answers stay close and float32, and coordinates in pixels are never rounded."""

import pytest
import torch
from tiny import PHRASES, make_clip, make_support, tiny_model

from fsrvos.errors import UserError
from fsrvos.models.affinity import SupportMemory, build_affinity
from fsrvos.models.features import Phrase, support_transform
from fsrvos.models.mask_head import DynamicMaskHead
from fsrvos.models.phrase_judge import PhraseJudge
from fsrvos.ops.precision import PRECISIONS, computing
from fsrvos.predictor_checks import checked_precision


@pytest.mark.parametrize(
    ("variant", "options"),
    [
        ("cma", {}),
        ("referformer", {}),
        ("cma_plus", {"rest": True, "judge_by_match": True, "judge_by_phrase": True}),
        ("cma", {"backbone": {"name": "resnet18", "pretrained": False}}),
    ],
)
def test_answers_are_close_and_float32(variant, options):
    model = tiny_model(variant, **options)
    given = make_clip(PHRASES[:2], frames=3), make_support((0, 1), frames=3)
    with torch.no_grad():
        exact = model(*given)
        with computing("bf16-mixed", "cpu"):
            rounded = model(*given)
    for name in ("logits", "boxes", "masks"):
        one, other = getattr(exact, name), getattr(rounded, name)
        assert other.dtype == torch.float32
        assert not torch.equal(one, other), name  # else nothing was computed in bfloat16
        assert (one - other).abs().mean() < 0.05 * one.abs().mean().clamp(min=one.std()), name


def test_a_name_that_is_none_changes_nothing():
    model = tiny_model("cma")
    with torch.no_grad():
        exact = model(make_clip(), make_support())
        with computing("32-true", "cpu"):
            assert torch.equal(model(make_clip(), make_support()).masks, exact.masks)


def test_coordinates_in_pixels_are_not_rounded():
    """Far from the centre a step of one cell is below what bfloat16 tells apart."""
    head, states = DynamicMaskHead(8, 4, 4), torch.randn(1, 2, 8)
    centres = torch.tensor([[[1200.0, 700.0], [3.0, 2.0]]])
    nothing = torch.zeros(1, 4, 20, 30)
    with torch.no_grad():
        exact = head(states, centres, nothing)
        with computing("bf16-mixed", "cpu"):
            assert torch.equal(head(states, centres, nothing), exact)


def test_what_is_measured_on_masks_is_not_rounded():
    judge, words = PhraseJudge(8), torch.randn(1, 4, 8)
    phrase = Phrase(words, torch.zeros_like(words), torch.zeros(1, 4, dtype=torch.bool), words.mean(1))
    seen = torch.rand(1, 2, 3, 4, 6), torch.rand(1, 2, 3, 4), torch.randn(1, 2, 3, 16, 24)
    padding = torch.zeros(1, 2, 4, 6, dtype=torch.bool)
    with computing("bf16-mixed", "cpu"):
        rounded = judge.fit(*seen, padding, phrase)
    assert torch.equal(rounded, judge.fit(*seen, padding, phrase))


def test_a_sure_match_is_finite_and_not_rounded():
    """In bfloat16 a probability above 0.998 would be 1, and its logit infinite."""
    affinity = build_affinity("cma_plus", 16, 0.0, all_support_frames=True, mask_background=True, rest=True)
    related = torch.randn(1, 6, 8)
    memory = SupportMemory(
        related * 20,
        torch.randn(1, 6, 8),
        torch.ones(1, 6, dtype=torch.bool),
        torch.ones(1, dtype=torch.int64),
    )
    with torch.no_grad():
        _, exact = affinity._match(related, memory)
        with computing("bf16-mixed", "cpu"):
            _, found = affinity._match(related, memory)
    assert exact.max() > 8
    assert torch.equal(found, exact)


def test_support_features_are_compressed_in_float32():
    x = torch.tensor([-300.0, -3.0, 0.0, 1e-3, 2.0, 300.0]).bfloat16()
    torch.testing.assert_close(support_transform(x), support_transform(x.float()), rtol=0, atol=0)
    assert support_transform(x).isfinite().all()


def test_gradients_are_close_and_float32():
    model = tiny_model("cma", dropout=0.0).train()
    found = []
    for precision in ("32-true", "bf16-mixed"):
        model.zero_grad()
        with computing(precision, "cpu"):
            said = model(make_clip(), make_support())
            loss = sum(x.square().mean() for x in (said.logits, said.boxes, said.masks))
        loss.backward()
        found.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    exact, rounded = found
    assert exact.keys() == rounded.keys()
    assert all(gradient.dtype == torch.float32 for gradient in rounded.values())
    # Further down they pass ReLUs and sampling points, which round to another side in a network of random weights.
    for name in ("mask_head.controller", "class_heads.1", "transformer.box_heads.1"):
        one, other = (
            torch.cat([gradient.flatten() for key, gradient in some.items() if key.startswith(name)])
            for some in found
        )
        assert torch.cosine_similarity(one, other, dim=0) > 0.99, name


def test_precisions_are_checked():
    assert [checked_precision(name, "cuda") for name in PRECISIONS] == list(PRECISIONS)
    with pytest.raises(UserError, match="precision must be one of 32-true, bf16-mixed, 16-mixed; got 'bf16'"):
        checked_precision("bf16", "cpu")
    with pytest.raises(UserError, match="needs a GPU; on a CPU say precision=bf16-mixed"):
        checked_precision("16-mixed", "cpu")
