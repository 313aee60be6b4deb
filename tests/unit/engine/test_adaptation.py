"""The module of an adaptation: parts that stay, batch norms that keep their statistics; and the verdict."""

import pytest
import torch
from own_clips import square_clip
from tiny import tiny_model

from fsrvos.data.collate import collate
from fsrvos.data.held_back import hold_back
from fsrvos.data.own_episodes import OwnEpisodes
from fsrvos.data.strong_transform import StrongTransform
from fsrvos.data import transforms
from fsrvos.engine.adaptation import Adaptation, AdaptationModule, Curve
from fsrvos.engine.adaptation_report import markdown, spans, verdict
from fsrvos.engine.criterion import Criterion
from fsrvos.engine.held_back_scores import Scorer
from fsrvos.engine.optimizers import Recipe
from fsrvos.errors import UserError


def clips():
    return [hold_back(name, "it", square_clip(8, seed), 0.5) for seed, name in enumerate("ab")]


def test_frozen_parts_and_statistics_stay():
    model = tiny_model()
    module = AdaptationModule(model, Criterion(), Recipe(1e-2), ["text_encoder"])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer, _ = Recipe(1e-2).build(model, 1)
    module.train()
    drawn = OwnEpisodes(clips(), StrongTransform(48), length=2)
    batch = collate([drawn[0], drawn[1]])
    Criterion()(model(batch.query, batch.support), batch.targets).total.backward()
    optimizer.step()
    after = model.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert not {name for name in changed if name.startswith("text_encoder.") or "running" in name}
    assert any(name.startswith("backbone.") for name in changed)
    assert any(name.startswith("mask_head.") for name in changed)


def test_a_part_that_is_not_there():
    with pytest.raises(UserError, match=r"no part 'head'; there are .*backbone"):
        AdaptationModule(tiny_model(), Criterion(), Recipe(), ["head"])


@pytest.mark.parametrize("part", ["stop", "report"])
def test_scores_are_those_of_the_part(part):
    """Truth from the masks that a network answers with: J is 1, and falls with the truth of the other part."""
    of = clips()
    scorer = Scorer(of, transforms.TestTransform(48, None), window=2)
    model = tiny_model()
    scores = scorer(model, part)
    assert set(scores) == {"a", "b"}
    assert all(0 <= J <= 1 for J in scores.values())
    other = Scorer(of, transforms.TestTransform(48, None), window=2)
    for own in of:
        own.clip.masks[list(getattr(own, part))] = ~own.clip.masks[list(getattr(own, part))]
    assert other(model, part) != scores
    rest = "report" if part == "stop" else "stop"
    assert other(model, rest) == scorer(model, rest)


def found(before, after, stop, better):
    curve = Curve([1.0, 0.5], dict(enumerate(stop)), best_step=1)
    return Adaptation(curve, {"a": before}, {"a": after}, better)


def test_verdict_is_one_line():
    assert verdict(found(0.4, 0.6, (0.3, 0.5), True), True) == (
        "better: J 40.0 -> 60.0 on held-back frames (step 1)"
    )
    worse = verdict(found(0.4, 0.3, (0.5, 0.3), False), False)
    assert worse.startswith("not better: J 40.0 -> 30.0")
    assert "no state beat 50.0" in worse
    assert worse.endswith("network not written")


def test_spans():
    assert spans((0, 1, 2, 5, 7, 8)) == "0-2, 5, 7-8"
    assert spans(()) == "-"


def test_report_says_when_it_is_optimistic():
    record = {
        "verdict": "better",
        "checkpoint": "x",
        "steps_done": 4,
        "best_step": 2,
        "interrupted": False,
        "J_before": 10.0,
        "J_after": 20.0,
        "per_clip": {"a": {"before": 10.0, "after": 20.0}},
        "clips": {"a": {"phrase": "the dax", "train": [0, 1], "stop": [2], "report": [2]}},
        "settings": {"steps": 4},
    }
    assert "optimistic" in markdown({**record, "reported_apart": False})
    assert "optimistic" not in markdown({**record, "reported_apart": True})
