"""The one source of time: what the time is, and how long to sleep until a given moment.

Everything the daemon decides is decided in *clock time*. For a real daemon that is the machine's
UTC clock; demonstrations run on a scaled one, tests on a manual one, and no other code can tell.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

MAX_SLEEP_SECONDS = 30.0
"""A sleep is monotonic and the wall clock is not: re-read it at least this often."""


class Clock(Protocol):
    """Tells the time, aware and in UTC."""

    def now(self) -> datetime: ...

    def real_seconds(self, until: datetime) -> float:
        """How many real seconds to sleep to reach ``until``: 0 to `MAX_SLEEP_SECONDS`."""
        ...

    def elapsed(self) -> float:
        """Seconds of this clock since some moment, whatever jumps the time of day makes."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def elapsed(self) -> float:
        return time.monotonic()

    def real_seconds(self, until: datetime) -> float:
        return _bounded((until - self.now()).total_seconds())


class ScaledClock:
    """A clock that runs ``scale`` times as fast as the machine's.

    It shows ``start`` at the Unix time ``origin``. Being a pure function of the machine's clock, it
    shows the same time in every process that is given the same three numbers.
    """

    def __init__(self, start: datetime, origin: float, scale: float) -> None:
        self._start = start.astimezone(UTC)
        self._origin = origin
        self._scale = scale

    def now(self) -> datetime:
        return self._start + timedelta(seconds=(time.time() - self._origin) * self._scale)

    def elapsed(self) -> float:
        return time.monotonic() * self._scale

    def real_seconds(self, until: datetime) -> float:
        return _bounded((until - self.now()).total_seconds() / self._scale)


class ManualClock:
    """A clock that a test turns by hand."""

    def __init__(self, now: datetime) -> None:
        self.time = now
        self._elapsed = 0.0

    def now(self) -> datetime:
        return self.time

    def elapsed(self) -> float:
        return self._elapsed

    def real_seconds(self, until: datetime) -> float:
        return 0.0 if until <= self.time else MAX_SLEEP_SECONDS

    def advance(self, **delta: float) -> datetime:
        """Move on by a `timedelta`, given by its keywords; return the new time."""
        self._elapsed += timedelta(**delta).total_seconds()
        return self.jump(**delta)

    def jump(self, **delta: float) -> datetime:
        """Show another time, as a clock does that is set: no time has passed."""
        self.time += timedelta(**delta)
        return self.time


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_SLEEP_SECONDS)
