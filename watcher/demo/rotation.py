"""When the writer's next day begins: when its clock says so, or when a `rotated` event does."""

from __future__ import annotations

import sys
import time
from datetime import date
from pathlib import Path
from typing import Protocol

import zmq
from msgspec import DecodeError, Struct, json

from watcher.demo.day import day_of


class Rotation(Protocol):
    """Days are numbers: see `day_of`."""

    def newest(self, today: int, current: int) -> int:
        """The newest day that may be written: never after ``today``, nor before ``current``."""
        ...

    def path(self, day: int) -> Path | None:
        """Where that day's database is, if that was announced."""
        ...

    def wait(self, seconds: float) -> bool:
        """Sleep; return early, with True, if there is news."""
        ...

    def close(self) -> None: ...


class ByClock:
    """The next day begins at midnight."""

    def newest(self, today: int, current: int) -> int:
        return max(today, current)

    def path(self, _day: int) -> Path | None:
        return None

    def wait(self, seconds: float) -> bool:
        time.sleep(seconds)
        return False

    def close(self) -> None:
        pass


class ByEvent:
    """The next day begins when a `rotated` event says so, or ``grace_seconds`` after midnight.

    An event that is early (by the writer's clock) waits for its day; one for a day that is open
    already changes nothing. The grace is real time, not the clock's: it is for a message that is
    late or lost, and messages do not travel faster on a scaled clock.
    """

    def __init__(self, endpoint: str, topic: str, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._overdue_since: float | None = None
        self._announced: dict[int, Path] = {}
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.subscribe(topic.encode())
        self._socket.connect(endpoint)

    def newest(self, today: int, current: int) -> int:
        self._receive()
        self._announced = {day: path for day, path in self._announced.items() if day >= current}
        told = max((day for day in self._announced if day <= today), default=current)
        if told > current or today <= current:
            self._overdue_since = None
            return told
        now = time.monotonic()
        self._overdue_since = self._overdue_since or now
        return today if now - self._overdue_since >= self._grace_seconds else current

    def path(self, day: int) -> Path | None:
        return self._announced.get(day)

    def wait(self, seconds: float) -> bool:
        return bool(self._socket.poll(int(seconds * 1000) + 1))

    def close(self) -> None:
        self._socket.close()
        self._context.term()

    def _receive(self) -> None:
        while self._socket.poll(0):
            body = self._socket.recv_multipart()[-1]
            try:
                rotated = json.decode(body, type=_Event).data
            except DecodeError as error:
                sys.stderr.write(f"ignored an event that is not a rotation: {error}\n")
            else:
                self._announced[day_of(rotated.current)] = Path(rotated.current_db)


class _Rotated(Struct):
    current: date
    current_db: str


class _Event(Struct):
    data: _Rotated
