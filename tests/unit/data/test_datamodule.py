from __future__ import annotations

import itertools
import json
import multiprocessing
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import lightning
import pytest
import torch
from conftest import SHARED
from zoo import Film, one, write, zoo

from fsrvos.data.annotations import Annotations
from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.data.datasets import TrainDataset, read_episode
from fsrvos.data.episodes import TrainEpisodes
from fsrvos.data.loading import EpisodeSampler
from fsrvos.data.transforms import TestTransform as SizeTransform
from fsrvos.data.transforms import TrainTransform
from fsrvos.errors import UserError
from fsrvos.structures import Batch

SMALL = TrainTransform(
    (16, 24), 48, crop_short_sides=(24, 32), crop_min=16, crop_max=30, rename_probability=0.3
)
QUICK = {"episodes_per_category": 5, "query_frames": 3, "support_frames": 3}

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fewer than two videos.*"),
    pytest.mark.filterwarnings("ignore:.*worker processes in total.*"),
]


def module(root, **arguments) -> EpisodeDataModule:
    defaults = {**QUICK, "train_transform": SMALL, "test_transform": SizeTransform(20, 40)}
    return EpisodeDataModule(root, **{**defaults, **arguments})


def same(one_batch: Batch, other: Batch) -> bool:
    """Whether two batches hold the same pixels, masks, boxes, phrases and specs."""
    pairs = [
        (one_batch.query.frames, other.query.frames),
        (one_batch.query.padding_mask, other.query.padding_mask),
        (one_batch.targets.masks, other.targets.masks),
        (one_batch.targets.boxes, other.targets.boxes),
        (one_batch.support.frames, other.support.frames),
        (one_batch.support.masks, other.support.masks),
        (one_batch.support.owner, other.support.owner),
    ]
    return (
        all(torch.equal(left, right) for left, right in pairs)
        and one_batch.specs == other.specs
        and one_batch.query.expressions == other.query.expressions
        and one_batch.support.expressions == other.support.expressions
    )


def epochs(root, num_workers: int, num_epochs: int = 2, **arguments) -> list[list[Batch]]:
    loader = module(root, num_workers=num_workers, **arguments).train_dataloader()
    batches = []
    for epoch in range(num_epochs):
        loader.sampler.set_epoch(epoch)
        batches.append(list(loader))
    return batches


# ---------------------------------------------------------------- workers and ranks


@pytest.fixture(scope="module")
def reference(zoo_root) -> list[list[Batch]]:
    return epochs(zoo_root, num_workers=0, batch_size=2)


@pytest.mark.parametrize("num_workers", [1, 3])
def test_workers_change_nothing(zoo_root, reference, num_workers):
    ours = epochs(zoo_root, num_workers, batch_size=2)  # one loader: its workers persist over both epochs
    assert [len(epoch) for epoch in ours] == [8, 8]
    for epoch, expected in zip(ours, reference, strict=True):
        assert all(itertools.starmap(same, zip(epoch, expected, strict=True)))


def test_two_epochs_differ_and_a_second_look_does_not(zoo_root, reference):
    assert not any(itertools.starmap(same, zip(reference[0], reference[1], strict=True)))
    again = epochs(zoo_root, num_workers=0, batch_size=2)
    assert all(itertools.starmap(same, zip(again[1], reference[1], strict=True)))
    other = epochs(zoo_root, num_workers=0, batch_size=2, seed=1, num_epochs=1)
    assert not any(itertools.starmap(same, zip(other[0], reference[0], strict=True)))


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_two_ranks_share_an_epoch(zoo_root, num_workers):
    single = {batch.specs[0].index: batch for batch in epochs(zoo_root, 0, num_epochs=1)[0]}
    seen = []
    for rank in range(2):
        data = module(zoo_root, num_workers=num_workers)
        data.trainer = type("Ranked", (), {"global_rank": rank, "world_size": 2})()
        batches = list(data.train_dataloader())
        assert all(same(batch, single[batch.specs[0].index]) for batch in batches)
        seen.append([batch.specs[0].index for batch in batches])
    assert seen == [[0, 2, 4, 6, 8, 10, 12, 14], [1, 3, 5, 7, 9, 11, 13, 0]]


@pytest.mark.parametrize("total", [1, 7, 12, 13])
@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("drop_last", [False, True])
def test_ranks_are_disjoint_and_complete(total, world_size, drop_last):
    shares = [
        list(EpisodeSampler(total, epoch=4, rank=rank, world_size=world_size, drop_last=drop_last))
        for rank in range(world_size)
    ]
    lengths = {len(share) for share in shares}
    assert len(lengths) == 1
    whole = total // world_size * world_size
    together = sorted(itertools.chain.from_iterable(shares))
    if drop_last:
        assert together == [(4, index) for index in range(whole)]
    else:
        assert set(together) == {(4, index) for index in range(total)}
        assert len(together) - total == -total % world_size
    for rank in range(world_size):
        sampler = EpisodeSampler(total, rank=rank, world_size=world_size, drop_last=drop_last)
        assert len(sampler) == len(shares[rank])


@pytest.mark.parametrize("start", [0, 2, 4, 12])
def test_a_sampler_starts_inside_its_first_epoch_only(start):
    sampler = EpisodeSampler(12, epoch=3, start=start, rank=1, world_size=2)
    assert list(sampler) == [(3, index) for index in range(start + 1, 12, 2)]
    assert len(sampler) == 6
    sampler.set_epoch(4)
    assert list(sampler) == [(4, index) for index in range(1, 12, 2)]


class Recorder(lightning.LightningModule):
    """Notes which episodes a run trains on."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, list[int], int]] = []

    def training_step(self, batch: Batch, batch_idx: int):
        self.seen.append((self.current_epoch, [spec.seed for spec in batch.specs], batch_idx))
        return self.weight.sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(tmp_path: Path, **arguments) -> lightning.Trainer:
    options = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "limit_val_batches": 0,
        "default_root_dir": tmp_path,
    }
    return lightning.Trainer(**{**options, **arguments})


@pytest.fixture(scope="module")
def whole(zoo_root, tmp_path_factory) -> Recorder:
    """A run of three epochs that nothing stops."""
    model = Recorder()
    folder = tmp_path_factory.mktemp("whole")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer(folder, max_epochs=3).fit(model, datamodule=module(zoo_root, batch_size=2))
    assert len(model.seen) == 24
    assert len({seed for _, seeds, _ in model.seen for seed in seeds}) == 45
    return model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("done", "num_workers"), [(3, 0), (3, 1), (8, 0), (11, 0)])
def test_training_goes_on_inside_an_epoch(zoo_root, tmp_path, whole, num_workers, done):

    class Stopped(Recorder):
        def on_train_batch_end(self, *_):
            if len(self.seen) == done:
                self.trainer.save_checkpoint(tmp_path / "stop.ckpt")

    first = Stopped()
    data = module(zoo_root, batch_size=2, num_workers=num_workers)
    trainer(tmp_path, max_epochs=3, max_steps=done).fit(first, datamodule=data)
    assert first.seen == whole.seen[:done]
    second = Recorder()
    data = module(zoo_root, batch_size=2, num_workers=num_workers)
    trainer(tmp_path, max_epochs=3).fit(second, datamodule=data, ckpt_path=tmp_path / "stop.ckpt")
    assert second.seen == whole.seen[done:]


@pytest.mark.filterwarnings("ignore")
def test_lightning_gives_each_rank_its_share(zoo_root, tmp_path):
    class Written(Recorder):
        def on_train_end(self):
            (tmp_path / f"{self.global_rank}.json").write_text(json.dumps(self.seen))

    options = {"strategy": "ddp_fork", "devices": 2, "max_epochs": 2}
    trainer(tmp_path, **options).fit(Written(), datamodule=module(zoo_root))
    source = module(zoo_root).train_episodes
    for rank in range(2):
        seen = [(epoch, seeds) for epoch, seeds, _ in json.loads((tmp_path / f"{rank}.json").read_text())]
        assert seen == [
            (epoch, [source.spec(epoch, position % 15).seed])
            for epoch in range(2)
            for position in range(rank, 16, 2)
        ]


@pytest.mark.filterwarnings("ignore")
def test_overfitting_with_lightnings_own_sampler(zoo_root, tmp_path):
    model = Recorder()
    fit = trainer(tmp_path, max_epochs=2, overfit_batches=2)
    fit.fit(model, datamodule=module(zoo_root))
    assert [epoch for epoch, _, _ in model.seen] == [0, 0, 1, 1]
    assert model.seen[0][1] == model.seen[2][1]  # overfitting sees the same episodes again


# ---------------------------------------------------------------- what episodes read


def test_held_out_categories_never_train(zoo_root):
    data = module(zoo_root, episodes_per_category=60)
    categories = {data.train_episodes.spec(epoch, index).category for epoch in (0, 1) for index in range(180)}
    assert categories == {"plant", "hand", "horse"}
    tested = {spec.category for batch in data.test_dataloader() for spec in batch.specs}
    assert tested == {"hat", "raccoon", "crocodile"}


def test_renaming_says_one_word_in_query_and_support(annotations):
    transform = TrainTransform((24,), None, flip=0.0, crop=False, photometric=False, rename_probability=0.5)
    episodes = TrainEpisodes(annotations, ["plant"], 0, **QUICK)
    renamed = 0
    nouns = set()
    for epoch in range(8):
        for index in range(len(episodes)):
            spec = episodes.spec(epoch, index)
            episode = read_episode(annotations, spec, transform)
            if "plant" in episode.expression:
                assert episode.expression == spec.query.expression
                assert episode.support[0].expression == spec.support[0].expression
                continue
            renamed += 1
            noun = next(
                word for word in episode.expression.split() if word not in spec.query.expression.split()
            )
            nouns.add(noun)
            assert episode.expression == spec.query.expression.replace("plant", noun)
            assert episode.support[0].expression == spec.support[0].expression.replace("plant", noun)
    assert 8 < renamed < 32
    assert len(nouns) == renamed
    never = TrainTransform((24,), None, crop=False)
    assert all("plant" in TrainDataset(episodes, never)[0, index].expression for index in range(5))


def test_query_and_support_have_draws_of_their_own(annotations):
    transform = TrainTransform((24,), None, crop=False, photometric=False)
    episodes = TrainEpisodes(annotations, ["plant", "hand"], 0, episodes_per_category=20)
    sides = set()
    for index in range(len(episodes)):
        spec = episodes.spec(0, index)
        episode = read_episode(annotations, spec, transform)
        phrases = [(episode.expression, spec.query), (episode.support[0].expression, spec.support[0])]
        if all("left" in clip.expression for _, clip in phrases):
            sides.add(tuple("right" in phrase for phrase, _ in phrases))
    assert sides == {(False, False), (False, True), (True, False), (True, True)}


def test_visibility_is_that_of_the_masks(annotations):
    episodes = TrainEpisodes(annotations, ["plant"], 0, episodes_per_category=40)
    dataset = TrainDataset(episodes, SMALL)
    lost = 0
    for index in range(40):
        episode = dataset[0, index]
        assert torch.equal(episode.is_visible, episode.masks.flatten(1).any(1))
        assert episode.frames.shape[-2:] == episode.masks.shape[-2:]
        assert episode.support[0].masks[2].any()  # a support clip shows its object in the middle
        shown = set(annotations.videos[episode.spec.query.video].objects[episode.spec.query.object_id].frames)
        on_disk = torch.tensor([frame in shown for frame in episode.spec.query.frames])
        assert not (episode.is_visible & ~on_disk).any()
        lost += int((on_disk & ~episode.is_visible).sum())
    assert lost > 0
    assert torch.equal(dataset[0].frames, dataset[0, 0].frames)


# ---------------------------------------------------------------- batches, validation, test


@pytest.mark.parametrize("count", [1, 3])
def test_rivals_are_the_other_objects_of_the_category_in_the_same_frames(tmp_path, count):
    """Values 1 and 3 are of the category, 2 of another one; 3 hides in the first frames."""
    film = Film(
        4,
        {
            "1": one("hand", "the left hand", "the hand that is left"),
            "2": one("plant", "a plant"),
            "3": one("hand", "a hand on the right", visible=[2, 3]),
        },
        (24, 60),
    )
    annotations = Annotations(write(tmp_path, {"one": film, "two": film}))
    episodes = TrainEpisodes(annotations, ["hand"], seed=0, query_frames=4)
    dataset, plain = TrainDataset(episodes, SMALL, rivals=count), TrainDataset(episodes, SMALL)
    for index in range(20):
        episode, without = dataset[index], plain[index]
        query = episode.spec.query
        assert torch.equal(episode.masks, without.masks)
        assert torch.equal(episode.frames, without.frames)
        assert (without.rivals, without.said) == (None, [])
        assert episode.rivals.shape == (count, *episode.masks.shape)
        other = "3" if query.object_id == "1" else "1"
        as_object = read_episode(
            annotations, replace(episode.spec, query=replace(query, object_id=other)), SMALL
        )
        assert torch.equal(episode.rivals[0], as_object.masks)
        assert not episode.rivals[1:].any()
        # What is said changes as the phrase does, by name and by side.
        for video in annotations.videos.values():
            for position, (expression_id, about) in enumerate(
                (e, o != query.object_id) for o in (query.object_id, other) for e in video.expression_ids(o)
            ):
                text = video.expressions[expression_id].text
                spec = replace(episode.spec, query=replace(query, expression=text))
                assert episode.said[position] == (read_episode(annotations, spec, SMALL).expression, about)
        assert len(episode.said) == 3
    assert {"hand" in dataset[i].expression for i in range(20)} == {True, False}  # renamed at times
    assert len({"left" in dataset[i].said[0][0] for i in range(20)}) == 2  # mirrored at times


def test_an_object_alone_has_its_own_phrase_and_empty_rivals(zoo_root):
    annotations = Annotations(zoo_root)
    episode = TrainDataset(TrainEpisodes(annotations, ["horse"], seed=0), SMALL, rivals=2)[0]
    assert episode.said == [(episode.expression, 0)]
    assert episode.rivals.shape == (2, *episode.masks.shape)
    assert not episode.rivals.any()


def test_training_batches_alone_have_rivals(zoo_root):
    data = module(zoo_root, rivals=2, batch_size=2, val_episodes=2)
    batch = next(iter(data.train_dataloader()))
    assert batch.targets.rivals.masks.shape == (2, 3, 2, *batch.query.frames.shape[-2:])
    assert next(iter(data.val_dataloader()[0])).targets.rivals is None
    assert next(iter(module(zoo_root).train_dataloader())).targets.rivals is None


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_training_batches_of_any_size(zoo_root, batch_size):
    loader = module(zoo_root, batch_size=batch_size, support_clips=2).train_dataloader()
    batch = next(iter(loader))
    assert len(loader) == -(-15 // batch_size)
    assert batch.query.frames.shape[:3] == (batch_size, 3, 3)
    assert batch.query.frames.shape[-1] % 32 == batch.query.frames.shape[-2] % 32 == 0
    assert len(batch.support.frames) == 2 * batch_size
    assert batch.support.owner.tolist() == [owner for owner in range(batch_size) for _ in range(2)]


def test_test_batches_are_whole_videos_at_test_size(zoo_root):
    data = module(zoo_root, test_seeds=[0, 7])
    batches = list(data.test_dataloader())
    assert [batch.specs[0].seed for batch in batches] == sorted(batch.specs[0].seed for batch in batches)
    assert {batch.specs[0].seed for batch in batches} == {0, 7}
    for batch in batches:
        video = data.annotations.videos[batch.specs[0].query.video]
        height, width = zoo()[batch.specs[0].query.video].size
        assert batch.query.frames.shape[:2] == (1, len(video.frames))
        assert batch.query.frames.shape[-2:] == ((20, 33) if height < width else (33, 20))
        assert not batch.query.padding_mask.any()
        assert batch.native_sizes == [(height, width)]
    some = module(zoo_root, test_seeds=[0, 7], max_test_per_category=1)
    assert len(some.test_dataloader()) == 6
    dataset = data.test_dataloader().dataset
    masks = dataset.native_masks(batches[0].specs[0])
    assert masks.shape == (len(batches[0].specs[0].query.frames), *batches[0].native_sizes[0])
    assert masks.any()


def test_validation_pairs_each_episode_with_its_controls(zoo_root):
    data = module(zoo_root, val_episodes=4, window=5)
    right, wrong, none = (list(loader) for loader in data.val_dataloader())
    assert len(right) == len(wrong) == len(none) == 4
    for one_right, one_wrong, one_none in zip(right, wrong, none, strict=True):
        assert torch.equal(one_right.query.frames, one_wrong.query.frames)
        assert torch.equal(one_right.query.frames, one_none.query.frames)
        assert one_right.query.frames.shape[1] <= 5
        assert one_right.targets.is_visible.any()
        assert one_right.support.expressions != one_wrong.support.expressions
        assert one_none.support is None
    assert {batch.specs[0].category for batch in right} == {"hat", "raccoon", "crocodile"}


@pytest.mark.filterwarnings("ignore")
def test_lightning_validates_with_an_empty_control(tmp_path):
    films = {
        f"{category}_{number}": Film(4, {"1": one(category, f"a {category}")})
        for category in ("hat", "plant")
        for number in range(2)
    }
    data = module(write(tmp_path / "set", films))
    assert [len(loader) for loader in data.val_dataloader()] == [1, 0, 1]

    class Validated(Recorder):
        def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int):
            self.seen.append((dataloader_idx, [len(batch.specs)], batch_idx))

    model = Validated()
    trainer(tmp_path, limit_val_batches=1.0).validate(model, datamodule=data, verbose=False)
    assert [index for index, _, _ in model.seen] == [0, 2]


def test_controls_load_as_any_episodes(zoo_root):
    data = module(zoo_root)
    source = data.test_episodes(3)
    specs = [source.spec(index) for index in range(len(source))]
    wrong_text = [spec for spec in map(source.wrong_text, specs) if spec is not None]
    batches = list(data.episode_loader(wrong_text))
    assert len(batches) == len(wrong_text)
    for batch in batches:
        assert batch.query.expressions[0] in ("the red hat", "the blue hat")


# ---------------------------------------------------------------- the module


def test_saved_hyper_parameters_are_primitives(tmp_path):
    from omegaconf import OmegaConf

    seeds = OmegaConf.create([0, 1])
    data = EpisodeDataModule(Path("/data"), test_seeds=seeds, train_transform=SMALL)
    assert json.loads(json.dumps(dict(data.hparams)))["root"] == "/data"
    assert data.hparams["test_seeds"] == [0, 1]
    assert "train_transform" not in data.hparams
    torch.save(dict(data.hparams), tmp_path / "h.pt")
    assert torch.load(tmp_path / "h.pt", weights_only=True)["group"] == 1


def test_the_published_recipe_is_the_default():
    data = EpisodeDataModule("/data")
    assert data.train_transform.short_sides == (288, 320, 352, 392, 416, 448, 480, 512)
    assert data.train_transform.crop_short_sides == (400, 500, 600)
    assert (data.train_transform.crop_min, data.train_transform.crop_max) == (384, 600)
    assert data.train_transform.max_long_side == data.test_transform.max_long_side == 640
    assert data.test_transform.short_side == 360
    assert (data.query_frames, data.support_frames, data.window) == (5, 5, 10)
    assert data.test_seeds == (0, 1, 2, 3, 4)
    assert data.episodes_per_category == 100


def test_data_sets_travel_to_spawned_workers(zoo_root):
    dataset = module(zoo_root).train_dataloader().dataset
    copied = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(copied[1, 3].frames, dataset[1, 3].frames)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"group": 7}, "group must be 1-4, got 7"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"val_episodes": 0}, "val_episodes must be at least 1, got 0"),
        ({"test_seeds": []}, "test_seeds must be at least 1, got 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(UserError) as caught:
        EpisodeDataModule("/data", **arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize("stage", ["fit", "validate", "test"])
def test_set_up_tells_of_bad_data_before_anything_starts(tmp_path, zoo_root, stage):
    with pytest.raises(UserError, match="no such data root"):
        module(tmp_path / "nowhere").setup(stage)
    plants = write(tmp_path / "plants", {name: film for name, film in zoo().items() if "plant" in name})
    with pytest.raises(UserError, match="group is empty"):
        module(plants, group=1).setup(stage)
    if stage == "fit":  # plants are held out in group 2: a test has episodes, training has none
        with pytest.raises(UserError, match="group is empty"):
            module(plants, group=2).setup(stage)
    else:
        module(plants, group=2).setup(stage)
    module(zoo_root).setup(stage)


def test_one_warning_a_run(zoo_root):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = module(zoo_root)
        data.setup("fit")
        next(iter(data.train_dataloader()))
        data.val_dataloader()
        data.test_dataloader()
    assert sum("fewer than two videos" in str(one_warning.message) for one_warning in caught) == 1


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_corrupt_frame_is_one_line_from_workers_too(tmp_path, num_workers):
    root = write(tmp_path, zoo())
    for path in (root / "train/JPEGImages").glob("hand_*/*.jpg"):
        path.write_bytes(path.read_bytes()[:100])
    loader = module(root, num_workers=num_workers).train_dataloader()
    before = set(multiprocessing.active_children())
    with pytest.raises(UserError) as caught:
        list(loader)
    assert set(multiprocessing.active_children()) <= before  # no worker is waited for later
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{root / 'train/JPEGImages'}/hand_")
    assert "cannot be decoded" in str(caught.value)


# ---------------------------------------------------------------- SAIL-VOS and the real clips


def test_sail_vos_is_tested_whole_and_tuned_on_its_supports(tmp_path):
    films = {
        f"{category}_{number}": Film(6, {"1": one(category, f"a {category}")})
        for category in ("dog", "car", "person")
        for number in range(3)
    }
    write(tmp_path, films, images="train/Images", suffix=".bmp", mask_value=2)
    data = module(tmp_path, layout="sailvos", test_seeds=[0])
    assert len(data.test_dataloader()) == 6
    data.setup("fit")
    tested = {batch.specs[0].query.video for batch in data.test_dataloader()}
    tuned = {
        clip.video
        for batch in data.train_dataloader()
        for spec in batch.specs
        for clip in (spec.query, *spec.support)
    }
    assert len(tested) == 6
    assert len(tuned) == 3
    assert not tested & tuned
    many = module(tmp_path, layout="sailvos", test_seeds=[0, 1])
    assert len(many.test_dataloader()) == 12
    with pytest.raises(UserError, match=r"test_seeds must be \[0\], got \[0, 1\]"):
        many.setup("fit")


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared with the real clips is not here")
def test_the_real_clips_make_batches():
    data = EpisodeDataModule(
        SHARED / "data",
        batch_size=2,
        episodes_per_category=2,
        test_seeds=[0],
        train_transform=TrainTransform((96,), 160, crop_short_sides=(120,), crop_min=80, crop_max=120),
        test_transform=SizeTransform(96, 160),
    )
    data.setup("fit")
    assert data.train_episodes.categories == ("dog", "person")
    batch = next(iter(data.train_dataloader()))
    assert batch.native_sizes == [(480, 854)] * 2
    assert batch.targets.is_visible.any(1).all()
    assert batch.support.masks.flatten(1).any(1).all()
    tested = next(iter(data.test_dataloader()))
    assert tested.specs[0].category == "sedan"
    assert tested.query.frames.shape[-2:] == (90, 160)
    masks = data.test_dataloader().dataset.native_masks(tested.specs[0])
    assert masks.shape == (len(tested.specs[0].query.frames), 480, 854)


def test_annotations_are_read_once(zoo_root, monkeypatch):
    reads = []
    original = Annotations.__init__

    def counted(self, *arguments):
        reads.append(arguments)
        original(self, *arguments)

    monkeypatch.setattr(Annotations, "__init__", counted)
    data = module(zoo_root)
    data.setup("fit")
    data.setup("test")
    data.test_episodes(0)
    assert len(reads) == 1
