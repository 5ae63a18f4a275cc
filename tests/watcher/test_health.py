"""How things stand: when it is said, and what is counted."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from handlers.contract import Step
from tests.watcher.builders import (
    DAY,
    HOLD,
    RAW,
    SETTINGS,
    archived_day,
    backed_up_day,
    compressed_day,
    database,
    expired_day,
    utc,
    with_facts,
)
from watcher.events import DiskLow, Health, Tier
from watcher.health import disk_low, health, health_at, short_of_space
from watcher.plan import plan
from watcher.state import Database, Facts, Files

HOURLY = "0 * * * *"
NOON = utc("2026-01-22 12:00")


def stands(some: list[Database], now: datetime = NOON) -> Health:
    return health(some, plan(some, SETTINGS, now), {"root": 5})


def is_due(told: datetime | None, schedule: str, now: datetime) -> bool:
    moment = health_at(told, schedule, now)
    return moment is not None and moment <= now


@pytest.mark.parametrize(
    ("told", "now", "due"),
    [
        (None, "2026-01-22 12:34", True),
        ("2026-01-22 12:00", "2026-01-22 12:59", False),
        ("2026-01-22 12:00", "2026-01-22 13:00", True),
        ("2026-01-22 12:34", "2026-01-22 13:00", True),
        ("2025-12-31 23:59", "2026-01-01 00:00", True),
        ("2026-01-20 12:00", "2026-01-22 12:34", True),  # away for two days: once, not 48 times
        ("2026-01-22 12:30", "2026-01-22 12:20", False),  # the clock went back a little
        ("2026-01-22 14:00", "2026-01-22 12:20", False),
        ("2027-01-22 12:00", "2026-01-22 12:20", True),  # it had been a year ahead
    ],
)
def test_it_is_time_to_say_it_again(told: str | None, now: str, due: bool) -> None:
    assert is_due(utc(told) if told else None, HOURLY, utc(now)) is due


def test_it_is_not_silent_for_longer_than_an_hour_after_the_clock_went_back() -> None:
    told, now = utc("2026-01-22 14:00"), utc("2026-01-22 12:20")
    first = next(n for n in range(500) if is_due(told, HOURLY, now + timedelta(minutes=n)))
    assert first <= 160


def test_never_is_never() -> None:
    assert not is_due(None, "never", NOON)
    assert not is_due(NOON - timedelta(days=999), "never", NOON)


def test_each_day_is_in_one_tier_with_what_it_takes_and_took() -> None:
    some = [
        backed_up_day(DAY),
        backed_up_day(DAY - timedelta(days=1)),
        compressed_day(DAY - timedelta(days=20)),
        archived_day(DAY - timedelta(days=60)),
        expired_day(DAY - timedelta(days=200)),
        database(DAY + timedelta(days=1)),
        database(DAY + timedelta(days=2), files=Files(), facts=Facts()),
    ]
    assert stands(some).tiers == {
        "backed_up": Tier(2, 2000, 2000),
        "compressed": Tier(1, 1000, 300),
        "archived": Tier(1, 1000, 300),
        "expired": Tier(1, 1000, 0),
        "closed": Tier(1, 1000, 1000),
    }


def test_a_restored_copy_is_what_a_cold_day_takes_now() -> None:
    subject = archived_day(files=Files(database=RAW, archived=RAW, backup_compressed=RAW))
    assert stands([subject]).tiers["archived"] == Tier(1, 1000, 1000)


def test_the_oldest_and_newest_are_of_those_that_are_there() -> None:
    some = [
        expired_day(DAY - timedelta(days=200)),
        archived_day(DAY - timedelta(days=60)),
        backed_up_day(DAY),
        database(DAY + timedelta(days=1), files=Files(), facts=Facts()),
    ]
    found = stands(some)
    assert (found.oldest, found.newest) == ("2025-11-21", "2026-01-20")
    assert (stands([]).oldest, stands([]).newest) == (None, None)


def test_what_is_due_blocked_and_held_is_counted() -> None:
    some = [
        database(),  # to be sealed
        with_facts(backed_up_day(DAY - timedelta(days=1)), hold=HOLD),
        database(DAY - timedelta(days=2), files=Files(anomaly="a directory")),
    ]
    found = stands(some)
    assert (found.due, found.blocked, found.held) == (1, 1, 1)


def test_when_each_step_last_succeeded() -> None:
    early, late = utc("2026-01-20 00:00"), utc("2026-01-21 00:00")
    some = [
        with_facts(backed_up_day(), times={"sealed": early, "backed_up": late, "closed": late}),
        with_facts(archived_day(DAY - timedelta(days=60)), times={"sealed": late, "archived": early}),
        with_facts(expired_day(DAY - timedelta(days=200)), times={"expired": early, "drilled": early}),
    ]
    assert stands(some).last == {
        "sealed": late,
        "backed_up": late,
        "archived": early,
        "expired": early,
        "drilled": early,
    }


def test_free_space_is_passed_on() -> None:
    assert stands([backed_up_day(running=Step.VERIFY)]).free_bytes == {"root": 5}


GIB = 1 << 30


@pytest.mark.parametrize(
    ("told", "free", "low"),
    [
        ({}, {"root": GIB}, None),
        ({}, {"root": GIB - 1, "backup": 9 * GIB}, {"root": GIB - 1}),
        ({"root": 5}, {"root": 7}, None),  # said already
        ({"root": 5}, {"root": GIB + 1}, None),  # just about full, and does not speak every minute
        ({"root": 5}, {"root": 2 * GIB}, {}),
        ({"root": 5}, {"root": 6, "backup": 7}, {"root": 6, "backup": 7}),
        ({"root": 5, "backup": 7}, {"root": 6, "backup": 2 * GIB}, {"root": 6}),
        ({"root": 5}, {}, {}),  # it is not there any more: that is not what is said here
    ],
)
def test_too_little_space_is_said_when_it_begins_and_when_it_is_over(
    told: dict[str, int], free: dict[str, int], low: dict[str, int] | None
) -> None:
    before = DiskLow(told, GIB, "") if told else None
    said = disk_low(free, GIB, before)
    assert (said.low if said else None) == low
    assert said is None or bool(said.hint) == bool(low)


def test_where_nothing_has_to_be_free_nothing_is_said() -> None:
    assert disk_low({"root": 0}, 0, None) is None


def test_what_was_said_of_free_space_is_why_what_needs_it_is_paused() -> None:
    told = DiskLow({"backup": 5, "archive": 7}, GIB, "free some")
    why = "less than 1 GiB is free on the volume of data.{}: free space there"
    expected = {name: why.format(name) for name in ("backup", "archive")}
    assert short_of_space(told, "1 GiB", one_volume=False) == expected
    assert short_of_space(DiskLow({}, GIB, ""), "1 GiB", one_volume=False) == {}
    assert short_of_space(None, "1 GiB", one_volume=False) == {}


def test_to_an_archive_on_the_roots_volume_a_file_moves_without_needing_space() -> None:
    told = DiskLow({"root": 5, "backup": 5, "archive": 5}, GIB, "free some")
    assert short_of_space(told, "1 GiB", one_volume=True).keys() == {"root", "backup"}
