"""The change of domain of benchmarks/adapt.py, its clips and its tables; adapting itself is tested elsewhere."""

import torch
from adapt import NUMBERS, changed, filmed, per_task, summary

from fsrvos.data.synthetic.categories import held_out_numbers


def test_categories_are_held_out():
    assert set(NUMBERS) <= set(held_out_numbers(1))


def test_the_domain_changes_and_the_object_stays_in_sight():
    (clip,) = filmed(1, 1)
    other = changed(clip, 0)
    assert other.frames.shape == clip.frames.shape
    assert other.masks.any()
    assert other.expression == clip.expression
    ratio = other.masks.sum() / clip.masks.sum()
    assert 1 < ratio < 1.9, "zoomed by 4/3, perhaps cut"
    means = [x.frames.float().mean((0, 2, 3)) for x in (clip, other)]
    torch.testing.assert_close(means[1], 255 - means[0][[2, 0, 1]], atol=40, rtol=0)
    again = changed(clip, 0)
    assert torch.equal(again.frames, other.frames)


def record(recipe, task, before, after, kind="synthetic"):
    return {
        "recipe": recipe, "seed": 0, "task": task, "kind": kind, "before": before, "after": after, "plain_before": 50.0,
        "plain_after": 40.0, "better": after > before, "held_back_before": before, "held_back_after": after,
        "best_step": 20, "steps": 40, "core_minutes": 1.0,
    }  # fmt: skip


def test_recipes_are_compared_on_the_same_tasks():
    records = [record("default", "a", 20.0, 60.0), record("default", "b", 30.0, 20.0)]
    assert "25.0 ± 7.1" in summary(records)
    assert "1 of 2" in summary(records)
    both = summary([*records, record("no mixing", "a", 20.0, 50.0)])
    (line,) = [line for line in both.splitlines() if "synthetic: no mixing" in line]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:4] == ["1", "50.0", "60.0"], "task b has one recipe only"
    assert per_task(records).count("better") == 2
