"""The network against arrays of the published one, on weights and inputs that NumPy makes on every machine.

benchmarks/parity.py runs the cases; here it runs on the part of them that tests/data/parity holds.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import parity
import pytest

DATA = Path(__file__).parents[1] / "data" / "parity"
SHARED = Path(__file__).parents[3] / "shared" / "parity"
CASES = parity.read_cases(DATA)
INPUTS = parity.load_inputs(DATA / "inputs.py")


def golden(name):
    with np.load(DATA / f"{name}.npz") as stored:
        return dict(stored)


def test_all_ten_cases_are_here():
    assert len(CASES) == 10
    assert {case["variant"] for case in CASES.values()} == {"cma", "base", "self", "referformer"}
    backbones = {case.get("backbone", "resnet50") for case in CASES.values()}
    assert backbones == {"resnet50", "swin_t_p4w7", "video_swin_t_p4w7"}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_published_network(name):
    arrays = golden(name)
    assert {"pred_logits", "pred_boxes", "pred_masks", "reference_points"} <= arrays.keys()
    outcome = parity.run_case(CASES[name], arrays, INPUTS)
    beyond = [c for c in outcome.arrays + outcome.losses if not c.passes]
    assert not beyond
    assert outcome.matched is not None
    assert outcome.matched[0] == outcome.matched[1]
    assert len(outcome.losses) == 21
    assert outcome.passes


@pytest.fixture
def one_case(tmp_path):
    """A folder with the smallest case, and a way to write its arrays and its description anew."""
    name = "referformer_swin_t"

    def write(arrays, case):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        (tmp_path / "cases.json").write_text(json.dumps({"cases": {name: case}}))
        return tmp_path

    shutil.copy(DATA / "inputs.py", tmp_path)
    return write, golden(name), CASES[name]


@pytest.mark.parametrize(
    "wrong", ["nothing", "an array", "a shape", "a loss", "the query", "an unknown array", "salt"]
)
def test_the_harness_tells_what_deviates(one_case, wrong, monkeypatch, capsys):
    write, arrays, case = one_case
    arrays, case = {key: arrays[key] for key in ("pred_boxes", "backbone_q3_mean")}, dict(case)
    if wrong == "an array":
        arrays["pred_boxes"] = arrays["pred_boxes"] + 3e-4 * np.abs(arrays["pred_boxes"]).max()
    elif wrong == "a shape":
        arrays["pred_boxes"] = arrays["pred_boxes"][:, :1]
    elif wrong == "a loss":
        case["losses"] = {**case["losses"], "loss_dice_1": case["losses"]["loss_dice_1"] * 1.001}
    elif wrong == "the query":
        case["matched_query"] = (case["matched_query"] + 1) % 5
    elif wrong == "an unknown array":
        arrays["something"] = np.zeros(3, np.float32)
    elif wrong == "salt":
        case["salt"] = "other weights"
    monkeypatch.setattr(sys, "argv", ["parity.py", "--cases", str(write(arrays, case))])
    assert parity.main() == (0 if wrong == "nothing" else 1)
    out = capsys.readouterr().out
    marked = [line.split()[0] for line in out.splitlines() if "BEYOND" in line]
    expected = {"an array": ["pred_boxes"], "a shape": ["pred_boxes"], "a loss": ["loss_dice_1"]}
    expected |= {"nothing": [], "the query": [], "an unknown array": ["something"]}
    if wrong in expected:
        assert marked == expected[wrong]
    else:
        assert set(arrays) < set(marked)
    assert ("BUT" in out) == (wrong in ("the query", "salt") and "BUT" in out)


def test_no_cases_are_no_success(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["parity.py", "--cases", str(tmp_path)])
    with pytest.raises(SystemExit, match="holds no cases"):
        parity.main()


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/parity is not beside this checkout")
def test_the_copy_equals_the_original():
    original = parity.load_inputs(SHARED / "inputs.py")
    for shape in ((3, 4, 1, 1), (5,)):
        for key in ("a.weight", "a.bias", "a.running_var", "a.running_mean"):
            for salt in ("", "s"):
                np.testing.assert_array_equal(
                    INPUTS.tensor(key, shape, salt), original.tensor(key, shape, salt)
                )
    np.testing.assert_array_equal(INPUTS.clip("c", (2, 3, 20, 30)), original.clip("c", (2, 3, 20, 30)))
    np.testing.assert_array_equal(INPUTS.masks("c", (2, 20, 30)), original.masks("c", (2, 20, 30)))
    assert parity.read_cases(SHARED) == CASES
    for file in ("state_dict_shapes.json", "state_dict_shapes_referformer.json"):
        assert json.loads((SHARED / file).read_text()) == json.loads((DATA / file).read_text())
    for name in CASES:
        with np.load(SHARED / f"{name}.npz") as stored:
            for key, array in golden(name).items():
                np.testing.assert_array_equal(array, stored[key])
                assert array.dtype == stored[key].dtype
