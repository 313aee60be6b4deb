"""A few episodes by heart: the same ones in every epoch, and validation on them."""

import pytest
from zoo import read_quietly, write, zoo

from fsrvos.data.datamodule import EpisodeDataModule
from fsrvos.data.episodes import TrainEpisodes
from fsrvos.data.repeated_episodes import RepeatedEpisodes
from fsrvos.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:.*fewer than two videos.*")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write(tmp_path_factory.mktemp("zoo"), zoo())


def test_the_first_episodes_in_every_epoch(root):
    episodes = TrainEpisodes(read_quietly(root), ["hat", "plant"], seed=3, episodes_per_category=5)
    repeated = RepeatedEpisodes(episodes, 3)
    assert len(repeated) == len(episodes) == 10
    first = [episodes.spec(0, i) for i in range(3)]
    for epoch in (0, 7):
        assert [repeated.spec(epoch, i) for i in range(7)] == [*first, *first, first[0]]
    assert len(RepeatedEpisodes(episodes, 99).specs) == 10


def test_they_train_and_validate(root):
    data = EpisodeDataModule(root, repeat_episodes=2, batch_size=2, query_frames=2, episodes_per_category=3)
    data.setup("fit")
    batches = [batch.specs for batch in data.train_dataloader()]
    assert len(batches) > 2
    assert all(specs == batches[0][: len(specs)] for specs in batches)
    (loader,) = data.val_dataloader()
    assert [batch.specs[0] for batch in loader] == batches[0]


def test_a_count_below_one(root):
    data = EpisodeDataModule(root, repeat_episodes=0)
    with pytest.raises(UserError, match="repeat_episodes must be at least 1, got 0"):
        data.train_dataloader()
