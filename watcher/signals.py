"""Signals: their handlers only call what sets a flag; the loop acts on it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def handled(stop: Callable[[str], None], reload: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT call ``stop`` with their name, SIGHUP calls ``reload``, as long as this lasts."""

    def on_stop(number: int, _: FrameType | None) -> None:
        for other in (signal.SIGTERM, signal.SIGINT):
            signal.signal(other, signal.SIG_IGN)  # once is enough; a storm of them changes nothing
        stop(signal.Signals(number).name)

    def on_reload(*_: object) -> None:
        reload()

    wanted: dict[int, Callable[[int, FrameType | None], None]] = {
        signal.SIGTERM: on_stop,
        signal.SIGINT: on_stop,
    }
    if sys.platform != "win32":
        wanted[signal.SIGHUP] = on_reload
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            # Told to stop, the process is about to end: a second signal must not make that a failure.
            stopping = signal.getsignal(number) is signal.SIG_IGN
            if not (stopping and handler in (signal.SIG_DFL, signal.default_int_handler)):
                signal.signal(number, handler)
