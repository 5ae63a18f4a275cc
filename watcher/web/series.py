"""What is drawn: bytes a day, bytes kept in each tier, and how much smaller days became. Pure.

Kept bytes are reckoned from when each day went from tier to tier. Of a deleted day it is not known any more
how small it was: the mean of all others stands in for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import accumulate

from msgspec import Struct

from watcher.lifecycle import Tier
from watcher.overview import Day

POINTS = 400
"""So many at most, however many days there are: a screen has no room for more."""


class Series(Struct, frozen=True):
    """Values over time, all streams together: one for each of the dates."""

    days_each: int
    """How many days one value stands for."""
    dates: tuple[date, ...]
    """The first day of each of them."""
    raw_bytes: tuple[int | None, ...]
    """Uncompressed bytes of a day, the mean of the days it stands for; null: none of them is sealed."""
    hot_bytes: tuple[int, ...]
    """What was kept uncompressed at the end of those days, second copies included."""
    warm_bytes: tuple[int, ...]
    """The same of what was compressed."""
    cold_bytes: tuple[int, ...]
    """The same of what was archived."""
    ratio: tuple[float | None, ...]
    """How many times smaller those days are now; null: none of them is compressed."""


_ORDER: dict[Tier | None, int] = {"hot": 0, "warm": 1, "cold": 2, "gone": 3}
_PACKED = ("warm", "cold")
EMPTY = Series(1, (), (), (), (), (), ())


def series(days: Sequence[Day], today: date) -> Series:
    """Of the sealed days, from the first of them on."""
    sealed = [day for day in days if day.bytes is not None and day.day <= today]
    if not sealed:
        return EMPTY
    first = min(day.day for day in sealed).toordinal()
    total = today.toordinal() - first + 1
    each = -(-total // POINTS)
    drawing = _Drawing(first, each, -(-total // each), _mean_ratio(sealed))
    for day in sealed:
        drawing.add(day)
    return drawing.series(max(day.day for day in sealed).toordinal())


def _mean_ratio(days: Iterable[Day]) -> float:
    """1 if none is compressed: then no deleted day is drawn smaller than it was."""
    raw = packed = 0
    for day in days:
        if day.tier in _PACKED and day.bytes_now:
            raw, packed = raw + (day.bytes or 0), packed + day.bytes_now
    return raw / packed if packed else 1.0


class _Drawing:
    """Sums for each point; of what is kept, how much comes and goes there."""

    def __init__(self, first: int, each: int, points: int, ratio: float) -> None:
        self._first, self._each, self._points, self._ratio = first, each, points, ratio
        self._raw, self._days = [0] * points, [0] * points
        self._packed_from, self._packed_to = [0] * points, [0] * points
        self._hot, self._warm, self._cold = ([0] * points for _ in range(3))

    def add(self, day: Day) -> None:
        raw, packed, tier = day.bytes or 0, day.bytes_now, day.tier
        point = (day.day.toordinal() - self._first) // self._each
        self._raw[point] += raw
        self._days[point] += 1
        if tier in _PACKED and packed:
            self._packed_from[point] += raw
            self._packed_to[point] += packed
        elif tier == "gone":
            packed = int(raw / self._ratio)
        copies = 2 if day.backup == "yes" else 1
        self._keep(day, raw * copies, packed * copies)

    def _keep(self, day: Day, raw: int, packed: int) -> None:
        """Each tier that it has been in holds it until the next one does.

        A day that was merged, or written to again, is hot once more: what it was before does not count.
        """
        reached = _ORDER.get(day.tier, 0)
        compressed_at = day.compressed_at if reached >= 1 else None
        archived_at = day.archived_at if reached >= 2 else None
        gone_at = day.expired_at if reached == 3 else None
        self._hold(self._hot, raw, day.sealed_at, compressed_at or archived_at or gone_at)
        self._hold(self._warm, packed, compressed_at, archived_at or gone_at)
        self._hold(self._cold, packed, archived_at, gone_at)

    def _hold(self, kept: list[int], size: int, since: datetime | None, until: datetime | None) -> None:
        if since is None:
            return
        # What came before the first day, or is yet to go, belongs to an end.
        last, first, each = self._points - 1, self._first, self._each
        point = (since.toordinal() - first) // each
        kept[0 if point < 0 else last if point > last else point] += size
        if until is not None:
            point = (until.toordinal() - first) // each
            kept[0 if point < 0 else last if point > last else point] -= size

    def series(self, last: int) -> Series:
        """``last``: the number of the last day."""
        first, each = self._first, self._each
        starts = range(first, first + self._points * each, each)
        raw = zip(starts, self._raw, self._days, strict=True)
        packed = zip(self._packed_from, self._packed_to, strict=True)
        return Series(
            days_each=each,
            dates=tuple(map(date.fromordinal, starts)),
            # Not all days of the last point are over.
            raw_bytes=tuple(
                size // min(each, last + 1 - start) if days else None for start, size, days in raw
            ),
            hot_bytes=_sums(self._hot),
            warm_bytes=_sums(self._warm),
            cold_bytes=_sums(self._cold),
            ratio=tuple(round(before / after, 3) if after else None for before, after in packed),
        )


def _sums(changes: Iterable[int]) -> tuple[int, ...]:
    return tuple(max(0, each) for each in accumulate(changes))
