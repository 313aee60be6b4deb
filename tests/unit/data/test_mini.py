from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path

import pytest
from planting import EXPRESSIONS, IMAGES, MASKS, META, edit_json
from zoo import Film, Thing, one, read_quietly, write

from fsrvos.cli.data import main
from fsrvos.data import mini
from fsrvos.data.annotations import Annotations
from fsrvos.data.mini import make_mini
from fsrvos.data.validation import validate
from fsrvos.errors import UserError

KEPT = ["both", "cat_a", "cat_b"]


def ref_youtube_vos(root: Path, **options: str) -> Path:
    """Five videos: two cats, a cat beside an owl, an owl alone, a dog that no expression refers to beside a knife."""
    films = {
        "cat_a": Film(3, {"1": one("cat", "a cat")}),
        "cat_b": Film(2, {"1": one("cat", "the cat", "a grey cat")}),
        "both": Film(2, {"1": one("owl", "an owl"), "2": one("cat", "a cat"), "3": one("dog", "a dog")}),
        "owl": Film(2, {"1": one("owl", "an owl")}),
        "unsaid": Film(2, {"1": Thing("dog", []), "2": one("knife", "a knife")}),
    }
    return write(root, films, **options)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return ref_youtube_vos(tmp_path / "Ref-YouTube-VOS")


def listing(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for folder, _, names in os.walk(root, followlinks=True)
        for path in (Path(folder) / name for name in names)
    }


@pytest.mark.parametrize("link", ["symlink", "hard", "copy"])
def test_what_is_kept(source, tmp_path, link):
    made = make_mini(source, tmp_path / "out", link)
    assert (made.videos, made.source_videos, made.was_there) == (3, 5, False)
    assert {name: videos for name, videos in made.per_category.items() if videos} == {"cat": 3, "dog": 1}
    assert len(made.per_category) == 48
    for name, whole in ((EXPRESSIONS, source / EXPRESSIONS), (META, source / META)):
        there = json.loads(whole.read_text())["videos"]
        assert json.loads((made.root / name).read_text()) == {
            "videos": {video: there[video] for video in KEPT}
        }
    for folder in (IMAGES, MASKS):
        assert sorted(path.name for path in (made.root / folder).iterdir()) == KEPT
        for video in KEPT:
            files = listing(source / folder / video)
            assert files
            assert listing(made.root / folder / video) == files
            target = made.root / folder / video
            assert target.is_symlink() == (link == "symlink")
            inode = next(iter(files))
            assert (target / inode).samefile(source / folder / video / inode) == (link != "copy")


@pytest.mark.parametrize("link", ["symlink", "hard", "copy"])
def test_the_readers_take_it_and_it_is_clean(source, tmp_path, link):
    root = make_mini(source, tmp_path / "out", link).root
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert Annotations(root).category_videos == {"cat": ("both", "cat_a", "cat_b")}
    assert read_quietly(root).category_videos == read_quietly(source).category_videos
    (result,) = validate(root, workers=1)
    assert result.faults == []


def test_meta_json_at_the_root(tmp_path):
    source = ref_youtube_vos(tmp_path / "ref", meta="meta.json")
    assert make_mini(source, tmp_path / "out").videos == 3


def test_the_same_call_again_leaves_it_as_it_is(source, tmp_path):
    root = make_mini(source, tmp_path / "out", "copy").root
    (root / IMAGES / "cat_a/00000.jpg").write_text("touched")
    assert make_mini(source, tmp_path / "out", "copy").was_there
    assert (root / IMAGES / "cat_a/00000.jpg").read_text() == "touched"


def test_nothing_else_is_overwritten(source, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(
        UserError, match=r"other exists and was not made by `fsrvos-data mini`: choose another"
    ):
        make_mini(source, other)
    assert listing(other) == {"thesis.txt": b"mine"}
    with pytest.raises(UserError, match="exists and was not made by"):
        make_mini(source, source)
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(UserError, match="exists and was not made by"):
        make_mini(source, file)
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="exists and was not made by"):
        make_mini(source, dangling)
    make_mini(source, tmp_path / "out", "symlink")
    with pytest.raises(UserError, match="out was made with other link: choose another folder"):
        make_mini(source, tmp_path / "out", "copy")


@pytest.mark.parametrize("link", ["symlink", "hard", "copy"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_an_interrupted_build_leaves_nothing(source, tmp_path, monkeypatch, link, stop):
    before = listing(source)
    take = mini._take_video

    def stopping(layout, video, *rest):
        if video == "cat_a":
            raise stop
        take(layout, video, *rest)

    monkeypatch.setattr(mini, "_take_video", stopping)
    with pytest.raises(stop):
        make_mini(source, tmp_path / "out", link)
    assert [path.name for path in tmp_path.iterdir()] == [source.name]
    assert listing(source) == before  # what was removed were links alone


def test_a_source_with_faults_is_refused(source, tmp_path):
    def refused(said: str, link: str = "copy") -> None:
        with pytest.raises(UserError, match=said):
            make_mini(source, tmp_path / "out", link)
        assert not (tmp_path / "out").exists()

    (source / IMAGES / "cat_a/00005.jpg").unlink()
    refused("cat_a/00005.jpg: missing; `fsrvos-data validate` lists all")
    shutil.rmtree(source / MASKS / "both")
    refused("Annotations/both: missing", "symlink")
    edit_json(source / EXPRESSIONS, lambda videos: videos["owl"]["expressions"]["0"].pop("obj_id"))
    refused("video 'owl', expression '0' has no \"obj_id\"")
    (source / "categories.json").write_text('{"categories": ["a"]}')
    refused("has a categories.json of its own")


def test_nothing_of_the_48_categories(tmp_path):
    source = write(tmp_path / "ref", {"owl": Film(2, {"1": one("owl", "an owl")})})
    with pytest.raises(UserError, match="no video has an object of the 48 categories"):
        make_mini(source, tmp_path / "out")


def test_an_interrupt_is_one_line(source, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(mini, "_take_video", interrupted)
    assert main(["mini", "--from", str(source), "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err == "fsrvos-data: interrupted\n"


def test_the_command(source, tmp_path, capsys):
    assert main(["mini", "--from", str(source), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path / 'out'}: made, from {source}" in said
    assert "videos: 3 of 5; published: 1,668 (1,665 fewer here)" in said
    assert "cat               3" in said
    assert "47 categories have fewer than two videos" in said
    assert main(["mini", "--from", str(source), "--out", str(tmp_path / "out")]) == 0
    assert "already there" in capsys.readouterr().out
    assert main(["mini", "--from", str(tmp_path / "nowhere"), "--out", str(tmp_path / "new")]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("fsrvos-data: ")
    assert len(complaint.splitlines()) == 1
