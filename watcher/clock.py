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
_JUMP = timedelta(hours=1)
"""A clock that is further off than this from what has really passed was set, or wrong."""
_DOUBT = timedelta(minutes=10)


class Clock(Protocol):
    """Tells the time, aware and in UTC."""

    def now(self) -> datetime: ...

    def real_seconds(self, until: datetime) -> float:
        """How many real seconds to sleep to reach ``until``: 0 to `MAX_SLEEP_SECONDS`."""
        ...

    def elapsed(self) -> float:
        """Seconds of this clock since some moment, whatever jumps the time of day makes."""
        ...


class ClockDoubt:
    """Notices a clock that was set. One that was set forward is doubted for a while."""

    def __init__(self) -> None:
        self.until: datetime | None = None
        """So long the clock is not trusted with what goes by the date alone; None: it is trusted."""
        self._seen: tuple[datetime, float] | None = None

    def watch(self, now: datetime, elapsed_seconds: float) -> bool:
        """Look at the clock once more; whether it was set since the last look.

        ``elapsed_seconds`` is what has really passed since some moment: see `Clock.elapsed`.
        """
        before, self._seen = self._seen, (now, elapsed_seconds)
        if before is None:
            return False
        jump = now - before[0] - timedelta(seconds=elapsed_seconds - before[1])
        if abs(jump) < _JUMP:
            return False
        self.until = now + _DOUBT if jump > timedelta(0) else None
        return True


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
