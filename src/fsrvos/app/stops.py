"""Which visitors want their run to end."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class Stops:
    """Wishes to stop, by visitor. Safe to use from several threads."""

    def __init__(self) -> None:
        self._wanted: set[str] = set()
        self._lock = Lock()

    def begin(self, visitor: str) -> None:
        """A new run: earlier wishes are forgotten."""
        with self._lock:
            self._wanted.discard(visitor)

    def stop(self, visitor: str) -> None:
        """The visitor's run is to end."""
        with self._lock:
            self._wanted.add(visitor)

    def asked(self, visitor: str) -> Callable[[], bool]:
        """What tells whether that was wished."""
        return lambda: visitor in self._wanted
