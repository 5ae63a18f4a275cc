"""What is done when, where no daemon runs: the hours of the configuration, for cron and Windows. PURE.

Every entry but the status runs `tickward once`, which does all that is due by the planner's own word, and
nothing else. So an hour that is missed is made up for by the next one, and one too many does nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cronsim import CronSim
from msgspec import Struct

from watcher import schedule
from watcher.settings import Settings

CATCH_UP_MINUTE = 10
"""Beside the hours at which the others begin, and early enough for a day to be sealed soon after midnight."""
ROTATION = "0 0 * * *"
STATUS_LOG = "status.log"
"""In the state directory: what the status said each time."""


class Entry(Struct, frozen=True):
    """One thing that is done at its hours."""

    name: str
    """One word."""
    what: str
    """For people, with the key that its hours are from."""
    schedule: str
    """A cron expression, in UTC."""
    command: str = "once"


class Times(Struct, frozen=True):
    """When that is: each field the values that fit, ascending; empty: any.

    Where an expression says more of a day than its fields can (``L``, ``SUN#1``, a day of the month *or* of
    the week), any day fits: `tickward once` does nothing on one that is not meant.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    """Of the month."""
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    """1 Monday to 7 Sunday."""


def entries(settings: Settings) -> tuple[Entry, ...]:
    """All that a daemon would do by the clock, the rotation first."""
    health, verify = settings.health, settings.verify
    archive = settings.archive.schedule if settings.archive.enabled else schedule.NEVER
    expire = settings.expire.schedule if settings.expire.enabled else schedule.NEVER
    given = [
        Entry("rotation", "rotation at midnight UTC, and the databases of the days ahead", ROTATION),
        Entry("status", "status, for whoever asks later (health.schedule)", health.schedule, "status"),
        Entry("backup", "second copies (backup.schedule)", settings.backup.schedule),
        Entry("compression", "compression (compress.schedule)", settings.compress.schedule),
        Entry("archive", "archive (archive.schedule)", archive),
        Entry("expiry", "expiry (expire.schedule)", expire),
        Entry("verification", "verification of every copy (verify.schedule)", verify.schedule),
        Entry("drill", "a restore on trial (verify.drill_schedule)", verify.drill_schedule),
    ]
    # What follows the rotation is done by that, and by the catch-up as soon as the writer has gone.
    return tuple(each for each in given if each.schedule not in {schedule.NEVER, schedule.ON_ROTATION})


def times_of(expression: str) -> Times:
    """The minutes that a cron expression may mean: all that it does, at times a few more."""
    read = CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC))
    days = _plain(read.days, range(1, 32))
    weekdays = _plain({_monday_first(day) for day in read.weekdays}, range(1, 8))
    if not read.day_and or days is None or weekdays is None:
        days = weekdays = ()
    return Times(
        _plain(read.minutes, range(60)) or (),
        _plain(read.hours, range(24)) or (),
        days,
        _plain(read.months, range(1, 13)) or (),
        weekdays,
    )


def _monday_first(day: object) -> object:
    return 7 if day == 0 else day


def _plain(values: set[object] | set[int], whole: range) -> tuple[int, ...] | None:
    """Empty: the whole range; None: there is more in them than numbers of it."""
    numbers = sorted(value for value in values if isinstance(value, int) and value in whole)
    if len(numbers) != len(values):
        return None
    return () if len(numbers) == len(whole) else tuple(numbers)
