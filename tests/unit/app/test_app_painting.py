"""From what the painting tool shows and gives back to annotated frames of a support."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fsrvos.app.easel import LONG_SIDE, editor_value, painted_mask, shown_size
from fsrvos.app.limits import Limits
from fsrvos.app.painting import Painting
from fsrvos.app.ready_mask import read_mask
from fsrvos.data.support_sources import read_support
from fsrvos.errors import UserError
from fsrvos.video import VideoWriter


def block(height, width, rows, columns):
    mask = np.zeros((height, width), bool)
    mask[rows, columns] = True
    return mask


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 300), st.integers(20, 300), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.3, 0.5))
def test_a_mask_comes_back_as_it_was_shown(height, width, top, left, side):
    rows = slice(int(top * height), int((top + side) * height))
    mask = block(height, width, rows, slice(int(left * width), int((left + side) * width)))
    value = editor_value(np.zeros((height, width, 3), np.uint8), mask)
    assert value["background"].shape[:2] == value["layers"][0].shape[:2] == shown_size(height, width)
    assert max(value["background"].shape) == LONG_SIDE
    again = painted_mask(value, (height, width))
    np.testing.assert_array_equal(again, mask)


def test_frames_larger_than_the_tool_keep_their_masks_to_a_pixel():
    mask = block(900, 1600, slice(200, 500), slice(320, 900))
    again = painted_mask(editor_value(np.zeros((900, 1600, 3), np.uint8), mask), (900, 1600))
    wrong = np.argwhere(again != mask)
    assert len(wrong) < 0.01 * mask.sum()


def test_only_what_is_painted_strongly_counts():
    layer = np.zeros((8, 8, 4), np.uint8)
    layer[:4, :4] = (255, 120, 0, 153)  # a stroke
    layer[4:, 4:] = (255, 120, 0, 40)  # the soft edge of one
    np.testing.assert_array_equal(
        painted_mask({"layers": [layer]}, (8, 8)), block(8, 8, slice(0, 4), slice(0, 4))
    )


@pytest.mark.parametrize("value", [None, {"layers": []}, {"layers": [np.zeros((8, 8, 4), np.uint8)]}])
def test_no_paint_is_no_mask(value):
    assert painted_mask(value, (8, 8)) is None


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name, size in (("a", (20, 30)), ("b", (40, 24))):
        Image.fromarray(rng.integers(0, 255, (*size, 3), np.uint8)).save(tmp_path / f"{name}.png")
    return [tmp_path / "a.png", tmp_path / "b.png"]


def filled(paths):
    painting = Painting()
    painting.take_uploads(paths, Limits())
    return painting


def test_pages_turn_and_keep_their_paint(pictures):
    painting = filled(pictures)
    first, second = block(20, 30, slice(0, 10), slice(5, 9)), block(40, 24, slice(8, 16), slice(0, 12))
    painting.keep(editor_value(painting.frame, first), painting.mark)
    painting.turn(1)
    assert (painting.position, painting.size, painting.painted) == (2, (40, 24), [1])
    painting.keep(editor_value(painting.frame, second), painting.mark)
    painting.turn(1)
    assert painting.position == 1, "after the last comes the first"
    np.testing.assert_array_equal(painted_mask(painting.easel(), painting.size), first)
    painting.keep({"background": None, "layers": []}, painting.mark)
    assert painting.painted == [1, 2], "the tool had not shown the frame yet"
    painting.keep({**editor_value(painting.frame), "layers": []}, painting.mark)
    assert painting.painted == [2], "what was wiped off is gone"


def test_paint_goes_to_the_frame_that_was_shown_or_nowhere(pictures):
    painting = filled(pictures)
    mask, mark = block(20, 30, slice(0, 10), slice(5, 9)), painting.mark
    value = editor_value(painting.frame, mask)
    painting.turn(1)
    assert painting.mark != mark
    painting.keep(value, mark)
    assert painting.painted == [1]
    np.testing.assert_array_equal(next(iter(painting.masks.values())), mask)
    painting.keep(editor_value(painting.frame), mark)
    painting.keep(value, painting.mark)
    assert painting.painted == [1], "for a moment the tool shows the frame before the one it was given"
    painting.take_uploads(pictures[1:], Limits())
    for gone in (mark, "", None, "../0", painting.mark):
        painting.keep(value, gone)
    assert painting.painted == []


def test_paint_finds_its_frame_among_frames_that_differ_little(tmp_path):
    """A still scene of which a fortieth changes, at the noise of a picture that a browser gives back."""
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 200, (60, 80, 3), np.uint8)
    for number in range(3):
        frame = scene.copy()
        frame[:6, 20 * number : 20 * number + 20] += 30
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    painting = filled(sorted(tmp_path.glob("*.png")))
    marks, values = [], []
    for number in range(3):
        marks.append(painting.mark)
        values.append(editor_value(painting.frame, block(60, 80, slice(0, 20), slice(0, 10 + number))))
        painting.turn(1)
    for mark in marks:
        for number, value in enumerate(values):
            noise = rng.integers(-2, 3, value["background"].shape)
            noisy = np.clip(value["background"] + noise, 0, 255).astype(np.uint8)
            painting.keep({**value, "background": noisy}, mark)
            assert painting.painted == [number + 1]
            painting.masks.clear()


def test_frames_that_look_the_same_keep_their_own_paint(tmp_path):
    with VideoWriter(tmp_path / "still.mp4", (32, 48), 10) as writer:
        for _ in range(3):
            writer.write(np.full((32, 48, 3), 90, np.uint8))
    painting = filled([tmp_path / "still.mp4"])
    painting.turn(1)
    painting.keep(editor_value(painting.frame, block(32, 48, slice(0, 9), slice(0, 9))), painting.mark)
    assert painting.painted == [2]


def test_what_is_painted_is_a_support(pictures):
    painting = filled(pictures)
    with pytest.raises(UserError, match="nothing is painted in step 1"):
        painting.sources()
    for _ in pictures:
        painting.put(block(*painting.size, slice(4, 12), slice(4, 12)))
        painting.turn(1)
    clips = read_support(painting.sources(), "a dog")
    assert [tuple(clip.frames.shape) for clip in clips] == [(1, 3, 20, 30), (1, 3, 40, 24)]
    assert all(clip.masks.sum() == 64 for clip in clips)
    pixels = np.asarray(Image.open(pictures[1]))
    np.testing.assert_array_equal(clips[1].frames[0].permute(1, 2, 0).numpy(), pixels)


def test_more_files_leave_the_paint_and_fewer_take_it(pictures):
    painting = filled(pictures[:1])
    painting.put(block(20, 30, slice(0, 9), slice(0, 9)))
    painting.take_uploads(pictures, Limits())
    assert painting.painted == [1]
    with pytest.raises(UserError, match="at most 1 frames"):
        painting.take_uploads(pictures, Limits(max_support=1))
    assert (painting.painted, len(painting.order)) == ([1], 2)
    painting.take_uploads(pictures[1:], Limits())
    assert (painting.painted, painting.position) == ([], 1)
    painting.take_uploads([], Limits())
    assert (painting.current, painting.mark) == (None, "")


def test_a_copy_of_a_file_is_that_file(pictures, tmp_path):
    painting = filled(pictures)
    painting.turn(1)
    painting.put(block(40, 24, slice(0, 9), slice(0, 9)))
    (tmp_path / "copy.png").write_bytes(pictures[1].read_bytes())
    painting.take_uploads([tmp_path / "copy.png", pictures[1]], Limits())
    assert (painting.position, painting.painted, len(painting.order)) == (1, [1], 1)


def test_nothing_uploaded_says_so():
    with pytest.raises(UserError, match="step 1 has no picture yet"):
        Painting().sources()


def save_mask(path, values, mode="L"):
    Image.fromarray(np.asarray(values, np.uint8)).convert(mode).save(path)
    return path


def test_a_ready_mask(tmp_path):
    values = np.zeros((20, 30))
    values[3:9, 4:8] = 255
    np.testing.assert_array_equal(read_mask(save_mask(tmp_path / "m.png", values), (20, 30)), values > 0)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.ones((10, 30)), "mask.png: is 30x10, but the frame is 30x20"),
        (np.zeros((20, 30)), "mask.png: the mask is empty"),
        (np.repeat(np.arange(20)[:, None] % 3, 30, 1), "mask.png: holds the objects"),
        (np.arange(600).reshape(20, 30) % 256, "mask.png: "),
    ],
)
def test_masks_that_are_none(tmp_path, values, says):
    with pytest.raises(UserError) as told:
        read_mask(save_mask(tmp_path / "mask.png", values), (20, 30))
    assert str(told.value).startswith(says)
    assert str(tmp_path) not in str(told.value)
