"""Ctrl-C and SIGTERM end a command at once, wherever it is, but never where it says that they must not."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_BOTH = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal came. Not an error: nothing that handles errors is meant to handle it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Interruption:
    """Raises `Interrupted` in the main thread when a signal comes; of a storm of them only the first counts.

    Args:
        deaf_seconds: how long those after it change nothing; without end if what was begun may take its time
            to be cleared away.
    """

    def __init__(self, deaf_seconds: float = math.inf) -> None:
        self._deaf_seconds = deaf_seconds
        self._deaf_until = 0.0
        self._number = 0
        self._held = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """As long as this lasts."""
        before = {number: signal.signal(number, self._on_signal) for number in _BOTH}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Not before the end of this. What is started in it hears its own signals."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._number:
            raise Interrupted(self._number)

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """As `held`; and a process that is started in it is not reached by Ctrl-C."""
        with self.held():
            before = signal.pthread_sigmask(signal.SIG_BLOCK, _BOTH)
            try:
                yield
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if now < self._deaf_until:
            return  # what was begun is being cleared away
        self._number, self._deaf_until = number, now + self._deaf_seconds
        if not self._held:
            raise Interrupted(number)
