"""What --help prints of a config that is a list of settings."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fsrvos.cli.common import config_directory
from fsrvos.cli.settings_help import settings_help

EXPLAINED = [Path(config_directory()) / f"{name}.yaml" for name in ("adapt", "app", "predict")]
GROUPS = {"defaults", "optim", "trainer"}


def test_comments_become_help(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(
        "# does it\n#\n#   do it=1\ndefaults:\n  - _self_\n\nvideo: null     # which\n                # in two lines\n\n"
        "rate: 2.5  # how fast\n"
    )
    assert settings_help(file).splitlines() == [
        "does it", "", "  do it=1", "", "Settings and what they are unless you say otherwise:", "",
        "  video=null  which", "              in two lines", "", "  rate=2.5    how fast",
    ]  # fmt: skip


@pytest.mark.parametrize("path", EXPLAINED, ids=lambda path: path.stem)
def test_every_setting_of_a_command_is_explained(path):
    told = settings_help(path)
    for key in OmegaConf.load(path):
        assert key in GROUPS or f"\n  {key}=" in told, key
    assert max(map(len, told.splitlines())) <= 122
