"""Which visitors want their run to go on."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class Stops:
    """Wishes to stop, by visitor. Safe to use from several threads.

    Held are those who have begun a run and neither stopped it nor closed their page: nothing of a visit outlasts it.
    """

    def __init__(self) -> None:
        self._going: set[str] = set()
        self._lock = Lock()

    def begin(self, visitor: str) -> None:
        """A new run: earlier wishes are forgotten."""
        with self._lock:
            self._going.add(visitor)

    def stop(self, visitor: str) -> None:
        """The visitor's run is to end, or the visitor has gone."""
        with self._lock:
            self._going.discard(visitor)

    def asked(self, visitor: str) -> Callable[[], bool]:
        """What tells whether that was wished; of a visitor who has begun nothing, it was."""
        return lambda: visitor not in self._going
