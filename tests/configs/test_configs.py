"""Every YAML composes, is short, names real arguments, and everything that it describes can be made."""

import inspect
from pathlib import Path

import lightning as L
import pytest
import torch
import wandb
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from fsrvos.cli import predict
from fsrvos.cli.common import config_directory
from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.engine.criterion import Criterion
from fsrvos.engine.optimizers import Recipe
from fsrvos.models.cma import CMA
from fsrvos.weights import create_model

ROOT = Path(config_directory())
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.yaml"))
OFFLINE = {"backbone": {"pretrained": False}, "text_encoder": {"pretrained": False}}
# Strategies and trainers that a machine without a GPU can only compose.
NEED_GPU = {"trainer/gpu"}


def options(group):
    return [Path(file).stem for file in FILES if file.startswith(f"{group}/")]


@pytest.fixture(autouse=True)
def folder(tmp_path):
    """Composes as the commands do, in a run folder of its own."""
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        yield tmp_path
    HydraConfig.instance().cfg = None


def composed(folder, *overrides, name="train"):
    config = compose(name, [*overrides, f"hydra.runtime.output_dir={folder}"], return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    OmegaConf.resolve(config)
    return config


def makers(node, path=""):
    """(path, node) of everything below with a _target_."""
    if isinstance(node, DictConfig):
        if "_target_" in node:
            yield path, node
        for key, child in node.items():
            yield from makers(child, f"{path}.{key}".strip("."))


def parameters(target):
    """Arguments of a constructor; those behind **kwargs are its base class's, or what it passes them on to."""
    if target is L.pytorch.loggers.WandbLogger:
        return set(inspect.signature(target).parameters) | set(inspect.signature(wandb.init).parameters)
    if target is create_model:
        return {*inspect.signature(target).parameters, *parameters(CMA)} - {"options"}
    signature = inspect.signature(target).parameters
    names = {name for name, p in signature.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    if any(p.kind is p.VAR_KEYWORD for p in signature.values()):
        names |= parameters(target.__mro__[1])
    return names


def check_arguments(config):
    found = list(makers(config))
    for path, node in found:
        unknown = {key for key in node if not str(key).startswith("_")} - parameters(
            get_object(node._target_)
        )
        assert not unknown, f"{path}: {node._target_} takes no {', '.join(unknown)}"
    return [path for path, _ in found]


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_a_short_wiring_diagram(file):
    assert len((ROOT / file).read_text().splitlines()) < 40


def test_every_group_of_the_issue_is_there():
    groups = (
        "data",
        "backbone",
        "text_encoder",
        "model",
        "optim",
        "trainer",
        "strategy",
        "logger",
        "callbacks",
    )
    assert {Path(file).parent.as_posix() for file in FILES} >= {*groups, "experiment", "debug"}
    assert set(options("experiment")) >= {
        "smoke",
        "demo",
        "sailvos",
        *(f"{name}_g{group}" for name in ("synth", "ytvos") for group in (1, 2, 3, 4)),
    }
    assert set(options("model")) == {"cma", "base", "self", "referformer", "cma_plus"}


def test_defaults(folder):
    config = composed(folder)
    assert (config.group, config.seed, config.ckpt_path) == (1, 0, None)
    assert {"data", "model", "criterion", "optim", "trainer", "logger"} <= set(check_arguments(config))


@pytest.mark.parametrize(
    "choice",
    [
        f"{group}={option}"
        for group in (
            "backbone",
            "text_encoder",
            "model",
            "criterion",
            "optim",
            "data",
            "trainer",
            "strategy",
        )
        for option in options(group)
    ]
    + [f"{group}={option}" for group in ("logger", "callbacks", "debug") for option in options(group)],
)
def test_every_option_composes_with_real_arguments(folder, choice):
    config = composed(folder, choice)
    assert check_arguments(config)
    group, option = choice.split("=")
    if f"{group}/{option}" in NEED_GPU:
        return
    if group in ("backbone", "text_encoder", "model"):
        model = make_model(config)
        if group == "model":
            assert model.variant == option
    elif group in ("trainer", "strategy", "debug"):
        trainer = instantiate(config.trainer, logger=False, callbacks=[])
        assert isinstance(trainer, L.Trainer)
    elif group == "logger":
        if option == "tensorboard":
            pytest.importorskip("tensorboard", reason="pip install 'fsrvos[tensorboard]'")
        assert isinstance(instantiate(config.logger), L.pytorch.loggers.Logger)
    elif group == "callbacks":
        made = [instantiate(callback) for callback in config.callbacks.values()]
        assert all(isinstance(callback, L.Callback) for callback in made)
        assert {type(callback).__name__ for callback in made} >= {"ModelCheckpoint", "LastCheckpoint"}
    else:
        assert isinstance(instantiate(config[group]), EpisodeDataModule | Criterion | Recipe)


def make_model(config):
    """The network, without downloads and, at published size, without memory."""
    for encoder, changes in OFFLINE.items():
        if "pretrained" in config.model[encoder]:
            config.model[encoder].update(changes)
    with torch.device("meta"):
        model = instantiate(config.model, _convert_="all")
    assert isinstance(model, CMA)
    return model


@pytest.mark.parametrize("option", sorted(NEED_GPU))
def test_what_needs_a_gpu_says_so(folder, option):
    config = composed(folder, option.replace("/", "="))
    assert config.trainer.accelerator == "gpu"


def test_one_precision_for_training_and_test(folder):
    config = composed(folder, "experiment=smoke", "precision=bf16-mixed")
    trainer = instantiate(config.trainer, logger=False, callbacks=[])
    assert (trainer.precision, config.precision) == ("bf16-mixed", "bf16-mixed")
    assert instantiate(composed(folder, "experiment=smoke").trainer, logger=False).precision == "32-true"


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_is_composed_and_made(folder, experiment):
    given = ["model.init_from=null"] if experiment == "sailvos_finetune" else []
    config = composed(folder, f"experiment={experiment}", *given)
    check_arguments(config)
    model = make_model(config)
    for key in ("data", "criterion", "optim"):
        instantiate(config[key], _convert_="all")
    instantiate(config.trainer, logger=instantiate(config.logger), callbacks=[])
    held_out = experiment.rpartition("_g")[2]
    if held_out.isdigit():
        assert (config.group, config.data.group) == (int(held_out), int(held_out))
        assert config.name == experiment
    if config.model.get("rest") is None or not config.model.rest:
        assert config.criterion.get("affinity") is None, "no match to teach"
    assert any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("group", [2, 4])
def test_group_and_seed_at_the_top_reach_the_data(folder, group):
    config = composed(folder, "experiment=synth", f"group={group}", "seed=5")
    assert (config.data.group, config.data.seed) == (group, 5)
    assert config.name == f"synth_g{group}"


@pytest.mark.parametrize("group", range(1, 5))
def test_ytvos_is_the_published_recipe(folder, group):
    """Every constant of protocol.md sections 2 and 3 and of model.md."""
    config = composed(folder, f"experiment=ytvos_g{group}")
    recipe = instantiate(config.optim)
    assert (recipe.lr, recipe.weight_decay) == (1e-4, 5e-4)
    assert (recipe.schedule, list(recipe.milestones), recipe.gamma) == ("multistep", [3, 5], 0.1)
    assert (recipe.backbone_lr, recipe.text_lr, recipe.no_decay) == (None, None, False)
    trainer = config.trainer
    assert (trainer.gradient_clip_val, trainer.max_epochs, trainer.max_steps) == (0.1, 24, -1)
    assert trainer.get("gradient_clip_algorithm", "norm") == "norm"
    assert trainer.get("accumulate_grad_batches", 1) == 1

    data = instantiate(config.data)
    assert (data.batch_size, data.query_frames, data.support_frames, data.support_clips) == (1, 5, 5, 1)
    assert (data.episodes_per_category, data.window, data.max_test_per_category) == (100, 10, None)
    assert data.repeat_episodes is None
    assert data.test_seeds == (0, 1, 2, 3, 4)
    assert (data.layout, data.group) == ("ytvos", group)
    augmentation, test = data.train_transform, data.test_transform
    assert augmentation.short_sides == (288, 320, 352, 392, 416, 448, 480, 512)
    assert (augmentation.max_long_side, augmentation.flip, augmentation.photometric) == (640, 0.5, True)
    assert (augmentation.crop, augmentation.crop_short_sides) == (True, (400, 500, 600))
    assert (augmentation.crop_min, augmentation.crop_max) == (384, 600)
    assert augmentation.rename_probability == 0
    assert (test.short_side, test.max_long_side) == (360, 640)

    model = config.model
    assert (model.variant, model.hidden_dim, model.num_heads, model.num_queries) == ("cma", 256, 8, 5)
    assert (model.num_encoder_layers, model.num_decoder_layers, model.feedforward) == (4, 4, 2048)
    assert (model.num_points, model.dropout) == (4, 0.1)
    assert (model.mask_channels, model.dynamic_channels) == (256, 8)
    assert (model.backbone.name, model.backbone.pretrained, model.backbone.frozen) == ("resnet50", True, True)
    encoder = model.text_encoder
    assert (encoder.name, encoder.pretrained, encoder.frozen) == ("roberta-base", True, True)

    weights = {"class": 2.0, "l1": 5.0, "giou": 2.0, "mask": 2.0, "dice": 5.0}
    criterion = instantiate(config.criterion)
    assert criterion.layer_weights == criterion.matcher.weights == weights
    assert criterion.affinity is None
    assert not criterion.full_size_masks


@pytest.mark.parametrize(
    "overrides", [(), *((f"data={option}", "group=1", "seed=0") for option in options("data"))]
)
def test_evaluation_composes(folder, overrides):
    config = composed(folder, *overrides, "checkpoint=somewhere", name="eval")
    check_arguments(config)
    if overrides:
        assert isinstance(instantiate(config.data), EpisodeDataModule)


def test_adaptation_composes(folder):
    config = composed(folder, "checkpoint=somewhere", "support=clip", name="adapt")
    assert {"criterion", "optim", "trainer"} <= set(check_arguments(config))
    recipe = instantiate(config.optim)
    assert recipe.lr < 1e-3, "gentler than training"
    criterion = instantiate(config.criterion)
    assert criterion.phrase_weight == 0, "clips of one's own name no rivals"
    trainer = instantiate(config.trainer, logger=False, callbacks=[])
    assert trainer.gradient_clip_val == 1.0


def test_prediction_composes_and_reads_every_setting(folder):
    config = composed(
        folder, "checkpoint=somewhere", "video=park.mp4", "text=a dog", "out=masks", name="predict"
    )
    source = inspect.getsource(predict)
    unread = [key for key in config if f"config.{key}" not in source and f'"{key}"' not in source]
    assert not unread


def test_sailvos_is_evaluated_by_its_experiment(folder):
    config = composed(folder, "experiment=sailvos", "group=1", "seed=3", "checkpoint=run", name="eval")
    data = instantiate(config.data)
    assert (data.layout, data.test_seeds) == ("sailvos", (0, 1, 2, 3, 4))


def test_sailvos_is_tested_with_the_seed_of_its_fine_tuning(folder):
    config = composed(folder, "experiment=sailvos_finetune", "model.init_from=run", "seed=3")
    assert instantiate(config.data).test_seeds == (3,)


def test_debug_options_shorten_any_experiment(folder):
    config = composed(folder, "experiment=ytvos_g1", "debug=short")
    assert config.trainer.max_steps < 10
    assert config.data.max_test_per_category == 1
    assert composed(folder, "experiment=demo", "debug=fast").trainer.fast_dev_run is True
