"""The cross-modal affinity against attention with its softmax written out, and what it must not read."""

import math

import pytest
import torch
import torch.nn.functional as F
from tiny import make_support, randomised

from fsrvos.errors import UserError
from fsrvos.models.affinity import (
    AblatedAffinity,
    CrossModalAffinity,
)
from fsrvos.models.foreground import SupportLevel, foreground

B, T, S, C, H, W = 2, 3, 3, 8, 3, 4
SWITCHES = {"all_support_frames": True, "mask_background": True}


def query_level(batch=B, seed=0):
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(batch, T, C, H, W, generator=generator, dtype=torch.float64)
    return query, torch.zeros(batch, T, H, W, dtype=torch.bool)


def support_level(owner=(0, 1), frames=S, size=(H, W), seed=1):
    generator = torch.Generator().manual_seed(seed)
    is_object = torch.rand(len(owner), frames, *size, generator=generator) < 0.5
    is_object[:, :, 0, 0] = True
    features = torch.randn(len(owner), frames, C, *size, generator=generator, dtype=torch.float64)
    return SupportLevel(features * is_object[:, :, None], is_object, torch.tensor(owner))


def tokens(maps):
    """(n, C, h, w) -> (n*h*w, C)."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def conv(layer, maps):
    return tokens(F.conv2d(maps, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2))


def attend(affinity, asked, keys, values):
    """LayerNorm(asked + softmax(asked keys / sqrt(C/2)) values), one row at a time."""
    rows = []
    for row in asked:
        scores = torch.tensor([float(row @ key) / math.sqrt(C // 2) for key in keys], dtype=torch.float64)
        weights = scores.exp() / scores.exp().sum()
        rows.append(row + (weights[:, None] * values).sum(0))
    rows = torch.stack(rows)
    mean, deviation = rows.mean(-1, keepdim=True), rows.var(-1, unbiased=False, keepdim=True)
    return (rows - mean) / (deviation + 1e-5).sqrt() * affinity.norm.weight + affinity.norm.bias


def by_hand(affinity, query, clips, whole_memory=False):
    """One episode of model.md section 5: query (T, C, h, w), support features [(S, C, h, w)], their masks."""
    own = affinity.of_query
    middle = query[T // 2 : T // 2 + 1]
    related = attend(affinity, conv(own.query, query), conv(own.key, middle), conv(own.value, middle))
    if not whole_memory:
        features, _ = clips[0]
        clips = [(features[len(features) // 2][None], torch.ones(1, *features.shape[-2:], dtype=torch.bool))]
    keys, values = (
        torch.cat([conv(layer, features)[is_object.flatten()] for features, is_object in clips])
        for layer in (affinity.of_support.key, affinity.of_support.value)
    )
    found = attend(affinity, related, keys, values)
    joined = torch.cat((found, conv(affinity.keep, query)), -1)
    return joined.reshape(T, H, W, C).permute(0, 3, 1, 2), related, keys


def test_published_equals_the_text():
    affinity = randomised(CrossModalAffinity(C))
    (query, padding), support = query_level(), support_level()
    with torch.no_grad():
        found, match = affinity(query, padding, support)
        assert match is None
        for b in range(B):
            expected, _, _ = by_hand(affinity, query[b], [(support.features[b], support.is_object[b])])
            torch.testing.assert_close(found[b], expected)


def test_all_frames_and_no_background_equal_the_text():
    affinity = randomised(CrossModalAffinity(C, **SWITCHES))
    (query, padding), support = query_level(), support_level((0, 0, 1))
    with torch.no_grad():
        found, _ = affinity(query, padding, support)
        clips = list(zip(support.features, support.is_object, strict=True))
        for b, own in enumerate((clips[:2], clips[2:])):
            expected, _, _ = by_hand(affinity, query[b], own, whole_memory=True)
            torch.testing.assert_close(found[b], expected)


def changes(affinity, query, padding, support, other_query=None, other_support=None):
    with torch.no_grad():
        plain, _ = affinity(query, padding, support)
        disturbed, _ = affinity(
            query if other_query is None else other_query,
            padding,
            support if other_support is None else other_support,
        )
    return (plain - disturbed).abs().amax((2, 3, 4)) > 1e-9


@pytest.mark.parametrize("frame", range(S))
@pytest.mark.parametrize("all_support_frames", [False, True])
def test_support_frames_read(frame, all_support_frames):
    """The published network reads the middle one alone."""
    affinity = randomised(CrossModalAffinity(C, all_support_frames=all_support_frames))
    (query, padding), support = query_level(), support_level()
    features = support.features.clone()
    features[:, frame] += 1
    other = SupportLevel(features, support.is_object, support.owner)
    changed = changes(affinity, query, padding, support, other_support=other)
    assert changed.all() if all_support_frames or frame == S // 2 else not changed.any()


@pytest.mark.parametrize("all_support_frames", [False, True])
def test_second_support_clip_is_read_by_choice(all_support_frames):
    affinity = randomised(CrossModalAffinity(C, all_support_frames=all_support_frames))
    (query, padding), support = query_level(1), support_level((0, 0))
    first = SupportLevel(support.features[:1], support.is_object[:1], support.owner[:1])
    assert changes(affinity, query, padding, support, other_support=first).all() == all_support_frames


@pytest.mark.parametrize("frame", range(T))
def test_only_the_middle_query_frame_reaches_the_others(frame):
    affinity = randomised(CrossModalAffinity(C))
    (query, padding), support = query_level(1), support_level((0,))
    other = query.clone()
    other[:, frame] += torch.randn(C, H, W, dtype=torch.float64)
    changed = changes(affinity, query, padding, support, other_query=other)[0]
    assert changed.tolist() == [True] * T if frame == T // 2 else [t == frame for t in range(T)]


@pytest.mark.parametrize("mask_background", [False, True])
def test_background_of_the_support(mask_background):
    """Its keys and values are made where the mask is empty, three cells away from the object."""
    affinity = randomised(CrossModalAffinity(C, mask_background=mask_background))
    query, padding = query_level(1)
    is_object = torch.zeros(1, S, 5, 5, dtype=torch.bool)
    is_object[..., 0, 0] = True
    features = torch.randn(1, S, C, 5, 5, dtype=torch.float64)
    other = features.clone()
    other[..., 3:, 3:] += 5
    levels = [SupportLevel(f, is_object, torch.tensor([0])) for f in (features, other)]
    changed = changes(affinity, query, padding, levels[0], other_support=levels[1])
    assert changed.all() != mask_background
    assert changed.any() != mask_background


def test_padding_of_the_query_is_no_memory_with_mask_background():
    affinity = randomised(CrossModalAffinity(C, **SWITCHES))
    (query, padding), support = query_level(1), support_level((0,))
    padding[..., 2:] = True
    other = query.clone()
    other[..., 3] += 5
    with torch.no_grad():
        plain, disturbed = (affinity(x, padding, support)[0] for x in (query, other))
    # Column 3 is padded; column 1 and left of it are out of the 3x3 convolutions' reach.
    torch.testing.assert_close(plain[..., :2], disturbed[..., :2])
    assert not torch.allclose(plain[..., 3], disturbed[..., 3])


@pytest.mark.parametrize("rest", [False, True])
def test_no_support_and_an_empty_mask_are_nothing(rest):
    affinity = randomised(CrossModalAffinity(C, **SWITCHES, rest=rest))
    (query, padding), support = query_level(), support_level()
    empty = SupportLevel(
        torch.zeros_like(support.features), torch.zeros_like(support.is_object), support.owner
    )
    with torch.no_grad():
        without, match = affinity(query, padding, None)
        blank, blank_match = affinity(query, padding, empty)
    assert without.isfinite().all()
    torch.testing.assert_close(without, blank)
    assert not torch.allclose(without, affinity(query, padding, support)[0])
    if rest:
        torch.testing.assert_close(match.logits, blank_match.logits)
        assert (match.logits.sigmoid() < 1e-5).all()
        assert not match.prototypes.any()
        assert not blank_match.prototypes.any()


@pytest.mark.parametrize("support_is_there", [False, True])
def test_published_stands_an_empty_mask(support_is_there):
    affinity = randomised(CrossModalAffinity(C))
    query, padding = query_level()
    nothing = torch.zeros(B, S, C, H, W, dtype=torch.float64)
    empty = SupportLevel(nothing, nothing[:, :, 0].bool(), torch.arange(B))
    found, _ = affinity(query, padding, empty if support_is_there else None)
    assert found.isfinite().all()


def test_rest_equals_a_softmax_with_a_null_key_for_every_frame():
    affinity = randomised(CrossModalAffinity(C, **SWITCHES, rest=True))
    (query, padding), support = query_level(1), support_level((0, 0))
    clips = list(zip(support.features, support.is_object, strict=True))
    with torch.no_grad():
        found, match = affinity(query, padding, support)
        _, related, keys = by_hand(affinity, query[0], clips, whole_memory=True)
        torch.testing.assert_close(match.asked[0].flatten(0, 2), related)
        torch.testing.assert_close(match.prototypes[0], keys.mean(0))
        values = torch.cat([conv(affinity.of_support.value, f)[m.flatten()] for f, m in clips])
        frames = 2 * S
        null = torch.zeros(frames, C // 2, dtype=torch.float64)
        keys = torch.cat((affinity.rest.expand(frames, -1), keys))
        expected = attend(affinity, related, keys, torch.cat((null, values)))
        torch.testing.assert_close(found[0, :, : C // 2].permute(0, 2, 3, 1).reshape(-1, C // 2), expected)
        scores = related @ keys.T / math.sqrt(C // 2)
        odds = scores[:, frames:].exp().sum(-1) / scores[:, :frames].exp().sum(-1)
        torch.testing.assert_close(match.logits[0].flatten(), odds.log())


def test_frames_average_where_attention_may_rest():
    """The same frame again, in its clip or as another clip, and frames without the object change nothing."""
    affinity = randomised(CrossModalAffinity(C, 0.0, **SWITCHES, rest=True)).double().eval()
    (query, padding), one = query_level(), support_level(frames=1)

    def repeated(clips, frames, empty=0):
        features, is_object = (
            x.repeat_interleave(clips, 0).repeat_interleave(frames, 1) for x in (one.features, one.is_object)
        )
        nothing = [torch.zeros_like(x[:, :1]).expand(-1, empty, *x.shape[2:]) for x in (features, is_object)]
        joined = (torch.cat(pair, 1) for pair in zip((features, is_object), nothing, strict=True))
        return SupportLevel(*joined, one.owner.repeat_interleave(clips))

    with torch.no_grad():
        found, match = affinity(query, padding, one)
        for more in (repeated(1, 3), repeated(3, 1), repeated(2, 2), repeated(1, 1, empty=2)):
            same, same_match = affinity(query, padding, more)
            torch.testing.assert_close(same, found)
            torch.testing.assert_close(same_match.logits, match.logits)


@pytest.mark.parametrize("rest", [False, True])
@pytest.mark.parametrize("switches", [{}, SWITCHES], ids=["published", "plus"])
def test_ragged_supports_equal_each_episode_alone(rest, switches):
    """Episode 0 has one clip, 1 none, 2 three."""
    affinity = randomised(CrossModalAffinity(C, **switches, rest=rest))
    owner = torch.tensor([0, 2, 2, 2])
    (query, padding), support = query_level(3), support_level(owner.tolist())
    with torch.no_grad():
        found, match = affinity(query, padding, support)
        for b in range(3):
            mine = owner == b
            level = SupportLevel(support.features[mine], support.is_object[mine], owner[mine] * 0)
            alone, own_match = affinity(query[b : b + 1], padding[b : b + 1], level if mine.any() else None)
            torch.testing.assert_close(found[b], alone[0])
            if rest:
                torch.testing.assert_close(match.logits[b], own_match.logits[0])
                torch.testing.assert_close(match.prototypes[b], own_match.prototypes[0])


def test_base_adds_frame_by_frame():
    affinity = AblatedAffinity(C, 0.1, "base").double().eval()
    (query, padding), support = query_level(), support_level(frames=T + 1)
    found, match = affinity(query, padding, support)
    assert match is None
    torch.testing.assert_close(found, query + support.features[:, :T])
    torch.testing.assert_close(affinity(query, padding, None)[0], query)


def test_self_looks_at_its_own_middle_frame():
    affinity = randomised(AblatedAffinity(C, 0.1, "self"))
    (query, padding), support = query_level(), support_level(frames=T + 1)
    own = affinity
    with torch.no_grad():
        found, _ = affinity(query, padding, support)
        for b in range(B):
            _, related, _ = by_hand(own, query[b], [(support.features[b], support.is_object[b])])
            kept = conv(own.keep, support.features[b, :T])
            expected = torch.cat((related, kept), -1).reshape(T, H, W, C).permute(0, 3, 1, 2)
            torch.testing.assert_close(found[b], expected)


@pytest.mark.parametrize("kind", ["base", "self"])
def test_ablations_say_how_many_frames_and_clips_they_need(kind):
    affinity = AblatedAffinity(C, 0.1, kind).double()
    query, padding = query_level()
    with pytest.raises(UserError, match=f"at least {T} support frames, got {T - 1}"):
        affinity(query, padding, support_level(frames=T - 1))
    with pytest.raises(UserError, match="one support clip an episode"):
        affinity(query, padding, support_level((0, 0, 1), frames=T))


def test_unknown_ablation():
    with pytest.raises(ValueError, match="base or self, got 'cma'"):
        AblatedAffinity(C, 0.1, "cma")


def stretched(maps, h, w):
    """Bilinear with align_corners=True: corner cells on corner cells."""

    def weights(size, small):
        matrix = torch.zeros(size, small)
        for i in range(size):
            x = i * (small - 1) / (size - 1) if size > 1 else 0.0
            low = min(int(x), small - 1)
            matrix[i, low] += 1 - (x - low)
            matrix[i, min(low + 1, small - 1)] += x - low
        return matrix

    return weights(h, maps.shape[-2]) @ maps @ weights(w, maps.shape[-1]).T


def test_foreground_stretches_the_unpadded_masks():
    support = make_support((0, 1), size=(64, 96), real=(60, 90))
    features = torch.randn(2, 2, C, 8, 12)
    level = foreground(features, support, (7, 9))
    mask = stretched(support.masks[..., :60, :90].float(), 7, 9)
    torch.testing.assert_close(level.features, stretched(features, 7, 9) * mask[:, :, None])
    assert torch.equal(level.is_object, mask > 0)
    assert torch.equal(level.owner, support.owner)


def test_padded_masks_stay_on_the_supports_grid():
    support = make_support((0, 1), size=(64, 96), real=(60, 90))
    features = torch.randn(2, 2, C, 8, 12)
    level = foreground(features, support, (7, 9), pad_masks=True)
    coverage = support.masks.float().reshape(2, 2, 8, 8, 12, 8).mean((3, 5))
    torch.testing.assert_close(level.features, features * coverage[:, :, None])
    assert torch.equal(level.is_object, coverage > 0)
    assert level.is_object.any()


def test_an_object_smaller_than_a_cell_is_not_lost():
    support = make_support((0,), frames=1, size=(64, 64))
    support.masks[:] = False
    support.masks[0, 0, 17, 42] = True
    level = foreground(torch.ones(1, 1, C, 1, 1), support, (1, 1), pad_masks=True)
    assert level.is_object.all()
    assert (level.features > 0).all()


# Attention, for pictures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rest", [False, True])
@pytest.mark.parametrize("switches", [{}, SWITCHES])
def test_attention_is_what_forward_weighs_its_values_with(rest, switches):
    affinity = randomised(CrossModalAffinity(C, 0.0, rest=rest, **switches)).double().eval()
    query, padding = query_level()
    support = support_level()
    weights = affinity.attention(query, padding, support)
    frames = S if switches else 1
    assert weights.shape == (B, T, H, W, frames, H, W)
    if not switches:
        support = support.middle_of_first_clips()
    with torch.no_grad():
        values = affinity.of_support.value(support.features.flatten(0, 1)).unflatten(0, (B, frames))
        brought = torch.einsum("bthwsij,bscij->bthwc", weights, values)
        related = affinity._attend(
            affinity.of_query.query(query.flatten(0, 1)).unflatten(0, (B, T)).movedim(2, -1).flatten(1, 3),
            affinity._own_memory(query, padding),
        ).unflatten(1, (T, H, W))
        expected, match = affinity(query, padding, support)
    found = affinity.norm(related + brought).movedim(-1, 2)
    torch.testing.assert_close(found, expected[:, :, : C // 2])
    total = weights.flatten(4).sum(-1)
    if rest:
        torch.testing.assert_close(torch.logit(total, eps=1e-6), match.logits)
    else:
        torch.testing.assert_close(total, torch.ones_like(total))


def test_attention_of_an_empty_mask_is_none():
    affinity = randomised(CrossModalAffinity(C, 0.0, mask_background=True)).double().eval()
    support = support_level()
    support.is_object[0] = False
    weights = affinity.attention(*query_level(), support)
    assert (weights[0] == 0).all()
    assert (weights[1].flatten(3).sum(-1) > 0.999).all()


def test_attention_is_over_one_clip_an_episode():
    affinity = CrossModalAffinity(C).double()
    with pytest.raises(ValueError, match="one support clip an episode"):
        affinity.attention(*query_level(), support_level(owner=(0, 0, 1)))
