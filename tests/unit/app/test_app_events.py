"""The page's answers, without the page: what a run yields, and what is left of it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny import tiny_model

pytest.importorskip("gradio")

from fsrvos.app.easel import editor_value
from fsrvos.app.events import Desk
from fsrvos.app.limits import Limits
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
    painting = desk.take_support(Painting(), None, [str(clip)])[0]
    mask = np.zeros(painting.size, bool)
    mask[4:20, 6:30] = True
    return painting, editor_value(painting.frame, mask)


def run(desk, clip, video, phrases="a dax"):
    """What the status said, answer by answer, and the last answer while its files are still there."""
    said, existed = [], []
    for answer in desk.run(*painted(desk, clip), "", None if video is None else str(video), phrases, VISITOR):
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
    (answer,) = desk.run(painting, None, "", str(clip), "a dax", VISITOR)
    assert "nothing is painted in step 1" in answer[0]


def test_a_wish_to_stop_from_before_the_turn_counts(desk, clip):
    desk.begin(VISITOR)
    desk.stop(VISITOR)
    said, files = run(desk, clip, clip)
    assert (len(said), files) == (1, [])
    assert "Stopped" in said[0]
    desk.begin(VISITOR)
    assert "30 frames" in run(desk, clip, clip)[0][-1]
