"""What the forecast has to know of the recorded days, found in one pass over them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from msgspec import Struct

from watcher.overview import Day
from watcher.settings import Settings
from watcher.view.ageing import COPIES, PLACES, Cohort, CopiedTier, Where
from watcher.view.growth import RECENT_DAYS, Growth, growth_of

RATIO_ASSUMED = 3.1
"""Of the least compressible of the sample days (docs/benchmarks.md): as long as no day was compressed."""
_RATIO_DAYS = 30
"""Of each stream: those that were compressed last."""
_HISTORY = timedelta(days=365 + RECENT_DAYS)


class Recorded(Struct, frozen=True):
    """What there is, and what it says of the days to come."""

    today: date
    now: dict[Where, int]
    """Bytes in each place."""
    there: tuple[Cohort, ...]
    """The days that there are, but today's and later ones of streams that go on."""
    raw: tuple[float, ...]
    """Bytes that are expected of each day from today on, uncompressed."""
    packed: tuple[float, ...]
    """The same compressed, at the usual level."""
    growths: dict[str, Growth]
    """Of the streams of which days are expected."""
    ended: tuple[str, ...]
    """Streams with sealed days of which none are expected."""
    ratio_days: int
    """How many compressed days say how small a day becomes."""
    staying: int
    """Days that stay as they are: on hold, or blocked."""

    def cohorts(self, relative: float) -> list[Cohort]:
        """All days, if those that are yet to be compressed become so much of what is usual."""
        coming = [
            Cohort(self.today + timedelta(days=index), "hot", False, False, raw, packed)
            for index, (raw, packed) in enumerate(zip(self.raw, self.packed, strict=True))
        ]
        return [
            cohort._replace(packed=cohort.packed * relative) if cohort.tier == "hot" else cohort
            for cohort in (*self.there, *coming)
        ]

    def ratio(self, relative: float) -> float | None:
        """How many times smaller the days of this week become."""
        packed = sum(self.packed[:7]) * relative
        return sum(self.raw[:7]) / packed if packed else None


def records_of(days: Iterable[Day], settings: Settings, today: date, ahead: int) -> Recorded:
    """Look through the days; ``ahead``: how many are to come, today's first."""
    found = _Pass(today)
    for day in days:
        found.take(day, day.stream in settings.data.streams)
    growths = {stream: growth_of(sealed, today) for stream, sealed in found.sealed.items()}
    going_on = {stream: growth for stream, growth in growths.items() if growth is not None}
    ratios = _ratios(found.packed, found.sealed)
    raw, packed = [0.0] * ahead, [0.0] * ahead
    for stream, growth in going_on.items():
        for index in range(ahead):
            size = growth.bytes_of(today + timedelta(days=index))
            raw[index] += size
            packed[index] += size / ratios[stream]
    return Recorded(
        today=today,
        now=found.now,
        there=tuple(found.cohorts(ratios, going_on)),
        raw=tuple(raw),
        packed=tuple(packed),
        growths=going_on,
        ended=tuple(sorted(growths.keys() - going_on.keys())),
        ratio_days=sum(map(len, found.packed.values())),
        staying=found.staying,
    )


def _ratios(packed: Mapping[str, Iterable[tuple[int, int]]], streams: Iterable[str]) -> dict[str, float]:
    """How many times smaller a stream's days become; where that has yet to be seen, as all others do."""
    sums = {stream: tuple(map(sum, zip(*pairs, strict=True))) for stream, pairs in packed.items()}
    small = sum(after for _, after in sums.values())
    usual = sum(before for before, _ in sums.values()) / small if small else RATIO_ASSUMED
    ratios = {stream: before / after for stream, (before, after) in sums.items()}
    return {stream: ratios.get(stream, usual) for stream in streams}


class _Pass:
    """What is gathered on the way."""

    def __init__(self, today: date) -> None:
        self._today = today
        self._since = today - _HISTORY
        self.now: dict[Where, int] = dict.fromkeys(PLACES, 0)
        self.sealed: dict[str, dict[date, int]] = {}
        self.packed: dict[str, deque[tuple[int, int]]] = {}
        self.staying = 0
        self._hot: dict[tuple[str, date, bool, bool], int] = {}
        self._packed: dict[tuple[date, CopiedTier, bool, bool], int] = {}

    def take(self, day: Day, configured: bool) -> None:
        tier, size = day.tier, day.bytes_now
        if day.bytes is not None and self._since < day.day < self._today and configured:
            self.sealed.setdefault(day.stream, {})[day.day] = day.bytes
        if tier is None or tier == "gone":
            return
        first, second = COPIES[tier]
        backed_up = day.backup != "no"
        self.now[first] += size
        self.now[second] += size if backed_up else 0
        # What is no stream's any more is looked after by nobody.
        stays = day.on_hold or day.entry == "block" or not configured
        self.staying += stays
        if tier == "hot":
            hot = day.stream, day.day, stays, backed_up
            self._hot[hot] = self._hot.get(hot, 0) + size
            return
        if day.bytes and size < day.bytes:  # not one that is restored for now
            self.packed.setdefault(day.stream, deque(maxlen=_RATIO_DAYS)).append((day.bytes, size))
        packed = day.day, tier, stays, backed_up
        self._packed[packed] = self._packed.get(packed, 0) + size

    def cohorts(self, ratios: Mapping[str, float], going_on: Mapping[str, Growth]) -> Iterable[Cohort]:
        """Without the days that are expected anyhow."""
        hot: dict[tuple[date, bool, bool], tuple[float, float]] = {}
        for (stream, day, stays, backed_up), size in self._hot.items():
            if day < self._today or stream not in going_on:
                raw, packed = hot.get((day, stays, backed_up), (0.0, 0.0))
                hot[day, stays, backed_up] = raw + size, packed + size / ratios.get(stream, RATIO_ASSUMED)
        for (day, stays, backed_up), (raw, packed) in hot.items():
            yield Cohort(day, "hot", stays, backed_up, raw, packed)
        for (day, tier, stays, backed_up), size in self._packed.items():
            yield Cohort(day, tier, stays, backed_up, 0.0, size)
