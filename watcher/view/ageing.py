"""What the days take, in which tier and where, on each day to come: the policy played ahead. Pure.

Days of one date and one state are one cohort, however many streams they are of. They go through their lives
as `watcher.schedule.due` says, each step done at once when it is due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import Literal, NamedTuple

from watcher.schedule import END_OF_TIME, due, end_of
from watcher.settings import Ageing, Settings

CopiedTier = Literal["hot", "warm", "cold"]
Where = tuple[CopiedTier, Literal["root", "backup", "archive"]]
"""A tier, and the directory of ``[data]`` in which that is."""
HOT_ROOT: Where = ("hot", "root")
HOT_BACKUP: Where = ("hot", "backup")
WARM_ROOT: Where = ("warm", "root")
WARM_BACKUP: Where = ("warm", "backup")
COLD_ARCHIVE: Where = ("cold", "archive")
COLD_BACKUP: Where = ("cold", "backup")
PLACES = (HOT_ROOT, HOT_BACKUP, WARM_ROOT, WARM_BACKUP, COLD_ARCHIVE, COLD_BACKUP)
COPIES: dict[CopiedTier, tuple[Where, Where]] = {
    "hot": (HOT_ROOT, HOT_BACKUP),
    "warm": (WARM_ROOT, WARM_BACKUP),
    "cold": (COLD_ARCHIVE, COLD_BACKUP),
}
"""Where the two copies of a day of each tier are: the first one first."""

_NEVER = 1 << 30


class Cohort(NamedTuple):
    """Days of one date that are alike."""

    day: date
    tier: CopiedTier
    stays: bool
    """On hold, or blocked: it stays as it is."""
    backed_up: bool
    raw: float
    """Bytes uncompressed, of one copy."""
    packed: float
    """Bytes compressed, of one copy."""

    @property
    def bytes_now(self) -> float:
        """Of one copy, as it is."""
        return self.raw if self.tier == "hot" else self.packed


class Ledger:
    """Bytes in each place at the end of each day: what is put there, from when until when."""

    def __init__(self, days: int) -> None:
        self._days = days
        self._changes: dict[Where, list[float]] = {place: [0.0] * (days + 1) for place in PLACES}

    def put(self, place: Where, size: float, since: int, until: int) -> None:
        """From the end of the day ``since`` on until before that of ``until``, counted from the first."""
        since, until = max(since, 0), min(until, self._days)
        if since < until:
            self._changes[place][since] += size
            self._changes[place][until] -= size

    def series(self) -> dict[Where, list[int]]:
        return {
            place: [round(size) for size in accumulate(changes[:-1])]
            for place, changes in self._changes.items()
        }


def ahead(cohorts: Iterable[Cohort], settings: Settings, today: date, days: int) -> dict[Where, list[int]]:
    """Bytes in each place at the end of each of so many days, today's first."""
    ledger = Ledger(days)
    steps = _Steps(settings, today, days)
    for cohort in sorted(cohorts):
        if cohort.stays:
            first, second = COPIES[cohort.tier]
            ledger.put(first, cohort.bytes_now, 0, days)
            ledger.put(second, cohort.bytes_now if cohort.backed_up else 0, 0, days)
        else:
            _live(ledger, cohort, steps)
    return ledger.series()


class _Steps:
    """At the end of which day each step of a day's life is done: to be asked of days in their order."""

    def __init__(self, settings: Settings, today: date, days: int) -> None:
        self.today = today
        self.archives = settings.archive.enabled
        self._keep_min = settings.expire.keep_min
        self.backup = _turn(settings.backup, today, days)
        self.compress = _turn(settings.compress, today, days)
        self.archive = _turn(settings.archive, today, days) if settings.archive.enabled else _never
        self._expire = _turn(settings.expire, today, days) if settings.expire.enabled else _never

    def expire(self, day: date) -> int:
        """Not as long as it is one of the newest that are kept."""
        return max(self._expire(day), (day - self.today).days + self._keep_min)


def _live(ledger: Ledger, cohort: Cohort, steps: _Steps) -> None:
    day, tier = cohort.day, cohort.tier
    begins = (day - steps.today).days
    packs = steps.compress(day) if tier == "hot" else 0
    archives = 0 if tier == "cold" else max(packs, steps.archive(day))
    # Without an archive it goes from where it is.
    goes = max(archives if steps.archives else packs, steps.expire(day))
    if tier == "hot":
        backs_up = 0 if cohort.backed_up else steps.backup(day)
        ledger.put(HOT_ROOT, cohort.raw, begins, packs)
        ledger.put(HOT_BACKUP, cohort.raw, max(begins, backs_up), packs)
    moves = min(archives, goes)
    for place in COPIES["warm"]:
        ledger.put(place, cohort.packed, packs, moves)
    for place in COPIES["cold"]:
        ledger.put(place, cohort.packed, archives, goes)


def _never(_: date) -> int:
    return _NEVER


def _turn(ageing: Ageing, today: date, days: int) -> Callable[[date], int]:
    """At the end of which day a step is done, counted from today's."""
    midnight = end_of(today)
    age, one = timedelta(days=ageing.after_days), timedelta(days=1)
    last = midnight + days * one
    moment: datetime | None = None

    def turn(day: date) -> int:
        nonlocal moment
        earliest = end_of(day) + age
        if earliest > last:
            return _NEVER
        # Days come in their order: the time that was found for one is that of all that are of age by then.
        if moment is None or not earliest <= moment < END_OF_TIME:
            moment = due(day, ageing.after_days, ageing.schedule)
        return max(0, -((midnight - moment) // one))

    return turn
