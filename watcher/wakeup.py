"""Wakes the loop: from file events, from workers, from signal handlers."""

from __future__ import annotations

import select
import socket
from contextlib import suppress


class Wakeup:
    """Something to sleep on. Calling it, from any thread or signal handler, ends the sleep.

    A socket pair and not a `threading.Event`: a signal handler that sets an event which its own thread is
    waiting for can deadlock.
    """

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)

    def __call__(self) -> None:
        with suppress(OSError):  # full: it is awake already; closed: it sleeps no more
            self._writing.send(b"!")

    def wait(self, seconds: float) -> bool:
        """Sleep until called, or for so many seconds; a call made before counts. Whether it was called."""
        woken, _, _ = select.select([self._reading], [], [], max(seconds, 0.0))
        with suppress(BlockingIOError):
            while self._reading.recv(4096):
                pass
        return bool(woken)

    def fileno(self) -> int:
        """To sleep on it together with others; what is readable then is taken by `wait`."""
        return self._reading.fileno()

    def close(self) -> None:
        self._reading.close()
        self._writing.close()
