"""Mistakes of the user: one line that names what is wrong, exit code 2, no traceback."""

import json
import subprocess

import pytest
import torch
from commands import BIN, on_data, run, write_small_data

from fsrvos.cli import eval as eval_command
from fsrvos.cli import train as train_command

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*fewer than two videos.*"),
]


def edit(path, change):
    content = json.loads(path.read_text())
    change(content["videos"])
    path.write_text(json.dumps(content))


def no_root(root):
    return ["data.root=/no/such/root"], ["/no/such/root", "fsrvos-data synth"]


def no_frames(root):
    folder = root / "train" / "JPEGImages" / "plant_0"
    for file in folder.iterdir():
        file.unlink()
    return [], [str(folder), "no frames"]


def no_object(root):
    file = root / "meta_expressions" / "train" / "meta_expressions.json"
    edit(file, lambda videos: videos["plant_1"]["expressions"]["0"].update(obj_id="7"))
    return [], [str(file), "'plant_1'", "'7'", "meta.json"]


def corrupt_jpeg(root, *more):
    folder = root / "train" / "JPEGImages" / "plant_0"
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:300])
    return list(more), [str(folder), ".jpg", "cannot be decoded"]


def corrupt_jpeg_in_a_worker(root):
    return corrupt_jpeg(root, "data.num_workers=1")


def corrupt_json(root):
    file = root / "train" / "meta.json"
    file.write_text(file.read_text()[:40])
    return [], [str(file), "not valid JSON"]


def unknown_category(root):
    file = root / "train" / "meta.json"
    edit(file, lambda videos: videos["plant_0"]["objects"]["1"].update(category="unicorn"))
    return [], [str(file), "'plant_0'", "'unicorn'", "giant_panda"]


def no_such_group(root):
    return ["group=7"], ["group must be 1-4, got 7"]


def empty_group(root):
    return ["group=4"], ["group is empty", "horse"]


def null_group(root):
    return ["logger=null"], ["cannot be null", "~logger"]


def unknown_key(root):
    return ["nonsense=1"], ["nonsense"]


def unknown_key_below(root):
    return ["data.nonsense=1"], ["nonsense"]


def unknown_argument(root):
    return ["+data.nonsense=1"], ["nonsense"]


def unknown_experiment(root):
    return ["experiment=nonsense"], ["experiment/nonsense", "smoke"]


def unknown_option(root):
    return ["model=nonsense"], ["model/nonsense", "cma_plus"]


def unknown_variant(root):
    return ["model.variant=nonsense"], ["model variant must be one of cma", "'nonsense'"]


def unknown_backbone(root):
    return ["backbone.name=nonsense"], ["backbone must be one of small", "'nonsense'"]


def too_little_support(root):
    return ["model=base", "data.support_frames=1"], ["model 'base'", "at least 2 support frames, got 1"]


def weights_out_of_reach(root):
    return ["backbone=resnet18"], ["'resnet18'", "backbone.pretrained=false"]


def no_checkpoint_to_resume(root):
    return ["ckpt_path=/no/such.ckpt"], ["/no/such.ckpt", "does not exist"]


def no_run_to_resume(root):
    return ["ckpt_path=last"], ["ckpt_path=last", "train there first"]


def broken_checkpoint_to_resume(root):
    file = root / "broken.ckpt"
    file.write_bytes(b"PK broken")
    return [f"ckpt_path={file}"], [str(file)]


def unknown_precision(root):
    return ["precision=half"], ["precision must be one of 32-true", "got 'half'"]


TRAINING = [
    no_root,
    no_frames,
    no_object,
    corrupt_jpeg,
    corrupt_jpeg_in_a_worker,
    corrupt_json,
    unknown_category,
    no_such_group,
    empty_group,
    null_group,
    unknown_key,
    unknown_key_below,
    unknown_argument,
    unknown_experiment,
    unknown_option,
    unknown_variant,
    unknown_backbone,
    too_little_support,
    weights_out_of_reach,
    no_checkpoint_to_resume,
    no_run_to_resume,
    broken_checkpoint_to_resume,
    unknown_precision,
]


def check_one_line(done, words):
    assert done.code == 2, done.err
    assert len(done.complaints) == 1, done.err
    (line,) = done.complaints
    assert line.startswith("fsrvos: ")
    for word in words:
        assert word in line
    assert "Traceback" not in done.out + done.err
    assert len(line) < 1200


def test_the_same_without_a_mistake(tmp_path, monkeypatch, capfd):
    """What the cases below start from works, so each fails for its own reason."""
    root = write_small_data(tmp_path / "data")
    done = run(train_command.main, [*on_data(root), "hydra.run.dir=run"], tmp_path, monkeypatch, capfd)
    assert done.code == 0, done.err
    assert not done.complaints
    assert [line for line in done.told if "fewer than two videos" not in line] == []
    assert json.loads((tmp_path / "run" / "results.json").read_text())["episodes"] == 4


@pytest.mark.parametrize("mistake", TRAINING, ids=lambda mistake: mistake.__name__)
def test_training(tmp_path, monkeypatch, capfd, mistake):
    root = write_small_data(tmp_path / "data")
    overrides, words = mistake(root)
    arguments = [*on_data(root), "evaluate=false", *overrides]
    check_one_line(run(train_command.main, arguments, tmp_path, monkeypatch, capfd), words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["checkpoint is missing"]),
        (["checkpoint=/no/such/run"], ["/no/such/run", "does not exist"]),
        (["checkpoint=folder"], ["folder", "last.ckpt"]),
        (["checkpoint=broken.ckpt"], ["broken.ckpt"]),
        (
            ["checkpoint=foreign.ckpt"],
            ["foreign.ckpt", "neither a ReferFormer or CMA checkpoint nor one of ours"],
        ),
        (["checkpoint=broken.ckpt", "nonsense=1"], ["nonsense"]),
        (["checkpoint=broken.ckpt", "predictions=folder"], ["exclude each other"]),
        (["predictions=/no/such/masks"], ["/no/such/masks", "no such folder of predictions"]),
        (["predictions=folder"], ["folder", "holds no mask", "Annotations/VIDEO/EXPRESSION/FRAME.png"]),
        (["predictions=folder", "processes=2"], ["processes=1"]),
        (["checkpoint=broken.ckpt", "processes=0"], ["processes must be at least 1, got 0"]),
        (["checkpoint=broken.ckpt", "precision=fp16"], ["precision must be one of 32-true", "got 'fp16'"]),
    ],
    ids=[
        "none",
        "missing",
        "folder",
        "broken",
        "foreign",
        "key",
        "both",
        "no masks",
        "empty",
        "several",
        "zero",
        "precision",
    ],
)
def test_evaluation(tmp_path, monkeypatch, capfd, arguments, words):
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.ckpt").write_bytes(b"broken")
    torch.save({"model": {"weight": torch.zeros(2)}}, tmp_path / "foreign.ckpt")
    check_one_line(run(eval_command.main, arguments, tmp_path, monkeypatch, capfd), words)


def test_the_whole_of_stderr_is_that_line(tmp_path):
    """In a process of its own, where nothing swallows what libraries write."""
    root = write_small_data(tmp_path / "data")
    done = subprocess.run(
        [BIN / "fsrvos-train", *on_data(root), "group=7"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "fsrvos: group must be 1-4, got 7\n"
    assert done.stdout == ""
