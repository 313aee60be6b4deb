"""Drawn episodes: the same at every validation, true to what was found, and without a trace in the training."""

import io

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger
from PIL import Image
from test_module import batch, loader, make_module, tiny_model
from tiny import make_clip, make_support

from fsrvos.contact_sheet import PREDICTION, SUPPORT, TRUTH
from fsrvos.engine.csv_run import CSVRun
from fsrvos.engine.episode_pictures import EpisodePictures, ShownEpisode, shown_episode
from fsrvos.engine.vitals import Vitals
from fsrvos.structures import Batch, ClipSpec, EpisodeSpec, Targets

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(num_workers|does not have many workers|isinstance.treespec|in eval mode|meaningless).*"
)
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class Board(DummyLogger):
    """A logger that keeps what it is shown."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def show_episodes(self, episodes, step):
        self.shown.append((step, [episode.name for episode in episodes], list(episodes)))


def episode(place):
    """One validated episode of a video of its own; its query is padded from 60x90 to 64x96."""
    query = make_clip(["the red dax"], frames=3, real=(60, 90), seed=place)
    masks = torch.zeros_like(query.padding_mask)
    masks[:, :, 10:40, 20:50] = True
    spec = EpisodeSpec(place, "dax", ClipSpec(f"video{place}", "1", "7", "the red dax", ("0", "1", "2")), ())
    visible = masks.flatten(2).any(-1)
    boxes = torch.zeros(1, 3, 4)
    return Batch(query, make_support((0,)), Targets(masks, boxes, visible), [spec], [(60, 90)])


def fit(callbacks, board=None, count=5, steps=4, every=2):
    torch.manual_seed(7)
    module = make_module(tiny_model(dropout=0.1).train(), lr=1e-3)
    trainer = L.Trainer(
        accelerator="cpu",
        logger=board or False,
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=1,
        max_steps=steps,
        val_check_interval=every,
        log_every_n_steps=1,
    )
    validated = [loader(*map(episode, range(count))), loader(episode(8)), loader(episode(9))]
    trainer.fit(module, loader(*[batch(n) for n in range(steps)]), validated)
    return module


def test_every_validation_shows_the_same_spread_of_the_first_loader():
    board = Board()
    fit([EpisodePictures(episodes=3)], board)
    names = ["00_video0_7", "01_video2_7", "02_video4_7"]
    assert [(step, shown) for step, shown, _ in board.shown] == [(2, names), (4, names)]


@pytest.mark.parametrize(
    ("options", "steps"), [({"episodes": 0}, []), ({"episodes": 9}, [1, 2, 3, 4]), ({"every": 3}, [1, 4])]
)
def test_how_many_and_how_often(options, steps):
    board = Board()
    fit([EpisodePictures(**options)], board, count=2, every=1)
    assert [step for step, _, _ in board.shown] == steps
    assert all(len(names) == 2 for _, names, _ in board.shown)


def test_what_is_drawn_is_what_the_network_finds():
    board = Board()
    module = fit([EpisodePictures(episodes=5)], board, steps=2)
    ((_, _, shown),) = board.shown
    model = module.model.eval()
    for place, one in enumerate(shown):
        read = episode(place)
        logits = model.segment(read.query, read.support).masks[0, :, :15, :23, None].permute(0, 3, 1, 2)
        found = torch.nn.functional.interpolate(logits, (60, 90), mode="bilinear")[:, 0] > 0
        np.testing.assert_array_equal(one.row.prediction, found.numpy())


def test_training_is_the_same_with_and_without():
    ends = []
    for callbacks in ([], [EpisodePictures(episodes=3), Vitals()]):
        module = fit(callbacks, Board())
        ends.append((module.model.state_dict(), torch.get_rng_state()))
    (without, state), (with_them, other) = ends
    assert torch.equal(state, other)
    assert all(torch.equal(tensor, with_them[name]) for name, tensor in without.items())


def known_batch():
    """A padded batch whose pixels and masks are known: (batch, query pixels, support pixels)."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (2, 60, 90, 3), dtype=np.uint8)
    clip = make_clip(["the red dax", "another"], frames=2, real=(60, 90))
    clip.frames[0, :, :, :60, :90] = torch.tensor((pixels / 255 - MEAN) / STD).permute(0, 3, 1, 2)
    support = make_support((0, 1), frames=2, real=(32, 64))
    shown = generator.integers(0, 256, (2, 32, 64, 3), dtype=np.uint8)
    support.frames[0, :, :, :32, :64] = torch.tensor((shown / 255 - MEAN) / STD).permute(0, 3, 1, 2)
    truth = torch.zeros(2, 2, 64, 96, dtype=torch.bool)
    truth[0, :, 10:30, 20:60] = True
    spec = EpisodeSpec(3, "dax", ClipSpec("v", "1", "5", "the red dax", ("0", "1")), ())
    targets = Targets(truth, torch.zeros(2, 2, 4), truth.flatten(2).any(-1))
    return Batch(clip, support, targets, [spec, spec], [(60, 90)] * 2), pixels, shown


def shifted():
    """Half of the truth of the known batch, and as much beside it: J = 20 * 20 / (20 * 60) = 1/3."""
    found = torch.zeros(2, 60, 90, dtype=torch.bool)
    found[:, 10:30, 40:80] = True
    return found


def test_pixels_and_masks_come_back_as_they_were():
    read, pixels, shown = known_batch()
    drawn = shown_episode(read, shifted(), place=2)
    row = drawn.row
    assert drawn.name == "02_v_5"
    assert (row.phrase, row.category) == ("the red dax", "dax")
    np.testing.assert_array_equal(row.query_frames, pixels)
    np.testing.assert_array_equal(row.support_frames, shown)  # of the first episode alone, unpadded
    np.testing.assert_array_equal(row.truth, read.targets.masks[0, :, :60, :90].numpy())
    np.testing.assert_array_equal(row.prediction, shifted().numpy())
    np.testing.assert_array_equal(row.support_masks, read.support.masks[0, :, :32, :64].numpy())
    np.testing.assert_allclose(row.J, 1 / 3)


def test_large_frames_are_scaled_down_and_masks_with_them():
    read, _, _ = known_batch()
    row = shown_episode(read, shifted(), place=0, width=45).row
    assert {frame.shape for frame in row.query_frames} == {(30, 45, 3)}
    expected = np.zeros((30, 45), bool)
    expected[5:15, 10:30] = True
    np.testing.assert_array_equal(row.truth, [expected, expected])


def test_an_episode_without_support():
    read, _, _ = known_batch()
    read.support = None
    drawn = shown_episode(read, shifted(), place=0)
    assert list(drawn.row.support_frames) == []
    assert drawn.card().size[0] > 200


def test_the_middle_frame_shows_the_object():
    read, _, _ = known_batch()
    read.targets.masks[0, 0] = False
    assert shown_episode(read, shifted(), place=0).middle() == 1
    read.targets.masks[:] = False
    assert shown_episode(read, shifted(), place=0).middle() == 1


def colours(picture):
    return {colour for _, colour in picture.convert("RGB").getcolors(maxcolors=10**7)}


def test_csv_keeps_stills_and_moving_pictures(tmp_path):
    drawn = shown_episode(known_batch()[0], shifted(), place=0)
    CSVRun(tmp_path, name="", version="logs").show_episodes([drawn], step=200)
    folder = tmp_path / "pictures" / "step_000200"
    assert {path.name for path in folder.iterdir()} == {"00_v_5.png", "00_v_5.gif"}
    with Image.open(folder / "00_v_5.png") as card:
        assert {SUPPORT, TRUTH, PREDICTION} <= colours(card)
    with Image.open(folder / "00_v_5.gif") as video:
        assert (video.n_frames, video.size, video.info["loop"]) == (2, (90 + 4 + 90, 60), 0)


def test_truth_is_left_and_prediction_right():
    """On a black ground, of whose few colours a GIF loses none."""
    black = [np.zeros((40, 60, 3), np.uint8)] * 3
    truth, found = np.zeros((2, 3, 40, 60), bool)
    truth[:, 5:20, 5:20], found[:, 20:35, 30:50] = True, True
    row = shown_episode(known_batch()[0], shifted(), place=0).row
    row = type(row)("a dax", "dax", black, truth, found, row.support_frames, row.support_masks)
    with Image.open(io.BytesIO(ShownEpisode("a", row).video())) as video:
        picture = np.asarray(video.convert("RGB"))
    assert tuple(picture[5, 12]) == TRUTH  # the outline keeps the full colour
    assert tuple(picture[20, 64 + 40]) == PREDICTION
    assert tuple(picture[5, 64 + 12]) == tuple(picture[20, 40]) == (0, 0, 0)


@pytest.mark.parametrize("options", [{"episodes": -1}, {"every": 0}, {"width": 0}])
def test_senseless_settings_are_refused(options):
    with pytest.raises(ValueError, match="at least"):
        EpisodePictures(**options)
