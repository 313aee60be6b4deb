"""What a search gets from a run: the right number, never the worst score, and a clear word where there is none."""

import json

import pytest
import torch

from fsrvos.cli import search
from fsrvos.errors import UserError


@pytest.fixture
def results(tmp_path):
    file = tmp_path / "results.json"
    file.write_text(json.dumps({"standard": {"J": 40.0, "F": 50.0, "JF": 45.0}, "paper": {"J": 41.0}}))
    return file


@pytest.fixture
def searching(monkeypatch):
    monkeypatch.setattr(search, "in_search", lambda: True)


LOGGED = {"val/J": torch.tensor(0.25), "train/loss": torch.tensor(3.0), "train/dice_0": torch.tensor(1.0)}


@pytest.mark.parametrize(
    ("key", "value"), [("val/J", 0.25), ("train/loss", 3.0), ("standard/JF", 45.0), ("paper/J", 41.0)]
)
def test_a_logged_metric_or_a_score_of_the_test(results, key, value):
    found = search.optimized_value(key, LOGGED, results)
    assert found == pytest.approx(value)
    assert isinstance(found, float)


def test_a_run_by_itself_may_lack_it(results, tmp_path):
    assert search.optimized_value("val/none", LOGGED, results) is None
    assert search.optimized_value("standard/J", LOGGED, tmp_path / "none.json") is None


def test_a_search_may_not(results, searching):
    with pytest.raises(
        UserError, match=r"optimized_metric=paper/F .* has train/loss, val/J, standard/J, .*paper/J$"
    ):
        search.optimized_value("paper/F", LOGGED, results)
