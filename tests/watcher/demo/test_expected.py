"""The expected picture: dates that were worked out by hand, and the planner's own arithmetic against it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from watcher.demo.expected import (
    COLD,
    EXPIRED,
    HOT,
    KEPT_DAYS,
    WARM,
    cold_from,
    expected,
    expired_from,
    last_month_turn,
    warm_from,
)
from watcher.schedule import due
from watcher.settings import Ageing, Archive, Compress, Expire, Settings

SECOND = timedelta(seconds=1)
YEARS = [date(2023, 12, 1) + timedelta(days=number) for number in range(1600)]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "warm", "cold", "expires"),
    [
        # Over at midnight on Tuesday the 6th; 7 days old on Tuesday the 13th, 30 on February the 5th.
        ("2026-01-05", "2026-01-18", "2026-03-01", "2026-07-05"),
        # A Saturday: 7 days old at the midnight that begins a Sunday, two hours before the schedule.
        ("2026-01-10", "2026-01-18", "2026-03-01", "2026-07-10"),
        # A Sunday: 7 days old on a Monday, so that six more days pass.
        ("2026-01-11", "2026-01-25", "2026-03-01", "2026-07-11"),
        # 30 days old at the midnight that begins March the 1st; the next day waits for April.
        ("2026-01-29", "2026-02-08", "2026-03-01", "2026-07-29"),
        ("2026-01-30", "2026-02-08", "2026-04-01", "2026-07-30"),
        # Over the end of the year.
        ("2025-12-31", "2026-01-11", "2026-02-01", "2026-06-30"),
        ("2025-12-01", "2025-12-14", "2026-01-01", "2026-05-31"),
        ("2026-09-15", "2026-09-27", "2026-11-01", "2027-03-15"),
        # A leap day, and days whose ages run across one.
        ("2024-02-29", "2024-03-10", "2024-04-01", "2024-08-28"),
        ("2024-01-30", "2024-02-11", "2024-03-01", "2024-07-29"),
        ("2024-01-31", "2024-02-11", "2024-04-01", "2024-07-30"),
        ("2023-09-05", "2023-09-17", "2023-11-01", "2024-03-04"),
    ],
)
def test_the_times_are_those_of_a_calendar(day: str, warm: str, cold: str, expires: str) -> None:
    that = date.fromisoformat(day)
    assert warm_from(that) == utc(f"{warm}T02:00")
    assert cold_from(that) == utc(f"{cold}T03:00")
    assert expired_from(that) == utc(f"{expires}T04:00")


@pytest.mark.parametrize(
    ("moment", "before", "then"),
    [
        ("2026-01-18T02:00", HOT, WARM),
        ("2026-03-01T03:00", WARM, COLD),
        ("2026-07-05T04:00", COLD, EXPIRED),
    ],
)
def test_a_day_changes_its_tier_to_the_second(moment: str, before: str, then: str) -> None:
    day = date(2026, 1, 5)
    days = [day + timedelta(days=number) for number in range(KEPT_DAYS + 1)]
    assert expected(days, utc(moment) - SECOND)[day] == before
    assert expected(days, utc(moment))[day] == then


def test_two_hundred_days_are_in_four_tiers_without_a_gap() -> None:
    days = [date(2026, 1, 5) + timedelta(days=number) for number in range(200)]
    picture = expected(reversed(days), utc("2026-07-24T12:00"))
    ends = {}
    for tier in (EXPIRED, COLD, WARM, HOT):
        some = [day for day, its in picture.items() if its == tier]
        ends[tier] = (f"{some[0]:%m-%d}", f"{some[-1]:%m-%d}", len(some))
    assert ends == {
        EXPIRED: ("01-05", "01-24", 20),
        COLD: ("01-25", "05-31", 127),  # June the 1st is 30 days old on July the 2nd
        WARM: ("06-01", "07-11", 41),  # a Saturday, 7 days old on Sunday the 19th
        HOT: ("07-12", "07-23", 12),
    }


def test_the_newest_seven_never_expire() -> None:
    days = [date(2020, 1, 1) + timedelta(days=number) for number in range(10)]
    picture = expected(days, utc("2030-01-01T00:00"))
    assert [day.day for day, tier in picture.items() if tier == EXPIRED] == [1, 2, 3]
    assert [day.day for day, tier in picture.items() if tier == COLD] == [4, 5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize(
    ("at", "turn"),
    [
        ("2026-02-01T04:59:59", "2026-01-01T05:00"),
        ("2026-02-01T05:00", "2026-02-01T05:00"),
        ("2026-02-28T12:00", "2026-02-01T05:00"),
        ("2024-03-01T04:00", "2024-02-01T05:00"),
        ("2026-01-01T04:00", "2025-12-01T05:00"),
        ("2025-12-31T23:59:59", "2025-12-01T05:00"),
    ],
)
def test_a_month_turns_at_its_hour(at: str, turn: str) -> None:
    assert last_month_turn(utc(at), hour=5) == utc(turn)


def test_the_policy_in_words_is_still_the_default_one() -> None:
    settings = Settings()
    assert settings.compress == Compress(7, "0 2 * * SUN")
    assert settings.archive == Archive(30, "0 3 1 * *")
    assert settings.expire == Expire(180, "0 4 * * *")
    assert settings.expire.keep_min == KEPT_DAYS
    assert (settings.verify.schedule, settings.verify.drill_schedule) == ("0 5 1 * *", "0 6 1 * *")


@pytest.mark.parametrize(
    ("worked_out", "ageing"),
    [(warm_from, Settings().compress), (cold_from, Settings().archive), (expired_from, Settings().expire)],
)
def test_a_calendar_and_a_cron_library_agree_for_years(worked_out: object, ageing: Ageing) -> None:
    assert callable(worked_out)
    for day in YEARS:
        assert worked_out(day) == due(day, ageing.after_days, ageing.schedule)
