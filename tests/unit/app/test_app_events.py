"""The page's answers, without the page: what a run yields, and what is left of it."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tiny import tiny_model

pytest.importorskip("gradio")

import gradio as gr

from fsrvos.app.easel import editor_value
from fsrvos.app.events import Desk
from fsrvos.app.limits import Limits
from fsrvos.app.page import build_page
from fsrvos.app.painting import Painting
from fsrvos.predictor import Predictor
from fsrvos.predictor_settings import Settings
from fsrvos.video import VideoWriter

VISITOR = SimpleNamespace(session_hash="one")


@pytest.fixture
def desk(tmp_path):
    predictor = Predictor(tiny_model(), Settings(short_side=32, max_long_side=64, window=4))
    (tmp_path / "desk").mkdir()
    return Desk(predictor, Limits(max_frames=50), tmp_path / "desk")


@pytest.fixture
def clip(tmp_path):
    rng = np.random.default_rng(0)
    with VideoWriter(tmp_path / "clip.mp4", (32, 48), 10) as writer:
        for _ in range(30):
            writer.write(rng.integers(0, 255, (32, 48, 3), np.uint8))
    return tmp_path / "clip.mp4"


def painted(desk, clip):
    """A painting of a clip's first frame, and the tool as it would show it."""
    painting = desk.take_support(Painting(), None, "", [str(clip)])[0]
    mask = np.zeros(painting.size, bool)
    mask[4:20, 6:30] = True
    return painting, editor_value(painting.frame, mask)


def run(desk, clip, video, phrases="a dax"):
    """What the status said, answer by answer, and the last answer while its files are still there."""
    said, existed = [], []
    painting, editor = painted(desk, clip)
    desk.begin(painting, editor, painting.mark, VISITOR)
    for answer in desk.run(painting, "", None if video is None else str(video), phrases, VISITOR):
        said.append(answer[0])
        existed = [part for part in answer if isinstance(part, str) and part.startswith(str(desk.folder))]
        assert all(Path(path).stat().st_size for path in existed)
    return said, existed


def test_a_run_ends_with_three_files_and_without_its_folder(desk, clip):
    said, files = run(desk, clip, clip)
    assert [text.split("</p>")[0].split("frame ")[-1] for text in said[:-1]] == [
        f"{n} of 30" for n in range(1, 31)
    ]
    assert "30 frames in" in said[-1]
    assert sorted(path.rsplit("/", 1)[1] for path in files) == ["clip_masks.zip", "overlay.mp4", "scores.png"]
    assert not any((desk.folder / "runs").iterdir())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_cut_video_tells_so_and_keeps_what_was_done(desk, clip, tmp_path):
    whole = clip.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    said, files = run(desk, clip, tmp_path / "cut.mp4")
    assert "cut.mp4: is cut off or damaged" in said[-1]
    assert "frames in" in said[-1]
    assert str(tmp_path) not in said[-1]
    assert len(files) == 3


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("video", "phrases", "words"),
    [
        (None, "a dax", "step 2 has no video yet"),
        ("clip", "\n ", "the phrase is empty"),
        ("text", "a dax", "text.mp4: is not a video"),
    ],
)
def test_a_mistake_is_one_message(desk, clip, tmp_path, video, phrases, words):
    (tmp_path / "text.mp4").write_text("a text")
    said, files = run(desk, clip, video and tmp_path / f"{video}.mp4", phrases)
    assert len(said) == 1
    assert words in said[0]
    assert files == []


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nothing_painted_is_a_message(desk, clip):
    painting, _ = painted(desk, clip)
    (answer,) = desk.run(painting, "", str(clip), "a dax", VISITOR)
    assert "nothing is painted in step 1" in answer[0]


def test_a_wish_to_stop_from_before_the_turn_counts(desk, clip):
    painting, editor = painted(desk, clip)
    desk.begin(painting, editor, painting.mark, VISITOR)
    desk.stop(VISITOR)
    (answer,) = desk.run(painting, "", str(clip), "a dax", VISITOR)
    assert "Stopped" in answer[0]
    assert "30 frames" in run(desk, clip, clip)[0][-1]


def picture(path, grey):
    Image.fromarray(np.full((32, 48, 3), grey, np.uint8)).save(path)
    return str(path)


def test_what_is_uploaded_during_a_run_stays(desk, clip, tmp_path):
    """The page holds the painting that the last answer gave, and a run gives none; so the run's is the page's."""
    painting, editor = painted(desk, clip)
    desk.begin(painting, editor, painting.mark, VISITOR)
    answers = desk.run(painting, "", str(clip), "a dax", VISITOR)
    first = next(answers)
    held, *_ = desk.take_support(
        painting, editor, painting.mark, [str(clip), picture(tmp_path / "a.png", 200)]
    )
    for answer in (first, *answers):
        assert not any(isinstance(part, Painting) for part in answer)
    assert (len(held.order), held.painted) == (9, [1])
    assert held is painting, "or whoever answers at the same time would change another one"


def test_the_page_takes_no_painting_from_a_run(desk):
    page = build_page(desk)
    (ran,) = [one for one in page.fns.values() if one.name == "run"]
    assert not any(isinstance(part, gr.State) for part in ran.outputs)
    assert len(ran.outputs) == 7


def test_paint_stays_on_its_frame_however_fast_pages_turn(desk, clip):
    """The page still shows the first frame, and sends it, when the second is on the easel already."""
    painting, editor = painted(desk, clip)
    mark = painting.mark
    desk.turn(painting, editor, mark, by=1)
    assert painting.position == 2
    desk.turn(painting, editor, mark, by=1)
    assert (painting.position, painting.painted) == (3, [1])
    desk.begin(painting, editor, mark, VISITOR)
    assert painting.painted == [1]


def test_the_mark_of_a_frame_goes_with_its_picture(desk, clip):
    painting, editor = painted(desk, clip)
    easel = desk.turn(painting, editor, painting.mark, by=1)
    (tool,) = [part for part in easel if isinstance(part, dict) and "canvas_size" in part]
    np.testing.assert_array_equal(tool["value"]["background"], editor_value(painting.frame)["background"])
    assert easel[easel.index(tool) + 1] == painting.mark


def test_a_ready_mask_is_for_the_frame_that_the_page_shows(desk, clip, tmp_path):
    painting, _ = painted(desk, clip)
    shown = painting.mark
    painting.turn(2)
    mask = np.zeros(painting.size, np.uint8)
    mask[2:9, 3:9] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    desk.take_mask(painting, shown, str(tmp_path / "mask.png"))
    assert (painting.position, painting.painted) == (1, [1])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_no_picture_leaves_all_as_it_was(desk, clip, tmp_path):
    painting, editor = painted(desk, clip)
    (tmp_path / "text.png").write_text("a text")
    desk.take_support(painting, editor, painting.mark, [str(clip), str(tmp_path / "text.png")])
    assert (len(painting.order), painting.painted) == (8, [1])


def test_the_example_keeps_its_paint_beside_a_picture(desk, tmp_path):
    """The page puts copies of the example's files elsewhere, and sends the addresses of these."""
    (support,), *rest = desk.fill_in(Painting())
    (painting,) = [part for part in rest if isinstance(part, Painting)]
    before = painting.painted
    copy = tmp_path / "copy" / Path(support).name
    copy.parent.mkdir()
    shutil.copy(support, copy)
    desk.take_support(painting, None, "", [str(copy), picture(tmp_path / "a.png", 90)])
    assert len(before) == 2
    assert (painting.painted, len(painting.order)) == (before, 9)
