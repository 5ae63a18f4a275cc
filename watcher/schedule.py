"""When a step is due: a pure function of the date in a database's name (invariant 3).

A step is due at the first occurrence of its schedule at or after the end of the database's UTC day
plus its age. Never by a file's mtime, never by when the daemon happened to run.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from cronsim import CronSim, CronSimError

ON_ROTATION = "on_rotation"
"""The schedule of steps that do not wait for an hour of the week."""


def start_of(day: date) -> datetime:
    """Midnight UTC at which ``day`` begins."""
    return datetime.combine(day, time(), UTC)


def end_of(day: date) -> datetime:
    """Midnight UTC at which ``day`` is over."""
    return start_of(day + timedelta(days=1))


@lru_cache(maxsize=65536)
def due(day: date, after_days: int, schedule: str) -> datetime:
    """When a step of this age and schedule is due for ``day``'s database."""
    earliest = end_of(day) + timedelta(days=after_days)
    return earliest if schedule == ON_ROTATION else first_at_or_after(schedule, earliest)


def first_at_or_after(schedule: str, moment: datetime) -> datetime:
    """The first occurrence of a cron expression, in UTC, at or after ``moment``."""
    # CronSim answers strictly after its argument.
    return next(CronSim(schedule, moment - timedelta(seconds=1)))


def problem_with(schedule: str) -> str | None:
    """Why a schedule cannot be meant, or None."""
    if schedule == ON_ROTATION:
        return None
    try:
        first_at_or_after(schedule, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        return f"{schedule!r} is not a cron expression ({error}) or {ON_ROTATION!r}"
    except StopIteration:
        return f"{schedule!r} never occurs"
    return None
