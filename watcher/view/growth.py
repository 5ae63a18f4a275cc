"""How many bytes a stream's days will have, by those that were sealed: what the forecast goes by. Pure.

A day of the week is as large as it was on average in the last eight weeks. Times a trend: the median of the
slopes between all weeks of up to a year, of the logarithm, so that no single week can bend it (Theil and
Sen). It is taken to go on, but never to more than `MOST` times as much in a year, nor less than one part in
as many.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from statistics import median

from msgspec import Struct

MOST = 4.0
"""What grows faster than so many times in a year is not taken to go on growing like that."""
RECENT_DAYS = 56
"""What the days of the week are like is what they were in these."""
LEAST_DAYS = 14
"""Of fewer the days of the week are not told apart."""
_LEAST_WEEKS = 8
"""Of fewer there is no trend."""
_MOST_WEEKS = 52


class Growth(Struct, frozen=True):
    """A stream's days, as they are taken to come."""

    weekdays: tuple[float, ...]
    """Bytes of one, uncompressed, Monday's first."""
    centre: int
    """The day, as an ordinal, for which that is true."""
    weekly: float
    """The natural logarithm of the growth in a week; 0: none is known of."""
    days: int
    """How many sealed days that comes from."""
    weeks: int
    """How many weeks the growth comes from; 0: too few to tell of one."""

    def bytes_of(self, day: date) -> float:
        ordinal = day.toordinal()
        return self.weekdays[day.weekday()] * math.exp(self.weekly * (ordinal - self.centre) / 7)


def growth_of(sealed: Mapping[date, int], today: date) -> Growth | None:
    """What is to come of a stream; None if it has no sealed day of the last eight weeks: it has ended.

    Args:
        sealed: bytes of the sealed days, uncompressed.
    """
    last = max(sealed, default=date.min)
    if last <= today - timedelta(days=RECENT_DAYS):
        return None
    recent = {day: size for day, size in sealed.items() if day > last - timedelta(days=RECENT_DAYS)}
    weekly, weeks = _trend(sealed, last)
    centre = round(sum(day.toordinal() for day in recent) / len(recent))
    return Growth(_weekdays(recent), centre, weekly, len(recent), weeks)


def _weekdays(recent: Mapping[date, int]) -> tuple[float, ...]:
    if len(recent) < LEAST_DAYS:
        return (sum(recent.values()) / len(recent),) * 7
    found: list[list[int]] = [[] for _ in range(7)]
    for day, size in recent.items():
        found[day.weekday()].append(size)
    return tuple(sum(sizes) / len(sizes) if sizes else 0.0 for sizes in found)


def _trend(sealed: Mapping[date, int], last: date) -> tuple[float, int]:
    """The logarithm of the growth in a week, and from how many weeks that is known."""
    weeks: dict[int, list[int]] = {}
    for day, size in sealed.items():
        back = (last - day).days // 7
        if back < _MOST_WEEKS:
            weeks.setdefault(back, []).append(size)
    # A week that lacks a day that others have is no measure.
    usual = Counter(map(len, weeks.values())).most_common(1)[0][0]
    points = [
        (-back, math.log(sum(sizes)))
        for back, sizes in weeks.items()
        if len(sizes) == usual and sum(sizes) > 0
    ]
    if len(points) < _LEAST_WEEKS:
        return 0.0, 0
    points.sort()
    slopes = [
        (after - before) / (later - sooner)
        for index, (sooner, before) in enumerate(points)
        for later, after in points[index + 1 :]
    ]
    bound = math.log(MOST) / _MOST_WEEKS
    return max(-bound, min(bound, median(slopes))), len(points)
