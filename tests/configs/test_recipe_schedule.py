"""The published recipe as it really runs: steps an epoch, learning rate by epoch, fine-tuning on SAIL-VOS."""

import json
from collections import Counter

import lightning as L
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.utils.data import DataLoader
from zoo import Film, one, write

from fsrvos.cli.common import config_directory
from fsrvos.data.categories import SAIL_VOS_CATEGORIES
from fsrvos.data.categories import YOUTUBE_VOS_CATEGORIES as CATEGORIES
from fsrvos.engine.criterion import Criterion
from fsrvos.engine.module import SegmentationModule
from fsrvos.structures import Episode, SupportClip

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
    pytest.mark.filterwarnings("ignore:.*worker processes in total.*"),
    pytest.mark.filterwarnings("ignore:.*treespec.*"),
]


def composed(*overrides):
    with initialize_config_dir(config_directory(), version_base="1.3"):
        config = compose("train", [*overrides, "trainer.default_root_dir=."])
    OmegaConf.set_struct(config, False)
    return config


@pytest.fixture(scope="module")
def whole_benchmark(tmp_path_factory):
    """All 48 categories, two videos of two frames each."""
    films = {f"{c}_{n}": Film(2, {"1": one(c, f"a {c}")}) for c in CATEGORIES for n in range(2)}
    return write(tmp_path_factory.mktemp("data") / "Mini-Ref-YouTube-VOS", films)


class Stand(SegmentationModule):
    """A network of one number, under a loss of slope 7: the recipe and the trainer are the real ones."""

    def __init__(self, recipe):
        super().__init__(torch.nn.Linear(1, 1), Criterion(), recipe)
        self.rates, self.norms, self.specs = [], [], []

    def training_step(self, batch, batch_idx):
        self.specs += getattr(batch, "specs", [])
        return 7 * self.model.weight.sum()

    def on_train_batch_end(self, *_):
        self.norms.append(self.model.weight.grad.norm().item())

    def on_train_epoch_start(self):
        self.rates.append([group["lr"] for group in self.trainer.optimizers[0].param_groups])


class StopAtOnce(L.Callback):
    """Reads what the trainer has planned and lets it do none of it."""

    def on_train_start(self, trainer, module):
        self.batches, self.steps = trainer.num_training_batches, trainer.estimated_stepping_batches
        trainer.should_stop = True


def quiet_trainer(config, **options):
    return instantiate(
        config.trainer,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        _convert_="all",
        **options,
    )


@pytest.mark.parametrize("group", [1, 2, 3, 4])
def test_an_epoch_is_36_categories_times_100_episodes(group, whole_benchmark):
    config = composed(
        f"experiment=ytvos_g{group}", f"data.root={whole_benchmark}", "data.num_workers=0", "trainer=cpu"
    )
    data = instantiate(config.data)
    planned = StopAtOnce()
    trainer = quiet_trainer(config, callbacks=[planned], limit_val_batches=0)
    trainer.fit(Stand(instantiate(config.optim)), data)
    assert planned.batches == 36 * 100
    assert planned.steps == 24 * 36 * 100
    assert trainer.gradient_clip_val == 0.1
    drawn = {data.train_episodes.spec(0, i).category for i in range(3600)}
    assert len(drawn) == 36
    assert drawn.isdisjoint(CATEGORIES[group - 1 :: 4])


@pytest.fixture
def unread(monkeypatch):
    """Episodes without pixels: what an epoch consists of does not depend on them."""

    def hollow(annotations, spec, transform, rivals=0):
        frames, masks = torch.zeros(1, 3, 1, 1), torch.zeros(1, 1, 1, dtype=torch.bool)
        support = [SupportClip(frames, masks, "") for _ in spec.support]
        return Episode(spec, frames, masks, masks.flatten(), "", support, (1, 1))

    monkeypatch.setattr("fsrvos.data.datasets.read_episode", hollow)


def whole_epoch(root, **options):
    """One epoch of ytvos_g2 by the real trainer, not cut short."""
    config = composed(
        "experiment=ytvos_g2",
        f"data.root={root}",
        "data.num_workers=0",
        "trainer=cpu",
        "trainer.max_epochs=1",
    )
    data = instantiate(config.data)
    return quiet_trainer(config, limit_val_batches=0, **options), Stand(instantiate(config.optim)), data


def check_epoch(categories):
    """Each of the 36 categories that train comes 100 times, and not all at once."""
    expected = {name: 100 for position, name in enumerate(CATEGORIES) if position % 4 != 1}
    assert Counter(categories) == expected
    assert len(set(categories[:100])) > 20


def test_one_process_takes_3600_steps(whole_benchmark, unread):
    trainer, module, data = whole_epoch(whole_benchmark)
    trainer.fit(module, data)
    assert trainer.global_step == 3600
    check_epoch([spec.category for spec in module.specs])


class Told(StopAtOnce):
    """Writes down what a rank has before it, since its process ends with the training."""

    def __init__(self, folder):
        self.folder = folder

    def on_train_start(self, trainer, module):
        super().on_train_start(trainer, module)
        share = [index for _, index in trainer.train_dataloader.sampler]
        (self.folder / f"{trainer.global_rank}.json").write_text(
            json.dumps([self.batches, self.steps, share])
        )


@pytest.mark.filterwarnings("ignore")
def test_two_processes_take_1800_steps_each(whole_benchmark, unread, tmp_path):
    trainer, module, data = whole_epoch(
        whole_benchmark,
        strategy="ddp_fork_find_unused_parameters_true",
        devices=2,
        callbacks=[Told(tmp_path)],
    )
    trainer.fit(module, data)
    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert [(batches, steps, len(share)) for batches, steps, share in told] == [(1800, 1800, 1800)] * 2
    assert sorted(told[0][2] + told[1][2]) == list(range(3600))


def test_learning_rate_by_epoch():
    """1e-4, a tenth of it from epoch 3, a hundredth from epoch 5, for 24 epochs."""
    config = composed("experiment=ytvos_g1", "trainer=cpu")
    module = Stand(instantiate(config.optim))
    quiet_trainer(config, limit_val_batches=0).fit(module, DataLoader(torch.zeros(3, 1)))
    (rates,) = zip(*module.rates, strict=True)
    assert len(rates) == 24
    assert rates[:3] == pytest.approx([1e-4] * 3)
    assert rates[3:5] == pytest.approx([1e-5] * 2)
    assert rates[5:] == pytest.approx([1e-6] * 19)
    optimizer = module.trainer.optimizers[0]
    assert type(optimizer) is torch.optim.AdamW
    assert {group["weight_decay"] for group in optimizer.param_groups} == {5e-4}
    assert module.norms == pytest.approx([0.1] * 24 * 3, rel=1e-4)


@pytest.mark.parametrize("variant", ["cma", "base", "self", "referformer"])
def test_the_optimizer_holds_all_but_the_encoders(variant):
    """The affinity's projections too: the released code has them in no group, so that they never train."""
    config = composed("experiment=ytvos_g1", f"model={variant}")
    config.model.backbone.pretrained = config.model.text_encoder.pretrained = False
    with torch.device("meta"):
        model = instantiate(config.model, _convert_="all")
    optimizer, schedule = instantiate(config.optim).build(model, steps=86400)
    assert schedule.interval == "epoch"
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert {(group["lr"], group["weight_decay"]) for group in optimizer.param_groups} == {(1e-4, 5e-4)}
    assert (optimizer.defaults["betas"], optimizer.defaults["eps"]) == ((0.9, 0.999), 1e-8)
    names = {name for name, parameter in model.named_parameters() if id(parameter) in held}
    frozen = {name for name, _ in model.named_parameters()} - names
    assert all(not parameter.requires_grad for name, parameter in model.named_parameters() if name in frozen)
    encoders = {
        name for name, _ in model.named_parameters() if name.startswith(("backbone.", "text_encoder."))
    }
    assert encoders
    assert encoders <= frozen
    projections = {f"affinity.of_query.{branch}.weight" for branch in ("query", "key", "value")}
    if variant == "cma":
        projections |= {"affinity.of_support.key.weight", "affinity.of_support.value.weight"}
        projections |= {"affinity.keep.weight", "affinity.norm.weight"}
    if variant in ("cma", "self"):
        assert projections <= names


def test_fine_tuning_on_sailvos(tmp_path):
    """One support video a class, 20 episodes a class, 6 epochs; the test never sees those videos as queries."""
    films = {
        f"{c}_{n}": Film(6, {"1": one(c, f"a {c}", f"the {c}")})
        for c in SAIL_VOS_CATEGORIES
        for n in range(3)
    }
    root = write(
        tmp_path / "mini-SAIL-VOS", films, "meta_expressions.json", "meta.json", "JPEGImages", "Annotations"
    )
    config = composed(
        "experiment=sailvos_finetune", "model.init_from=x", f"data.root={root}", "trainer=cpu", "seed=3"
    )
    assert (config.trainer.max_epochs, config.data.batch_size, config.model.drop_class_heads) == (6, 1, False)
    data = instantiate(config.data)
    planned = StopAtOnce()
    quiet_trainer(config, callbacks=[planned], limit_val_batches=0).fit(
        Stand(instantiate(config.optim)), data
    )
    assert planned.batches == 3 * 20
    assert planned.steps == 6 * 3 * 20
    episodes = [data.train_episodes.spec(epoch, i) for epoch in range(2) for i in range(60)]
    seen = {clip.video for e in episodes for clip in (e.query, *e.support)}
    assert len(seen) == 3
    assert len({video.split("_")[0] for video in seen}) == 3
    test = data.test_episodes(3)
    queries = {test.spec(i).query.video for i in range(len(test))}
    shown = {clip.video for i in range(len(test)) for clip in test.spec(i).support}
    assert shown == seen
    assert queries == films.keys() - seen
