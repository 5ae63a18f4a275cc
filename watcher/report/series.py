"""What the plots of the report are of: numbers over time. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from statistics import median

from msgspec import Struct

from watcher.overview import Day
from watcher.report.chronicle import Certificate
from watcher.view.ageing import COPIES, CopiedTier, Ledger

MOST_POINTS = 420
"""Of a line: more than that is not seen on paper, and makes the file large."""
_LONGEST_DAYS = 50 * 366


class Sizes(Struct, frozen=True):
    """Stored bytes, both copies, at the ends of days."""

    days: tuple[date, ...]
    tiers: dict[str, tuple[int, ...]]
    """By tier."""


class Line(Struct, frozen=True):
    """A number over time."""

    days: tuple[date, ...]
    values: tuple[float, ...]
    every: int
    """Of how many days each is: 1, or what as many had on average, or as their median."""


class Ratio(Struct, frozen=True):
    """How many times smaller a day became."""

    day: date
    ratio: float


def sizes_over_time(days: Sequence[Day], certificates: Iterable[Certificate], until: date) -> Sizes:
    """What was stored, by the times at which the days went from tier to tier."""
    sealed = [day for day in days if day.bytes is not None and day.day <= until]
    if not sealed:
        return Sizes((), {})
    packed = {each.key: each.expired.compressed_bytes for each in certificates}
    first = max(min(day.day for day in sealed), until - timedelta(days=_LONGEST_DAYS))
    count = (until - first).days + 1
    ledger = Ledger(count)
    for day in sealed:
        _put(ledger, day, packed.get(day.key, 0), first, count)
    series = ledger.series()
    step = -(-count // MOST_POINTS)
    at = range((count - 1) % step, count, step)  # the last one included
    return Sizes(
        days=tuple(first + timedelta(days=index) for index in at),
        tiers={
            tier: tuple(sum(series[place][index] for place in pair) for index in at)
            for tier, pair in COPIES.items()
        },
    )


def _put(ledger: Ledger, day: Day, packed_bytes: int, first: date, count: int) -> None:
    def index(moment: datetime | None) -> int:
        return count if moment is None else (moment.date() - first).days

    raw = day.bytes or 0
    packed = packed_bytes or (day.bytes_now if day.tier in ("warm", "cold") else 0)
    begins, goes = (day.day - first).days, index(day.expired_at)
    packs, archives = min(index(day.compressed_at), goes), min(index(day.archived_at), goes)
    spans: tuple[tuple[CopiedTier, int, int, int], ...] = (
        ("hot", raw, begins, packs),
        ("warm", packed, packs, archives),
        ("cold", packed, archives, goes),
    )
    for tier, size, since, until in spans:
        first_copy, second = COPIES[tier]
        ledger.put(first_copy, size, since, until)
        if day.backed_up_at is not None:
            ledger.put(second, size, max(since, index(day.backed_up_at)), until)


def bytes_a_day(days: Iterable[Day]) -> Line:
    """Uncompressed, of all streams together; 0 where there is none."""
    sums: dict[date, int] = {}
    for day in days:
        if day.bytes is not None:
            sums[day.day] = sums.get(day.day, 0) + day.bytes
    if not sums:
        return Line((), (), 1)
    last = max(sums)
    first = max(min(sums), last - timedelta(days=_LONGEST_DAYS))
    each = (first + timedelta(days=index) for index in range((last - first).days + 1))
    return _line([(day, sums.get(day, 0)) for day in each], lambda values: sum(values) / len(values))


def ratios_of(days: Iterable[Day], certificates: Iterable[Certificate]) -> list[Ratio]:
    """Of the days that are compressed, and of those that were and are deleted; by date."""
    there = [Ratio(day.day, day.ratio) for day in days if day.ratio]
    gone = [
        Ratio(date.fromisoformat(each.key[-10:]), each.expired.size_bytes / each.expired.compressed_bytes)
        for each in certificates
        if each.expired.compressed_bytes
    ]
    return sorted(there + gone, key=lambda ratio: ratio.day)


def ratios_over_time(ratios: Iterable[Ratio]) -> Line:
    """One for each date: the median of its streams."""
    by_date: dict[date, list[float]] = {}
    for each in ratios:
        by_date.setdefault(each.day, []).append(each.ratio)
    return _line([(day, median(values)) for day, values in by_date.items()], median)


def _line(points: Sequence[tuple[date, float]], together: Callable[[list[float]], float]) -> Line:
    """Those that follow each other are taken together, if there are too many."""
    every = 1 if len(points) <= MOST_POINTS else 7 * -(-len(points) // (7 * MOST_POINTS))
    groups = [points[index : index + every] for index in range(0, len(points), every)]
    return Line(
        days=tuple(group[0][0] for group in groups),
        values=tuple(together([value for _, value in group]) for group in groups),
        every=every,
    )
