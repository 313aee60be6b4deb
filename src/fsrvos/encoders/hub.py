"""Asks once whether the Hugging Face hub can be reached: without a network it is the cache or nothing, at once."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from huggingface_hub import constants

PATIENCE = 3.0
"""Seconds in which the hub must answer."""


@contextmanager
def hub() -> Iterator[None]:
    """Lets libraries load from the hub; where it cannot be reached they take its cache, without many retries."""
    if constants.HF_HUB_OFFLINE or is_reachable(constants.ENDPOINT):
        yield
        return
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = False


def is_reachable(address: str) -> bool:
    """Whether a web address accepts connections; behind a proxy only a request can tell, so yes."""
    if urllib.request.getproxies():
        return True
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True
