import json
import random
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import interpolate

from fsrvos.engine.frame_scores import FrameScore, paper_size, paper_truth, score_clip
from fsrvos.engine.metrics import contour_accuracy, region_similarity
from fsrvos.engine.results import save_results
from fsrvos.engine.scores import aggregate, count_once
from fsrvos.structures import ClipSpec, EpisodeSpec


@pytest.fixture(autouse=True)
def _one_thread():
    """Small operations: threads only wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def frames(
    J, *, category="dog", video="a", expression="0", condition="right", seed=0, kind="", F=None, share=0.01
):
    """Records of one episode from its J frame by frame; F is J + 0.1, the paper's are half of both."""
    F = [value + 0.1 for value in J] if F is None else F
    which = (condition, seed, category, video, "1", expression)
    return [
        FrameScore(*which, f"{t:05d}", kind, j, f, j / 2, f / 2, round(100 * j), 100, share)
        for t, (j, f) in enumerate(zip(J, F, strict=True))
    ]


def of(records, **changes):
    return aggregate(records, experiment="smoke", group=1, seconds=3.5, **changes).to_dict()


# dog: (0.2 + 0.6) / 2 = 0.4 over expressions, though 4 of its 5 frames are at 0.6; bus: 0.8. Mean 0.6.
UNEVEN = [
    *frames([0.2], expression="0", kind="category"),
    *frames([0.6] * 4, expression="1", kind="color"),
    *frames([0.8, 0.8, 0.8], category="bus", video="b", kind="category"),
]


def test_protocols_by_hand():
    results = of(UNEVEN)
    assert results["standard"] == pytest.approx(
        {"J": 60, "F": 70, "JF": 65, "J_std": None, "F_std": None, "JF_std": None}
    )
    # Frames: (0.2 + 4 * 0.6 + 3 * 0.8) / 8 = 0.625, halved.
    assert results["paper"]["J"] == pytest.approx(31.25)
    assert results["paper"]["F"] == pytest.approx(36.25)
    assert results["paper"]["JF"] == pytest.approx(33.75)
    assert (results["episodes"], results["frames"]) == (3, 8)
    assert (results["experiment"], results["group"], results["seeds"]) == ("smoke", 1, [0])
    assert results["seconds"] == 3.5
    assert results["controls"] == {}


def test_breakdowns_by_hand():
    results = of(UNEVEN)
    assert list(results["per_category"]) == ["bus", "dog"]
    dog = results["per_category"]["dog"]
    assert (dog["J"], dog["F"], dog["JF"]) == pytest.approx((40, 50, 45))
    assert (dog["episodes"], dog["frames"]) == (2, 5)
    assert dog["paper"]["J"] == pytest.approx(100 * (0.2 + 4 * 0.6) / 5 / 2)
    assert results["per_kind"]["category"]["J"] == pytest.approx(50)
    assert results["per_kind"]["category"]["episodes"] == 2
    assert results["per_kind"]["color"]["J"] == pytest.approx(60)
    assert results["per_seed"]["0"]["J"] == pytest.approx(60)
    assert of(frames([0.5]))["per_kind"] == {}


def test_statistics_by_hand():
    J = [0.9, 0.9, 0.6, 0.55, 0.5, 0.3, 0.2, 0.1]
    results = of([*frames(J), *frames([0.8], video="b")])
    found = results["statistics"]
    # Four of eight are above 0.5 (0.5 itself is not), and the one of the other sequence.
    assert found["J_recall"] == pytest.approx((50 + 100) / 2)
    # The official borders of eight frames: round(1, 2.75, 4.5, 6.25, 8) - 1 = 0, 2, 4 (half up), 5, 7; both ends in.
    first, last = (0.9 + 0.9 + 0.6) / 3, (0.3 + 0.2 + 0.1) / 3
    assert found["J_decay"] == pytest.approx(100 * (first - last) / 2)
    assert found["F_decay"] == pytest.approx(found["J_decay"])
    assert found["F_recall"] == pytest.approx((5 / 8 + 1) / 2 * 100)
    assert found["precision"] == pytest.approx(
        {"0.5": 500 / 9, "0.6": 300 / 9, "0.7": 300 / 9, "0.8": 200 / 9, "0.9": 0}
    )
    assert found["mean_IoU"] == pytest.approx(100 * (sum(J) + 0.8) / 9)
    assert found["overall_IoU"] == pytest.approx(100 * (sum(J) + 0.8) / 9, abs=0.06)


def test_overall_iou_weighs_by_area():
    small, large = frames([0.5])[0], frames([0.25], video="b")[0]
    records = [
        replace(small, intersection=5, union=10),
        replace(large, intersection=100, union=400),
    ]
    assert of(records)["statistics"]["overall_IoU"] == pytest.approx(100 * 105 / 410)
    assert of(records)["statistics"]["mean_IoU"] == pytest.approx(37.5)
    empty = [replace(record, intersection=0, union=0) for record in records]
    assert of(empty)["statistics"]["overall_IoU"] == 100


def test_statistics_of_seeds_are_averaged():
    records = [*frames([0.9, 0.9]), *frames([0.1], seed=1), *frames([0.9], video="b", seed=1)]
    assert of(records)["statistics"]["J_recall"] == pytest.approx((100 + 50) / 2)


def test_frames_are_in_their_natural_order():
    numbered = [replace(r, frame=str(t), J=1 - t / 11) for t, r in enumerate(frames([0.0] * 12))]
    # As text, "10" and "11" come before "2". Borders of 12: round(1, 3.75, 6.5, 9.25, 12) - 1 = 0, 3, ..., 8, 11.
    assert of(numbered)["statistics"]["J_decay"] == pytest.approx(100 * (8 / 11))


def test_object_sizes():
    records = [
        *frames([0.2, 0.2], share=0.001),
        *frames([0.4], video="b", share=0.01),
        *frames([0.6], video="c", share=0.03),
        *[replace(r, share=s) for r, s in zip(frames([0.8] * 3, video="d"), (0.0, 0.0, 0.04), strict=True)],
    ]
    sizes = of(records)["per_size"]
    assert list(sizes) == ["small", "medium", "large"]
    assert [sizes[size]["J"] for size in sizes] == pytest.approx([20, 40, 70])
    assert [sizes[size]["episodes"] for size in sizes] == [1, 1, 2]
    assert list(of(frames([0.5], share=0.0))["per_size"]) == ["small"]


def test_seeds_are_averaged_last():
    # Seed 1 has one frame only, and weighs as much as seed 0.
    records = [*frames([0.2, 0.4]), *frames([0.9], video="z", seed=1)]
    results = of(records)
    assert results["seeds"] == [0, 1]
    assert results["standard"]["J"] == pytest.approx((30 + 90) / 2)
    assert results["standard"]["J_std"] == pytest.approx(60 / 2**0.5)
    assert results["paper"]["J"] == pytest.approx((15 + 45) / 2)
    assert results["paper"]["F_std"] == pytest.approx(30 / 2**0.5)
    assert [results["per_seed"][seed]["J"] for seed in ("0", "1")] == pytest.approx([30, 90])
    assert results["per_category"]["dog"]["episodes"] == 2


def test_a_category_that_one_seed_lacks_counts_where_it_is():
    records = [*frames([0.2]), *frames([0.6], category="bus", video="b"), *frames([0.4], seed=1)]
    results = of(records)
    assert results["standard"]["J"] == pytest.approx((40 + 40) / 2)
    assert results["per_category"]["bus"]["J"] == pytest.approx(60)


def test_controls_stand_beside_the_right_score_on_their_own_episodes():
    records = [
        *UNEVEN,
        *frames([0.1], expression="0", condition="wrong_text"),
        *frames([0.3, 0.3, 0.3], category="bus", video="b", condition="wrong_text"),
        *[replace(record, condition="no_support", J=0.0, paper_J=0.0) for record in UNEVEN],
    ]
    results = of(records)
    assert set(results["controls"]) == {"wrong_text", "no_support"}
    wrong_text = results["controls"]["wrong_text"]
    assert wrong_text["standard"]["J"] == pytest.approx(20)
    assert wrong_text["paper"]["J"] == pytest.approx(100 * (0.1 + 0.9) / 4 / 2)
    assert wrong_text["right_on_same"]["standard"]["J"] == pytest.approx(50)
    assert wrong_text["right_on_same"]["paper"]["J"] == pytest.approx(100 * (0.2 + 2.4) / 4 / 2)
    assert (wrong_text["episodes"], wrong_text["frames"]) == (2, 4)
    none = results["controls"]["no_support"]
    assert none["standard"]["J"] == 0
    assert none["right_on_same"]["standard"] == results["standard"]
    # Controls leave the headline alone.
    assert results["standard"] == of(UNEVEN)["standard"]


def test_any_split_over_processes_gives_identical_numbers():
    generator = random.Random(0)
    records = [
        record
        for seed in range(3)
        for video in range(4)
        for record in frames([generator.random() for _ in range(5)], video=str(video), seed=seed)
    ]
    expected = json.dumps(of(records))
    for processes in (2, 3):
        parts = [records[rank::processes] for rank in range(processes)]
        parts[-1] = parts[-1] + parts[0][:2]  # what a padding sampler does
        generator.shuffle(parts)
        assert json.dumps(of([record for part in parts for record in part])) == expected


def test_duplicates_are_counted_once():
    assert of(UNEVEN + UNEVEN[:4]) == of(UNEVEN)
    assert len(count_once(UNEVEN * 3)) == len(UNEVEN)
    # The same frame under another seed, expression or condition is another record.
    first = UNEVEN[0]
    others = [
        replace(first, seed=9),
        replace(first, expression_id="9"),
        replace(first, condition="no_support"),
    ]
    assert len(count_once([first, *others])) == 4


def test_disagreeing_duplicates_are_told():
    low, high = frames([0.5])[0], frames([0.6])[0]
    for records in ([low, high], [high, low]):
        with pytest.warns(UserWarning, match="1 frames scored twice"):
            assert count_once(records) == [low]


def test_nothing_scored_or_a_control_alone():
    with pytest.raises(ValueError, match="no frame was scored"):
        of([])
    with pytest.raises(ValueError, match="no frame was scored"):
        of(frames([0.5], condition="no_support"))
    with pytest.raises(ValueError, match=r"wrong_support was scored where right was not: .*video b"):
        of([*frames([0.5]), *frames([0.5], video="b", condition="wrong_support")])


def test_results_json(tmp_path):
    results = aggregate(UNEVEN, experiment="smoke", group=1, seconds=1.0)
    path = tmp_path / "new" / "results.json"
    save_results(results, path)
    assert json.loads(path.read_text()) == results.to_dict()
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


@pytest.mark.parametrize(
    ("native", "resized"),
    [((480, 854), (360, 640)), ((854, 480), (640, 360)), ((112, 192), (360, 617)), ((360, 360), (360, 360))],
)
def test_paper_size(native, resized):
    assert paper_size(*native) == resized


def spec(count):
    query = ClipSpec("a", "1", "0", "the dog", tuple(f"{t:05d}" for t in range(count)))
    return EpisodeSpec(0, "dog", query, ())


def test_score_clip():
    generator = torch.Generator().manual_seed(0)
    truth = interpolate(torch.rand(3, 1, 9, 12, generator=generator), (90, 120), mode="bicubic")[:, 0] > 0.5
    prediction = truth.roll((2, 3), (1, 2))
    truth[1], prediction[1] = False, False
    paper = paper_truth(prediction)
    assert paper.shape == (3, 360, 480)
    records = score_clip(spec(3), prediction, truth, paper, condition="no_support", seed=4, kind="size")
    assert [record.frame for record in records] == ["00000", "00001", "00002"]
    first = records[0]
    assert first.episode == (4, "dog", "a", "1", "0")
    assert (first.condition, first.kind) == ("no_support", "size")
    assert region_similarity(prediction, truth)[0].item() == first.J
    assert contour_accuracy(prediction, truth, 0.008)[0].item() == first.F
    resized = interpolate(truth[:, None].double(), (360, 480), mode="bilinear")[:, 0] > 0.5
    assert first.paper_J == pytest.approx(region_similarity(paper, resized)[0].item(), abs=1e-4)
    assert first.paper_F == contour_accuracy(paper, paper_truth(truth), 0.010)[0].item()
    assert first.paper_F != contour_accuracy(paper, paper_truth(truth), 0.008)[0].item()
    overlap = (prediction[0] & truth[0]).sum().item(), (prediction[0] | truth[0]).sum().item()
    assert (first.intersection, first.union) == overlap
    assert first.share == pytest.approx(truth[0].sum().item() / (90 * 120))
    assert (records[1].J, records[1].F, records[1].paper_J, records[1].paper_F) == (1, 1, 1, 1)


def test_score_clip_names_what_does_not_fit():
    masks, paper = torch.zeros(2, 90, 120, dtype=torch.bool), torch.zeros(2, 360, 480, dtype=torch.bool)
    with pytest.raises(ValueError, match="a: 3 frames named, 2 masks"):
        score_clip(spec(3), masks, masks, paper, condition="right", seed=0)
    with pytest.raises(ValueError, match=r"condition must be one of right, wrong_support.*got 'left'"):
        score_clip(spec(2), masks, masks, paper, condition="left", seed=0)
    with pytest.raises(ValueError, match="one shape"):
        score_clip(spec(2), masks, masks, masks, condition="right", seed=0)
