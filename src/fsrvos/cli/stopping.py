"""A stop signal lets what is under way come to a good end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Stop:
    """Whether a stop was asked for.

    Attributes:
        signal: Number of the signal; 0 while there was none.
    """

    signal: int = 0

    def __bool__(self) -> bool:
        return self.signal != 0

    @property
    def exit_code(self) -> int:
        """As a shell tells of a program that the signal ended."""
        return 128 + self.signal


@contextmanager
def ctrl_c_as_sigterm() -> Iterator[Stop]:
    """Within the block the first Ctrl-C is a SIGTERM to this process, which Lightning lets training end by; the second
    interrupts at once.

    Until training has a handler for SIGTERM there is nothing to save, and the first one interrupts as well.
    """
    stop = Stop()

    def take(number: int, _: FrameType | None) -> None:
        if stop or signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            raise KeyboardInterrupt
        stop.signal = number
        print("fsrvos: stops after this step; once more to stop at once", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGINT, take)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Within the block the first SIGINT or SIGTERM only sets ``Stop``; a second one interrupts."""
    stop = Stop()

    def take(number: int, _: FrameType | None) -> None:
        if stop:
            raise KeyboardInterrupt
        stop.signal = number

    before = {number: signal.signal(number, take) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
