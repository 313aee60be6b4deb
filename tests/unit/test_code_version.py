"""The commit is that of the checkout the package lies in, and of nothing else."""

import subprocess
from importlib import metadata

import pytest

import fsrvos
from fsrvos.code_version import code_version


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder in which the package seems to lie."""
    file = tmp_path / "src" / "fsrvos" / "__init__.py"
    file.parent.mkdir(parents=True)
    file.write_text("")
    monkeypatch.setattr(fsrvos, "__file__", str(file))
    return tmp_path, file


def test_a_checkout_tells_its_commit_and_whether_it_was_changed(package):
    root, file = package
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "a")
    commit = git(root, "rev-parse", "HEAD")
    (root / "untracked").touch()
    clean = code_version()
    assert (clean["commit"], clean["dirty"]) == (commit, False)
    file.write_text("changed = True")
    assert (code_version()["commit"], code_version()["dirty"]) == (commit, True)


def test_outside_a_checkout_there_is_a_version_only(package):
    version = code_version()
    assert (version["commit"], version["dirty"]) == (None, None)
    assert version["fsrvos"] == metadata.version("fsrvos")
    assert version["torch"] == metadata.version("torch")


def test_a_checkout_of_something_else_around_it_does_not_count(package):
    """As in site-packages of a virtual environment inside another project's checkout."""
    root, _ = package
    git(root.parent, "init", "--quiet")
    assert code_version()["commit"] is None
