"""Predictions on disk: whole at any end, the same after a stop, never half-written."""

import json
import resource
import signal

import numpy as np
import pytest
from PIL import Image

from fsrvos.engine.predictions import Predictions
from fsrvos.errors import UserError
from fsrvos.prediction_folder import PredictionFolder
from fsrvos.prediction_layout import JOURNAL, slug
from fsrvos.rle import decode_mask
from fsrvos.structures import ClipSpec, EpisodeSpec
from fsrvos.video import open_video

T, H, W = 7, 48, 65
PHRASES = ["the brown dog, on the left", "Größe?"]


@pytest.fixture
def video():
    return open_video(np.random.default_rng(0).integers(0, 255, (T, H, W, 3), dtype=np.uint8))


@pytest.fixture
def masks():
    masks = np.random.default_rng(1).random((2, T, H, W)) > 0.6
    masks[1, 2:4] = False
    return masks


SCORES = np.linspace(0.05, 0.95, 2 * T).reshape(2, T)


def write(folder, video, masks, start=0, stop=T):
    assert list(folder.draw_again()) in ([], list(range(1, start + 1)))
    for frame in video.frames(start):
        if frame.index == stop:
            return
        folder.write_window([frame], masks[:, frame.index, None], SCORES[:, frame.index, None])
    folder.complete = True


def write_and_fail(folder, video, masks, stop):
    write(folder, video, masks, stop=stop)
    raise UserError("park.mp4: is cut off")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_file_says_the_same(tmp_path, video, masks):
    with PredictionFolder(tmp_path / "out", video, PHRASES) as folder:
        write(folder, video, masks)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "masks", "predictions.json", "overlay.mp4", "scores.png",
    }  # fmt: skip
    entries = json.loads((tmp_path / "out" / "predictions.json").read_text())
    for number, (entry, phrase) in enumerate(zip(entries, PHRASES, strict=True)):
        assert (entry["expression"], entry["size"]) == (phrase, [H, W])
        assert entry["frames"] == [f"{t:05d}" for t in range(T)]
        assert entry["times"] == pytest.approx([t / 10 for t in range(T)])
        assert entry["scores"] == pytest.approx(SCORES[number], abs=1e-6)
        assert entry["score"] == pytest.approx(SCORES[number].mean(), abs=1e-6)
        for t in range(T):
            truth = masks[number, t]
            assert np.array_equal(decode_mask(entry["segmentations"][t], (H, W)), truth)
            png = tmp_path / "out" / "masks" / slug(number + 1, phrase) / f"{t:05d}.png"
            with Image.open(png) as image:
                assert image.mode == "P"
                assert np.array_equal(np.asarray(image) == 1, truth)
            if truth.any():
                rows, columns = np.nonzero(truth)
                left, top, width, height = entry["boxes"][t]
                assert (left, top) == (columns.min(), rows.min())
                assert (left + width, top + height) == (columns.max() + 1, rows.max() + 1)
            else:
                assert entry["boxes"][t] is None
    overlay = list(open_video(tmp_path / "out" / "overlay.mp4").frames())
    assert len(overlay) == T
    assert [f.time for f in overlay] == pytest.approx([t / 10 for t in range(T)], abs=1e-3)


def test_fsrvos_eval_reads_it(tmp_path, video, masks):
    """The JSON is of the form that ``fsrvos-eval predictions=`` scores."""
    with PredictionFolder(tmp_path / "out", video, PHRASES, overlay=False) as folder:
        write(folder, video, masks)
    query = ClipSpec("video", "1", "1", PHRASES[1], tuple(f"{t:05d}" for t in range(T)))
    spec = EpisodeSpec(0, "dog", query, ())
    read = Predictions(tmp_path / "out" / "predictions.json")
    assert read.missing([spec]) == {}
    assert np.array_equal(read.read(spec, (H, W)).numpy(), masks[1])


@pytest.mark.parametrize("stop", [1, 4, 6])
def test_a_stop_leaves_whole_files_and_going_on_gives_the_same(tmp_path, video, masks, stop):
    with PredictionFolder(tmp_path / "whole", video, PHRASES) as folder:
        write(folder, video, masks)
    out = tmp_path / "out"
    with PredictionFolder(out, video, PHRASES) as folder:
        write(folder, video, masks, stop=stop)
    assert len(json.loads((out / "predictions.json").read_text())[0]["frames"]) == stop
    assert len(list(open_video(out / "overlay.mp4").frames())) == stop
    assert (out / "scores.png").is_file()
    with PredictionFolder(out, video, PHRASES, resume=True) as folder:
        assert folder.done == stop
        assert np.array_equal(folder.last_masks(), masks[:, stop - 1])
        write(folder, video, masks, start=stop)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_crash_between_frames_loses_none(tmp_path, video, masks):
    """As after SIGKILL: only the journal and the masks are there, with a line and a mask half-written."""
    out = tmp_path / "out"
    folder = PredictionFolder(out, video, PHRASES)
    folder.__enter__()
    write(folder, video, masks, stop=3)
    with (out / JOURNAL).open("a") as file:
        file.write('{"name": "00003", "ti')
    del folder
    with PredictionFolder(out, video, PHRASES, resume=True) as again:
        assert again.done == 3
        write(again, video, masks, start=3)
    with PredictionFolder(tmp_path / "whole", video, PHRASES) as whole:
        write(whole, video, masks)
    expected, found = contents(tmp_path / "whole"), contents(out)
    assert {k: v for k, v in found.items() if not k.endswith(".part")} == expected


def test_an_error_of_the_video_keeps_what_was_done(tmp_path, video, masks):
    with pytest.raises(UserError, match="cut off"):
        with PredictionFolder(tmp_path / "out", video, PHRASES) as folder:
            write_and_fail(folder, video, masks, 5)
    assert len(json.loads((tmp_path / "out" / "predictions.json").read_text())[0]["frames"]) == 5
    assert len(list(open_video(tmp_path / "out" / "overlay.mp4").frames())) == 5


def test_nothing_done_leaves_nothing(tmp_path, video):
    with pytest.raises(UserError, match="no frame"):
        with PredictionFolder(tmp_path / "out", video, PHRASES):
            raise UserError("park.mp4: holds no frame")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("limit", [900, 2500, 9000])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path, video, masks, limit):
    """A limit on the size of files, which the kernel enforces as it does a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        folder = PredictionFolder(tmp_path / "out", video, PHRASES)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        with pytest.raises(UserError, match="cannot be written") as told, folder:
            write(folder, video, masks)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(told.value)
    left = contents(tmp_path / "out")
    assert not [name for name in left if name.endswith((".part", ".mp4"))]
    for name in left:
        if name.endswith(".png"):
            Image.open(tmp_path / "out" / name).load()
    resume = folder.done > 0  # there is room again
    with PredictionFolder(tmp_path / "out", video, PHRASES, resume=resume, overwrite=not resume) as folder:
        write(folder, video, masks, start=folder.done)
    with PredictionFolder(tmp_path / "whole", video, PHRASES) as folder:
        write(folder, video, masks)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_what_is_there_is_not_lost(tmp_path, video, masks):
    out = tmp_path / "out"
    with PredictionFolder(out, video, PHRASES, overlay=False) as folder:
        write(folder, video, masks, stop=3)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="resume=true to go on, or overwrite=true"):
        PredictionFolder(out, video, PHRASES)
    with pytest.raises(UserError, match="begun with phrases"):
        PredictionFolder(out, video, PHRASES[:1], resume=True)
    with pytest.raises(UserError, match="exclude each other"):
        PredictionFolder(out, video, PHRASES, resume=True, overwrite=True)
    with PredictionFolder(out, video, PHRASES[:1], overlay=False, overwrite=True) as folder:
        folder.write(0, "00000", 0.0, None, [masks[0, 0]], [0.5])
        folder.complete = True
    with pytest.raises(UserError, match="give another folder, or overwrite=true"):
        PredictionFolder(out, video, PHRASES)
    assert (out / "notes.txt").read_text() == "mine"
    assert [path.name for path in (out / "masks").iterdir()] == [slug(1, PHRASES[0])]


@pytest.mark.parametrize("name", ["masks/dog/a.png", "scores.png", "overlay.mp4", "predictions.json"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_files_of_the_user_under_our_names_are_never_touched(tmp_path, video, name, overwrite):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(UserError, match="not from fsrvos-predict"):
        PredictionFolder(tmp_path, video, PHRASES, overwrite=overwrite)
    assert contents(tmp_path) == {name: b"mine"}


def test_overwrite_removes_only_what_the_record_names(tmp_path, video, masks):
    with PredictionFolder(tmp_path, video, PHRASES) as folder:
        write(folder, video, masks)
    mine = tmp_path / "masks" / slug(1, PHRASES[0]) / "extra.png"
    mine.write_bytes(b"mine")
    record = json.loads((tmp_path / "predictions.json").read_text())
    outside = tmp_path.parent / "precious.png"
    outside.write_bytes(b"precious")
    record[0]["frames"].append("../../../precious")
    (tmp_path / "predictions.json").write_text(json.dumps(record))
    with PredictionFolder(tmp_path, video, ["new"], overwrite=True) as folder:
        folder.write(0, "00000", 0.0, np.zeros((H, W, 3), np.uint8), [masks[0, 0]], [0.5])
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")}
    assert left == {f"masks/{slug(1, PHRASES[0])}/extra.png", "masks/1_new/00000.png", "scores.png"}
    assert outside.read_bytes() == b"precious"


@pytest.mark.parametrize("changed", ["rate", "count", "overlay", "made_with"])
def test_another_video_or_setting_is_not_gone_on_with(tmp_path, video, masks, changed):
    with PredictionFolder(tmp_path, video, PHRASES, overlay=False, made_with={"weights": "a"}) as folder:
        write(folder, video, masks, stop=3)
    if changed in ("rate", "count"):
        setattr(video, changed, 77)
    with pytest.raises(UserError, match="was begun with"):
        PredictionFolder(
            tmp_path, video, PHRASES, resume=True, overlay=changed == "overlay",
            made_with={"weights": "b" if changed == "made_with" else "a"},
        )  # fmt: skip


def test_going_on_is_at_the_border_of_a_window(tmp_path, video, masks):
    """After a crash within a window it is done again whole, as in a call that did not stop."""
    with PredictionFolder(tmp_path, video, PHRASES, window=3) as folder:
        write(folder, video, masks, stop=5)
    with PredictionFolder(tmp_path, video, PHRASES, window=3, resume=True) as folder:
        assert folder.done == 3
        assert np.array_equal(folder.last_masks(), masks[:, 2])
        write(folder, video, masks, start=3)
    assert len(json.loads((tmp_path / "predictions.json").read_text())[0]["frames"]) == T


def test_a_failure_in_the_first_frame_leaves_nothing(tmp_path, video, masks, monkeypatch):
    folder = PredictionFolder(tmp_path / "out", video, PHRASES)
    monkeypatch.setattr(folder._journal, "append", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(UserError, match="full"), folder:
        write(folder, video, masks)
    assert not (tmp_path / "out").exists()


def test_a_stop_while_frames_are_drawn_again_keeps_the_earlier_overlay(tmp_path, video, masks):
    with PredictionFolder(tmp_path, video, PHRASES) as folder:
        write(folder, video, masks, stop=4)
    before = (tmp_path / "overlay.mp4").read_bytes()
    with PredictionFolder(tmp_path, video, PHRASES, resume=True) as folder:
        assert next(folder.draw_again()) == 1
    assert (tmp_path / "overlay.mp4").read_bytes() == before
    assert not list(tmp_path.glob(".*.part"))
    with PredictionFolder(tmp_path, video, PHRASES, resume=True) as folder:
        with pytest.raises(ValueError, match="0 are drawn"):
            folder.write(4, "00004", 0.4, None, list(masks[:, 4]), [0.5, 0.5])


def test_phrases_may_have_lines_and_signs(tmp_path, video, masks):
    with PredictionFolder(tmp_path, video, ["a\nb", "_under $x$ and $"]) as folder:
        write(folder, video, masks)
    assert len(list(open_video(tmp_path / "overlay.mp4").frames())) == T


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path, video):
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        PredictionFolder(tmp_path / "out", video, PHRASES)


@pytest.mark.parametrize("phrase", ["../../etc/passwd", "a" * 500, "?!", "Größe links", "a/b\\c\0d"])
def test_folders_of_phrases_are_plain_names(phrase):
    name = slug(3, phrase)
    assert name.startswith("3_")
    assert len(name.encode()) < 200
    assert not set("/\\\0.") & set(name)


def test_frames_come_in_order(tmp_path, video, masks):
    with PredictionFolder(tmp_path / "out", video, PHRASES, overlay=False) as folder:
        with pytest.raises(ValueError, match="frame 0 comes next"):
            folder.write(3, "00003", 0.3, None, list(masks[:, 3]), [0.5, 0.5])
