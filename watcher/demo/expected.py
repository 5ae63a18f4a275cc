"""The picture that the default policy gives: which days are hot, warm, cold and expired at a moment.

It is worked out with a calendar and nothing else, so that a reader can check it at a glance, and so that it
cannot share a mistake with the planner, which reads the settings and a cron library. What both say is
compared at the end of the demonstration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta

HOT, WARM, COLD, EXPIRED = "hot", "warm", "cold", "expired"
TIERS = (HOT, WARM, COLD, EXPIRED)
KEPT_DAYS = 7
"""The newest so many days never expire."""
_SUNDAY = 6
_ONE_DAY = timedelta(days=1)


def expected(days: Iterable[date], at: datetime) -> dict[date, str]:
    """The tier of each day at a moment: one of `TIERS`."""
    in_order = sorted(days)
    newest = in_order[-KEPT_DAYS:]
    return {day: _tier(day, at, kept=day in newest) for day in in_order}


def warm_from(day: date) -> datetime:
    """When it is compressed: 7 days after its end, then the first Sunday 02:00."""
    return _first(day, 7, lambda that: that.weekday() == _SUNDAY, hour=2)


def cold_from(day: date) -> datetime:
    """When it is archived: 30 days after its end, then the first 1st of a month 03:00."""
    return _first(day, 30, lambda that: that.day == 1, hour=3)


def expired_from(day: date) -> datetime:
    """When it is deleted: 180 days after its end, then the first 04:00."""
    return _first(day, 180, lambda _: True, hour=4)


def last_month_turn(at: datetime, hour: int) -> datetime:
    """The last 1st of a month at this hour that is not later than ``at``: of verifications 5, of drills 6."""
    first = at.replace(day=1, hour=hour, minute=0, second=0, microsecond=0)
    return first if first <= at else (first - _ONE_DAY).replace(day=1)


def _tier(day: date, at: datetime, *, kept: bool) -> str:
    if expired_from(day) <= at and not kept:
        return EXPIRED
    if cold_from(day) <= at:
        return COLD
    return WARM if warm_from(day) <= at else HOT


def _first(day: date, age_days: int, fits: Callable[[date], bool], hour: int) -> datetime:
    # A day has its age at a midnight: on the date that begins then, the hour is still to come.
    that = day + _ONE_DAY + timedelta(days=age_days)
    while not fits(that):
        that += _ONE_DAY
    return datetime.combine(that, time(hour), UTC)
