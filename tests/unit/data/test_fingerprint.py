"""Same bytes, same fingerprint; another byte or a lost frame, another one."""

import shutil

import pytest
from zoo import Film, one, write

from fsrvos.data.annotations import Annotations
from fsrvos.data.fingerprint import fingerprint

pytestmark = pytest.mark.filterwarnings("ignore:.*fewer than two videos.*")


@pytest.fixture
def root(tmp_path):
    return write(tmp_path / "data", {f"v{n}": Film(4, {"1": one("dog", "a dog")}) for n in range(3)})


def of(root):
    return fingerprint(Annotations(root))


def test_it_is_the_same_wherever_the_data_lie(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "elsewhere")
    here, there = of(root), of(copy)
    assert len(here["fingerprint"]) == 16
    assert here.pop("root") != there.pop("root")
    assert here == there == {k: v for k, v in of(root).items() if k != "root"}
    assert here["frames"] == 12
    assert set(here["files"]) == {"meta", "expressions"}


@pytest.mark.parametrize("name", ["train/meta.json", "meta_expressions/train/meta_expressions.json"])
def test_a_byte_of_json_changes_it(root, name):
    before = of(root)
    (root / name).write_bytes((root / name).read_bytes() + b" ")
    after = of(root)
    assert after["fingerprint"] != before["fingerprint"]
    changed = {part for part, digest in after["files"].items() if digest != before["files"][part]}
    assert changed == {"meta" if name.endswith("/meta.json") else "expressions"}


def test_a_lost_frame_changes_it(root):
    before = of(root)
    next((root / "train" / "JPEGImages" / "v1").iterdir()).unlink()
    (root / "train" / "JPEGImages" / "v1" / "notes.txt").touch()  # no frame
    after = of(root)
    assert (before["frames"], after["frames"]) == (12, 11)
    assert after["fingerprint"] != before["fingerprint"]
    assert after["files"] == before["files"]
