"""What the loop says to whoever publishes: a line each, over a pair of sockets, and never waiting.

A bare newline is a wake-up; other lines are JSON. The far end is in another thread, or in another process.
A near end that closes, or whose process is gone, tells the far one to come to its end.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from watcher.events import Progress

Told = tuple[str, Progress]
"""How far the step is that runs for a database."""

_LONGEST_LINE = 64 << 10
_encode = msgspec.json.Encoder().encode
_decode_told = msgspec.json.Decoder(Told).decode


class Caller:
    """The near end. May be used from any thread, and never blocks: what does not fit is dropped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._near: socket.socket | None = None
        self._closed = False

    def pair(self, first: bytes = b"") -> socket.socket | None:
        """Speak to a new far end from now on, which has to be closed by whoever takes it; None after `close`.

        ``first`` is a line for it, without its newline.
        """
        with self._lock:
            self._hang_up()
            if self._closed:
                return None
            self._near, far = socket.socketpair()
            self._near.setblocking(False)
        if first:
            self._say(first)
        return far

    def wake(self) -> None:
        """Something was recorded."""
        self._say(b"")

    def progress(self, told: Mapping[str, Progress]) -> None:
        """How far the steps are that run, by the key of their database."""
        for each in told.items():
            self._say(_encode(each))

    def close(self) -> None:
        """The far end is to come to its end."""
        with self._lock:
            self._closed = True
            self._hang_up()

    def _say(self, line: bytes) -> None:
        with self._lock, suppress(OSError):  # full: it is awake already; gone: it sleeps no more
            if self._near is not None:
                self._near.send(line + b"\n")

    def _hang_up(self) -> None:
        if self._near is not None:
            self._near.close()
            self._near = None


class Listener:
    """The far end. Belongs to one thread."""

    def __init__(self, far: socket.socket) -> None:
        far.setblocking(False)
        self.socket = far
        self.ended = False
        """Whether the near end has closed: there is nothing more to come."""
        self._rest = b""

    def first(self) -> bytes:
        """Wait for the line that `Caller.pair` was given. Raises `EOFError` if the near end has gone."""
        self.socket.setblocking(True)
        while b"\n" not in self._rest:
            if not self._receive():
                raise EOFError("who started this process has ended")
        self.socket.setblocking(False)
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def take(self) -> list[Told]:
        """What was said since the last time, without the wake-ups."""
        with suppress(BlockingIOError):
            self.ended = not self._receive()
        *lines, self._rest = self._rest.split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            self._rest = b""
        told = []
        for line in filter(None, lines):
            with suppress(msgspec.MsgspecError):  # one that did not fit is in two halves
                told.append(_decode_told(line))
        return told

    def close(self) -> None:
        self.socket.close()

    def _receive(self) -> bytes:
        received = self.socket.recv(_LONGEST_LINE)
        self._rest += received
        return received
