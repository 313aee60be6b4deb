"""What the published recipe makes of frames at their published size, 480x854 (protocol.md section 2)."""

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from zoo import Film, one, rectangle, write

from fsrvos.cli.common import config_directory
from fsrvos.data.clips import AnnotatedClip
from fsrvos.data.draws import generator
from fsrvos.structures import Batch

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
    pytest.mark.filterwarnings("ignore:.*fewer than two videos.*"),
]

# short side -> size of a 480x854 frame: int(short * 854 / 480), and where that exceeds 640 round(640 * 480 / 854) = 360.
WHOLE = {288: (288, 512), 320: (320, 569), 352: (352, 626), 392: (360, 640)}


def composed(*overrides):
    with initialize_config_dir(config_directory(), version_base="1.3"):
        return compose("train", ["experiment=ytvos_g1", "data.num_workers=0", *overrides]).data


@pytest.fixture(scope="module")
def frame():
    """One frame whose rows and columns can be told from its colours: red falls with the row, green with the column."""
    pixels = torch.zeros(1, 3, 480, 854, dtype=torch.uint8)
    pixels[:, 0] = torch.linspace(230, 20, 480).round().byte()[:, None]
    pixels[:, 1] = torch.linspace(230, 20, 854).round().byte()
    masks = torch.zeros(1, 480, 854, dtype=torch.bool)
    masks[:, 100:200, 60:160] = True
    return AnnotatedClip(pixels, masks, "the bright dog on the left")


def test_half_of_the_clips_are_cropped_and_no_side_exceeds_640(frame):
    transform = instantiate(composed().train_transform)
    transform.photometric = False
    sizes, flips, crops, lost = [], 0, 0, 0
    for seed in range(100):
        clip = transform(frame, generator("test", seed))
        red, green = clip.frames[0, 0], clip.frames[0, 1]
        flipped = bool(green[0, 0] < green[0, -1])
        flips += flipped
        side = "right" if flipped else "left"
        assert clip.expression == f"the bright dog on the {side}"
        height, width = clip.masks.shape[-2:]
        sizes.append((height, width))
        # Share of the frame's rows and columns that is still there; the factors are those of the normalisation.
        of_rows = float(red.max() - red.min()) * 0.229 * 255 / 210
        of_columns = float(green.max() - green.min()) * 0.224 * 255 / 210
        if (height, width) in WHOLE.values() and min(of_rows, of_columns) > 0.97:
            assert clip.masks.any()
            continue
        crops += 1
        # 384 to 600 pixels each way, of a frame of 400x711, 500x889 or 600x1067.
        assert 0.97 * 384 / 600 < of_rows < 1.01
        assert 0.97 * 384 / 1067 < of_columns < 1.03 * 600 / 711
        lost += not clip.masks.any()
    assert max(max(size) for size in sizes) <= 640
    assert min(min(size) for size in sizes) >= 240
    assert set(WHOLE.values()) <= set(sizes)
    assert 30 < crops < 70
    assert 30 < flips < 70
    assert 0 < lost < crops


def test_a_test_frame_has_a_short_side_of_360_or_a_long_one_of_640(frame):
    transform = instantiate(composed().test_transform)
    clip = transform(frame, generator("test", 0))
    assert clip.masks.shape[-2:] == (360, 640)
    square = AnnotatedClip(frame.frames[..., :600], frame.masks[..., :600], "a dog")
    assert transform(square, generator("test", 0)).masks.shape[-2:] == (360, 450)


@pytest.fixture(scope="module")
def batches(tmp_path_factory) -> list[Batch]:
    """Training batches of the recipe, of small things at the sides of large frames; T = S = 2 to be quick."""
    twins = {"1": one("dog", "the dog on the left"), "2": one("dog", "the dog on the right")}
    films = {f"dog_{n}": Film(3, twins, size=(480, 854)) for n in range(2)}
    root = write(tmp_path_factory.mktemp("data"), films)
    assert rectangle(films["dog_0"], "1", 0)[1].stop < 240
    overrides = ("data.query_frames=2", "data.support_frames=2", "data.episodes_per_category=30")
    return list(instantiate(composed(f"data.root={root}", *overrides)).train_dataloader())


def test_boxes_and_visibility_are_those_of_the_mask_after_the_crop(batches):
    shown = 0
    for batch in batches:
        assert batch.query.frames.shape[:2] == (1, 2)
        assert batch.query.frames.shape[-1] % 32 == batch.query.frames.shape[-2] % 32 == 0
        ((height, width),) = batch.query.sizes.tolist()
        assert max(height, width) <= 640
        assert not batch.targets.masks[..., height:, :].any()
        assert not batch.targets.masks[..., width:].any()
        for mask, box, visible in zip(
            batch.targets.masks[0], batch.targets.boxes[0], batch.targets.is_visible[0], strict=True
        ):
            rows, columns = (np.unique(places) for places in np.nonzero(mask.numpy()))
            assert bool(visible) == (len(rows) > 0)
            expected = np.zeros(4)
            if visible:
                left, right, top, bottom = columns[0], columns[-1], rows[0], rows[-1]
                expected[:2] = (left + right) / 2 / width, (top + bottom) / 2 / height
                expected[2:] = (right - left) / width, (bottom - top) / height
            assert box.numpy() == pytest.approx(expected, abs=1e-6)
            shown += bool(visible)
    assert 0 < shown < 2 * len(batches), "the object is in all frames on disk: some crops must lose it"


def test_words_follow_the_flip_and_the_object(batches):
    """A dog is on the side that its phrase says wherever the whole frame is seen, flipped or not."""
    sides = set()
    for batch in batches:
        ((height, width),) = batch.query.sizes.tolist()
        if (height, width) in WHOLE.values():
            column = batch.targets.boxes[0, 0, 0].item()
            side = "left" if column < 0.5 else "right"
            assert batch.query.expressions == [f"the dog on the {side}"]
            said = batch.specs[0].query.expression.split()[-1]
            sides.add((said, side))
    assert sides == {("left", "left"), ("left", "right"), ("right", "left"), ("right", "right")}


def test_a_support_clip_keeps_its_object_in_the_middle(batches):
    for batch in batches:
        assert batch.support.frames.shape[:2] == (1, 2)
        assert batch.support.masks[0, 1].any()
        assert batch.specs[0].support[0].video != batch.specs[0].query.video
