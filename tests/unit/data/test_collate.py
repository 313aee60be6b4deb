from __future__ import annotations

import pytest
import torch

from fsrvos.data.collate import collate
from fsrvos.structures import ClipSpec, Episode, EpisodeSpec, SupportClip


def support_clip(height, width, num_frames=5) -> SupportClip:
    masks = torch.zeros(num_frames, height, width, dtype=torch.bool)
    masks[:, : height // 2, 1:] = True
    return SupportClip(torch.randn(num_frames, 3, height, width), masks, f"support {height}x{width}")


def episode(height, width, num_frames=4, support=(), index=0) -> Episode:
    masks = torch.rand(num_frames, height, width) > 0.9
    masks[0] = False
    spec = EpisodeSpec(index, "dog", ClipSpec("v", "1", "0", "a dog", ("0",) * num_frames), ())
    return Episode(
        spec=spec,
        frames=torch.randn(num_frames, 3, height, width),
        masks=masks,
        is_visible=masks.flatten(1).any(1),
        expression=f"dog {index}",
        support=list(support),
        native_size=(2 * height, 2 * width),
    )


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_frames_are_padded_at_the_bottom_and_right(batch_size):
    sizes = [(20, 70), (33, 40), (32, 64)][:batch_size]
    episodes = [episode(*size, index=index) for index, size in enumerate(sizes)]
    batch = collate(episodes)
    height = {1: 32, 2: 64, 3: 64}[batch_size]
    assert batch.query.frames.shape == (batch_size, 4, 3, height, 96)
    assert batch.query.padding_mask.shape == batch.targets.masks.shape == (batch_size, 4, height, 96)
    assert batch.query.sizes.tolist() == [list(size) for size in sizes]
    assert batch.native_sizes == [(2 * h, 2 * w) for h, w in sizes]
    assert batch.query.expressions == [f"dog {index}" for index in range(batch_size)]
    assert [spec.index for spec in batch.specs] == list(range(batch_size))
    assert batch.support is None
    assert batch.query.tokens is None
    for row, ((h, w), one) in enumerate(zip(sizes, episodes, strict=True)):
        assert torch.equal(batch.query.frames[row, :, :, :h, :w], one.frames)
        assert torch.equal(batch.targets.masks[row, :, :h, :w], one.masks)
        padded = torch.ones(4, height, 96, dtype=torch.bool)
        padded[:, :h, :w] = False
        assert torch.equal(batch.query.padding_mask[row], padded)
        assert not batch.query.frames[row].permute(0, 2, 3, 1)[padded].any()
        assert not batch.targets.masks[row][padded].any()
        assert torch.equal(batch.targets.is_visible[row], one.is_visible)
        assert not batch.targets.is_visible[row, 0]


@pytest.mark.parametrize(("multiple", "expected"), [(1, (33, 70)), (8, (40, 72)), (32, (64, 96))])
def test_the_multiple(multiple, expected):
    batch = collate([episode(33, 41), episode(20, 70)], pad_to_multiple_of=multiple)
    assert batch.query.frames.shape[-2:] == expected


def test_boxes_are_the_extent_over_the_unpadded_size():
    one = episode(20, 40)
    one.masks.zero_()
    one.masks[1, 4:9, 10:31] = True
    one.masks[1, 6, 35] = True
    one.masks[2, 7, 3] = True
    one.masks[3] = True
    boxes = collate([one, episode(64, 64)]).targets.boxes
    assert boxes.shape == (2, 4, 4)
    expected = [
        [0, 0, 0, 0],
        [(10 + 35) / 2 / 40, (4 + 8) / 2 / 20, (35 - 10) / 40, (8 - 4) / 20],
        [3 / 40, 7 / 20, 0, 0],
        [39 / 2 / 40, 19 / 2 / 20, 39 / 40, 19 / 20],
    ]
    assert torch.allclose(boxes[0], torch.tensor(expected))


def test_ragged_support_is_listed_with_its_owners():
    episodes = [
        episode(32, 32, support=[support_clip(20, 30), support_clip(40, 10, num_frames=3)], index=0),
        episode(32, 32, index=1),
        episode(32, 32, support=[support_clip(33, 64, num_frames=2)], index=2),
    ]
    support = collate(episodes).support
    clips = [clip for one in episodes for clip in one.support]
    assert support.owner.tolist() == [0, 0, 2]
    assert support.expressions == [clip.expression for clip in clips]
    assert support.frames.shape == (3, 5, 3, 64, 64)
    assert support.masks.shape == support.padding_mask.shape == (3, 5, 64, 64)
    assert support.sizes.tolist() == [[20, 30], [40, 10], [33, 64]]
    for row, clip in enumerate(clips):
        length, _, height, width = clip.frames.shape
        inside = torch.zeros(5, 64, 64, dtype=torch.bool)
        inside[:length, :height, :width] = True
        assert torch.equal(~support.padding_mask[row], inside)
        assert torch.equal(support.frames[row, :length, :, :height, :width], clip.frames)
        assert torch.equal(support.masks[row, :length, :height, :width], clip.masks)
        assert not support.masks[row][~inside].any()
        assert not support.frames[row].permute(0, 2, 3, 1)[~inside].any()


def test_every_support_mask_of_a_batch_is_kept():
    episodes = [episode(32, 32, support=[support_clip(32, 32)], index=index) for index in range(3)]
    masks = collate(episodes).support.masks
    assert masks.flatten(1).any(1).tolist() == [True, True, True]


def test_query_clips_of_two_lengths_are_refused():
    with pytest.raises(ValueError, match=r"one number of frames, got \[4, 5\]"):
        collate([episode(32, 32), episode(32, 32, num_frames=5)])


def test_a_batch_moves_as_one():
    batch = collate([episode(32, 32, support=[support_clip(20, 30)])]).to(torch.float64)
    assert batch.query.frames.dtype == torch.float64
    assert batch.support.frames.dtype == torch.float64
    assert batch.specs[0].category == "dog"


def test_rivals_are_padded_as_the_objects_are():
    episodes = [episode(20, 70), episode(33, 40)]
    for one in episodes:
        one.rivals = torch.zeros(2, *one.masks.shape, dtype=torch.bool)
        one.rivals[0, 1, 4:15, 10:31] = True
    episodes[0].said = [("a dog", 0)]
    episodes[1].said = [("the left dog", 0), ("the right dog", 1), ("a dog on the right", 1)]
    rivals = collate(episodes).targets.rivals
    assert rivals.masks.shape == (2, 4, 2, 64, 96)
    assert rivals.boxes.shape == (2, 4, 2, 4)
    assert rivals.phrases == ["a dog", "the left dog", "the right dog", "a dog on the right"]
    assert rivals.owner.tolist() == [0, 1, 1, 1]
    assert rivals.about.tolist() == [0, 0, 1, 1]
    for row, one in enumerate(episodes):
        h, w = one.masks.shape[-2:]
        assert torch.equal(rivals.masks[row, :, :, :h, :w].transpose(0, 1), one.rivals)
        assert rivals.masks[row].sum() == 11 * 21
        torch.testing.assert_close(rivals.boxes[row, 1, 0], torch.tensor([20 / w, 9 / h, 20 / w, 10 / h]))
        assert (rivals.boxes[row, :, 1] == 0).all()
    assert collate([episode(20, 70)]).targets.rivals is None
