"""Without a network nothing is tried twice, and what the libraries' own switch says is put back."""

import socket
from contextlib import suppress

import pytest
from huggingface_hub import constants

from fsrvos.encoders.hub import hub, is_reachable


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setattr("urllib.request.getproxies", dict)


def test_reachable(listener):
    assert is_reachable(listener)
    assert not is_reachable("https://no-such-host.invalid")


def test_behind_a_proxy_only_a_request_can_tell(monkeypatch):
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://proxy:3128"})
    assert is_reachable("https://no-such-host.invalid")


@pytest.mark.parametrize("there", [True, False])
def test_the_cache_or_nothing_without_a_network(monkeypatch, listener, there):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", listener if there else "https://no-such-host.invalid")
    with suppress(KeyError), hub():
        assert there != constants.HF_HUB_OFFLINE
        raise KeyError
    assert constants.HF_HUB_OFFLINE is False


def test_who_is_offline_by_choice_stays_so(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with hub():
        assert constants.HF_HUB_OFFLINE is True
    assert constants.HF_HUB_OFFLINE is True
