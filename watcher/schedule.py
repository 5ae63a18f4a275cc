"""When a step is due: a pure function of the date in a database's name (invariant 3).

A step is due at the first occurrence of its schedule at or after the end of the database's UTC day
plus its age. Never by a file's mtime, never by when the daemon happened to run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from cronsim import CronSim, CronSimError

ON_ROTATION = "on_rotation"
"""The schedule of steps that do not wait for an hour of the week."""
END_OF_TIME = datetime.max.replace(tzinfo=UTC)
"""Later than anything that is ever due."""
NEVER = "never"
"""The schedule of what is not wanted."""
_WRONG = timedelta(days=1)
"""What is recorded as further ahead than this was recorded by a clock that was wrong."""


def backoff(first_seconds: float, most_seconds: float, attempt: int) -> float:
    """Seconds to wait after so many attempts that failed: they double, up to a maximum."""
    return min(math.ldexp(first_seconds, min(attempt - 1, 64)), most_seconds)


def start_of(day: date) -> datetime:
    """Midnight UTC at which ``day`` begins."""
    return datetime.combine(day, time(), UTC)


def end_of(day: date) -> datetime:
    """Midnight UTC at which ``day`` is over; `END_OF_TIME` for the last that there is."""
    return END_OF_TIME if day == date.max else start_of(day + timedelta(days=1))


@lru_cache(maxsize=65536)
def due(day: date, after_days: int, schedule: str) -> datetime:
    """When a step of this age and schedule is due for ``day``'s database."""
    try:
        earliest = end_of(day) + timedelta(days=after_days)
        return earliest if schedule == ON_ROTATION else first_at_or_after(schedule, earliest)
    except (OverflowError, StopIteration, ValueError):
        return END_OF_TIME  # a name may have any date, and one odd name must not stop all the others


@lru_cache(maxsize=65536)
def next_after(schedule: str, last: datetime) -> datetime | None:
    """The first occurrence of a schedule after the last time; None for `NEVER`."""
    return None if schedule == NEVER else next(CronSim(schedule, last))


def last_of(moments: Iterable[datetime], now: datetime) -> datetime | None:
    """The newest of what is recorded as past, none later than now; None if there is nothing to go by.

    A clock that had been ahead by more than a day, and was put right, is not believed: what goes by the last
    time would wait for that time to come again, for a year perhaps.
    """
    return max((min(moment, now) for moment in moments if moment - now <= _WRONG), default=None)


def first_at_or_after(schedule: str, moment: datetime) -> datetime:
    """The first occurrence of a cron expression, in UTC, at or after ``moment``."""
    # CronSim answers strictly after its argument.
    return next(CronSim(schedule, moment - timedelta(seconds=1)))


def problem_with(schedule: str, also: str = ON_ROTATION) -> str | None:
    """Why a schedule cannot be meant, or None; ``also`` is the one word that is one, beside cron's."""
    if schedule == also:
        return None
    try:
        first_at_or_after(schedule, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        return f"{schedule!r} is not a cron expression ({error}) or {also!r}"
    except StopIteration:
        return f"{schedule!r} never occurs"
    return None
