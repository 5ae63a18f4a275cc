"""Ctrl-C and SIGTERM end a query at once, wherever it is: in a statement, in a write, or waiting."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_BOTH = (signal.SIGINT, signal.SIGTERM)
_DEAF_SECONDS = 1.0


class Stopped(BaseException):
    """A signal came. Not an error: nothing that handles errors is meant to handle it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Stopping:
    """Raises `Stopped` in the main thread when a signal comes; of a storm of them only the first counts."""

    def __init__(self) -> None:
        self._number = 0
        self._deaf_until = 0.0
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
        """Not before the end of this. A process that is started in it is not reached by Ctrl-C."""
        self._held = True
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _BOTH)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            self._held = False
        if self._number:
            raise Stopped(self._number)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if now < self._deaf_until:
            return  # what was begun is being cleared away
        self._number, self._deaf_until = number, now + _DEAF_SECONDS
        if not self._held:
            raise Stopped(number)
