"""fsrvos-predict as a user calls it: every kind of video, several phrases, a stop and the way on, mistakes."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import torch._inductor.config
import torch._inductor.utils
from commands import run
from PIL import Image
from tiny import tiny_model

from fsrvos import predictor as predictor_module
from fsrvos.cli import predict as command
from fsrvos.prediction_layout import JOURNAL
from fsrvos.predictor import Predictor
from fsrvos.predictor_settings import Settings
from fsrvos.video import VideoWriter, open_video

SIZE = (48, 80)


def frames(count, seed=0):
    """A bright square that moves over noise."""
    rng = np.random.default_rng(seed)
    clip = rng.integers(0, 120, (count, *SIZE, 3), dtype=np.uint8)
    for t in range(count):
        clip[t, 10:30, 5 + 3 * t % 40 : 25 + 3 * t % 40] = (230, 60, 60)
    return clip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a checkpoint, a support, and videos of every kind."""
    folder = tmp_path_factory.mktemp("predict")
    Predictor(tiny_model(), Settings(48, None, 4)).save_pretrained(folder / "net")
    (folder / "dogs").mkdir()
    for index, picture in enumerate(frames(2, seed=5)):
        Image.fromarray(picture).save(folder / "dogs" / f"{index}.jpg")
        mask = np.zeros(SIZE, np.uint8)
        mask[10:30, 5 + 3 * index : 25 + 3 * index] = 255
        Image.fromarray(mask).save(folder / "dogs" / f"{index}.png")
    (folder / "frames").mkdir()
    for index, picture in enumerate(frames(10)):
        Image.fromarray(picture).save(folder / "frames" / f"{index:05d}.png")
    with VideoWriter(folder / "park.mp4", SIZE, 25) as writer:
        for picture in frames(10):
            writer.write(picture)
    first, *others = [Image.fromarray(picture) for picture in frames(6)]
    first.save(folder / "park.gif", save_all=True, append_images=others, duration=100)
    return folder


@pytest.fixture
def call(place, monkeypatch, capfd):
    def called(*arguments):
        return run(command.main, ["checkpoint=net", *arguments], place, monkeypatch, capfd)

    return called


@pytest.mark.parametrize(
    ("video", "count"), [("park.mp4", 10), ("park.gif", 6), ("frames", 10), ("dogs/0.jpg", 1)]
)
def test_every_kind_of_video(call, place, tmp_path, video, count):
    outcome = call(f"video={video}", "support=dogs", "text=the dog, on the left", f"out={tmp_path / 'out'}")
    assert (outcome.code, outcome.complaints) == (0, [])
    assert outcome.out.splitlines()[-1].startswith(f"{count} frames, ")
    (entry,) = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert entry["expression"] == "the dog, on the left"
    assert len(entry["segmentations"]) == count
    names = [path.stem for path in sorted((tmp_path / "out" / "masks" / "1_the_dog_on_the_left").iterdir())]
    assert names == entry["frames"]
    assert len(list(open_video(tmp_path / "out" / "overlay.mp4").frames())) == count
    assert not (tmp_path / "out" / JOURNAL).exists()
    assert not list(place.glob("outputs*"))  # no run folder beside


def test_the_command_says_what_the_library_says(call, place, tmp_path):
    outcome = call(
        "video=park.mp4",
        "support=dogs",
        "support_text=a dog",
        "text=[the dog,a red square]",
        f"out={tmp_path / 'out'}",
    )
    assert outcome.code == 0
    predictor = Predictor.from_pretrained(place / "net")
    answers = predictor.segment(
        place / "park.mp4", ["the dog", "a red square"], predictor.support(place / "dogs", "a dog")
    )
    entries = json.loads((tmp_path / "out" / "predictions.json").read_text())
    for answer, entry in zip(answers, entries, strict=True):
        assert entry["segmentations"] == answer.rle
        assert entry["scores"] == pytest.approx(answer.scores, abs=1e-6)
    answers[0].save(tmp_path / "saved")
    png = "masks/1_the_dog/00003.png"
    assert (tmp_path / "saved" / png).read_bytes() == (tmp_path / "out" / png).read_bytes()
    answers[0].overlay(tmp_path / "alone.mp4")
    assert np.array_equal(answers[0].picture(-1), answers[0].picture(9))
    with pytest.raises(IndexError):
        answers[0].picture(10)
    assert len(list(open_video(tmp_path / "alone.mp4").frames())) == 10
    assert answers[0].picture(3).shape == (*SIZE, 3)


def test_without_support_one_line_says_so(call, tmp_path):
    outcome = call("video=park.mp4", "text=a dog", f"out={tmp_path / 'out'}", "overlay=false")
    assert outcome.code == 0
    assert len([line for line in outcome.told if "no support is given" in line]) == 1
    assert not (tmp_path / "out" / "overlay.mp4").exists()


def test_a_lower_precision_is_used(call, tmp_path):
    arguments = ["video=park.mp4", "support=dogs", "text=the dog", "overlay=false"]
    for name, precision in (("exact", "32-true"), ("rounded", "bf16-mixed")):
        assert call(*arguments, f"out={tmp_path / name}", f"precision={precision}").code == 0
    exact, rounded = (
        json.loads((tmp_path / name / "predictions.json").read_text())[0]["scores"]
        for name in ("exact", "rounded")
    )
    assert rounded != exact
    assert rounded == pytest.approx(exact, abs=0.05)


def test_compile_compiles_the_network_or_says_why_not(call, tmp_path, monkeypatch):
    arguments = ["video=dogs/0.jpg", "text=the dog", "overlay=false", "compile=true"]
    compiled = []
    with monkeypatch.context() as patched:
        patched.setattr(predictor_module, "check_compiler", lambda device: None)
        patched.setattr(predictor_module, "compile_blocks", compiled.append)  # the real one takes a minute
        assert call(*arguments, f"out={tmp_path / 'a'}").code == 0
    assert [type(model).__name__ for model in compiled] == ["CMA"]
    with (
        torch._inductor.config.patch({"cpp.cxx": ("/nowhere/g++",)}),
        torch._inductor.utils.fresh_cache(),
    ):
        refused = call(*arguments, f"out={tmp_path / 'b'}")
    assert refused.code == 2
    assert "install a C++ compiler" in refused.complaints[0]
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_leaves_whole_files_and_resume_gives_the_same(call, place, tmp_path, number):
    """A real process, stopped in the middle of a video that would take it long."""
    long = tmp_path / "long.mp4"
    with VideoWriter(long, SIZE, 25) as writer:
        for picture in frames(1200):
            writer.write(picture)
    out = tmp_path / "out"
    arguments = [f"video={long}", "support=dogs", "text=the dog", f"out={out}", "overlay=false"]
    process = subprocess.Popen(
        [sys.executable, "-m", "fsrvos.cli.predict", "checkpoint=net", *arguments],
        cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (out / JOURNAL).is_file() or (out / JOURNAL).read_bytes().count(b"\n") < 9:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, number)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert told.splitlines()[-1].startswith("fsrvos: stopped after ")
    done = len(json.loads((out / "predictions.json").read_text())[0]["frames"])
    assert 8 <= done < 1200
    assert len(list((out / "masks" / "1_the_dog").iterdir())) == done
    # The way on and a whole run, both over the first frames only, which is enough to compare.
    short = tmp_path / "short"
    short.mkdir()
    for index, frame in zip(range(done + 6), open_video(long).frames(), strict=False):
        Image.fromarray(frame.pixels).save(short / f"{index:05d}.png")
    header, *lines = (out / JOURNAL).read_text().splitlines(keepends=True)
    header = {**json.loads(header), "video": "short", "file": str(short), "frames": done + 6, "rate": 10.0}
    (out / JOURNAL).write_text(json.dumps(header) + "\n" + "".join(lines))
    refused = call(f"video={short}", *arguments[1:], "resume=true", "precision=bf16-mixed")
    assert refused.code == 2
    assert "precision" in refused.complaints[0]
    resumed = call(f"video={short}", *arguments[1:], "resume=true")
    whole = call(f"video={short}", *arguments[1:3], f"out={tmp_path / 'whole'}", "overlay=false")
    assert (resumed.code, whole.code) == (0, 0)
    results = [json.loads((folder / "predictions.json").read_text()) for folder in (out, tmp_path / "whole")]
    for entries in results:
        entries[0].pop("times")  # 25 a second in the file, 10 in the folder
    assert results[0] == results[1]


def cut(folder, name="cut.mp4", keep=0.6):
    content = (folder / "park.mp4").read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * keep)])
    return name


def text_file(folder):
    (folder / "text.mp4").write_text("not a video\n" * 50)
    return "text.mp4"


def empty_folder(folder):
    (folder / "empty").mkdir(exist_ok=True)
    return "empty"


def large_picture(folder):
    Image.new("1", (20000, 20000)).save(folder / "large.png")
    return "large.png"


def pairs(folder, name, picture=SIZE, mask=SIZE, value=255, with_mask=True):
    (folder / name).mkdir(exist_ok=True)
    Image.new("RGB", picture[::-1], (9, 9, 9)).save(folder / name / "a.jpg")
    if with_mask:
        Image.new("L", mask[::-1], value).save(folder / name / "a.png")
    return name


VIDEOS = {
    "missing": (lambda f: "nowhere.mp4", "nowhere.mp4: no such file"),
    "text": (text_file, "text.mp4"),
    "no frames": (empty_folder, "empty"),
    "20,000 pixels": (large_picture, "large.png"),
}
SUPPORTS = {
    "missing": (lambda f: "nowhere", "nowhere"),
    "no masks": (lambda f: pairs(f, "bare", with_mask=False), "bare"),
    "another size": (lambda f: pairs(f, "other", mask=(20, 30)), "30x20"),
    "empty mask": (lambda f: pairs(f, "nothing", value=0), "nothing"),
    "several objects": (lambda f: several(f), "object=1"),
}


def several(folder):
    pairs(folder, "several")
    mask = np.zeros(SIZE, np.uint8)
    mask[5:20, 5:20], mask[25:40, 30:60] = 1, 2
    Image.fromarray(mask).save(folder / "several" / "a.png")
    return "several"


def check_refused(outcome, words, out):
    assert outcome.code == 2
    assert len(outcome.complaints) == 1
    assert words in outcome.complaints[0]
    assert "Traceback" not in outcome.err
    assert not out.exists()


@pytest.mark.parametrize("name", VIDEOS)
def test_bad_videos(call, place, tmp_path, name):
    make, words = VIDEOS[name]
    out, video = tmp_path / "out", make(place)
    before = set(place.iterdir())
    check_refused(call(f"video={video}", "support=dogs", "text=a dog", f"out={out}"), words, out)
    assert set(place.iterdir()) == before


@pytest.mark.parametrize("name", SUPPORTS)
def test_bad_supports(call, place, tmp_path, name):
    make, words = SUPPORTS[name]
    out = tmp_path / "out"
    check_refused(call("video=park.mp4", f"support={make(place)}", "text=a dog", f"out={out}"), words, out)


def test_an_object_is_chosen_where_there_are_several(call, place, tmp_path):
    several(place)
    outcome = call("video=park.mp4", "support=several", "object=2", "text=a dog", f"out={tmp_path / 'out'}")
    assert (outcome.code, outcome.complaints) == (0, [])


def test_a_video_that_is_cut_off_keeps_what_came_before(call, place, tmp_path):
    """Its index comes first, so that it plays up to the cut."""
    out = tmp_path / "out"
    outcome = call(f"video={cut(place)}", "support=dogs", "text=a dog", f"out={out}")
    assert outcome.code == 2
    assert len(outcome.complaints) == 1
    assert "cut.mp4" in outcome.complaints[0]
    done = len(json.loads((out / "predictions.json").read_text())[0]["frames"])
    assert 0 < done < 10
    assert len(list(open_video(out / "overlay.mp4").frames())) == done


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["video=park.mp4", "text=a dog"], "out is missing"),
        (["video=park.mp4", "out=o"], "text is missing"),
        (["text=a dog", "out=o"], "video is missing"),
        (["video=park.mp4", "text= ", "out=o"], "phrase is empty"),
        (["video=park.mp4", "text=[a dog,'']", "out=o"], "phrase is empty"),
        (["video=park.mp4", "text=a dog", "out=o", "checkpoint=nowhere/at/all"], "nowhere/at/all"),
        (["video=park.mp4", "text=a dog", "out=o", "device=cuda:77"], "device=cuda:77"),
        (["video=park.mp4", "text=a dog", "out=o", "device=gpu"], "device=gpu"),
        (["video=park.mp4", "text=a dog", "out=o", "window=0"], "window must be"),
        (["video=park.mp4", "text=a dog", "out=o", "precision=half"], "precision must be one of 32-true"),
        (["video=park.mp4", "text=a dog", "out=o", "precision=16-mixed"], "say precision=bf16-mixed"),
        (["video=park.mp4", "text=a dog", "out=o", "rate=abc"], "rate must be"),
        (["video=frames", "text=a dog", "out=o", "rate=200000"], "rate must be"),
        (["video=park.mp4", "text=a dog", "out=o", "jump_cost=null"], "jump_cost must be"),
        (["video=park.mp4", "text=a dog", "out=o", "support_frames=1.5"], "support_frames must be"),
        (["video=frames", "text=a dog", "out=frames"], "out=frames is what is read"),
        (["video=park.mp4", "text=a dog", "out=dogs", "support=[dogs]"], "out=dogs is what is read"),
        (["video=park.mp4", "text=a dog", "out=o", "resume=true"], "nothing to go on with"),
        (["video=park.mp4", "text=a dog", "out=park.gif"], "park.gif"),
        (["video=park.mp4", "text=a dog", "out=o", "phrase=x"], "phrase"),
        (["video=park.mp4", "text=a dog", "out=o", "window=1,2", "-m"], "leave -m"),
    ],
)
def test_mistakes_are_one_line(call, place, arguments, words):
    before = set(place.iterdir())
    outcome = call(*arguments)
    assert outcome.code == 2
    assert len(outcome.complaints) == 1
    assert words in outcome.complaints[0]
    assert "Traceback" not in outcome.err
    assert set(place.iterdir()) == before


def test_help_reads_well(call):
    outcome = call("--help")
    assert outcome.code == 0
    for key in ("checkpoint=", "support=", "text=", "resume="):
        assert key in outcome.out
    assert "fsrvos-predict checkpoint=" in outcome.out
