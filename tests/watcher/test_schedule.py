"""Due times: pure functions of the date in the name."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cronsim import CronSim
from hypothesis import example, given
from hypothesis import strategies as st

from watcher import schedule
from watcher.schedule import (
    NEVER,
    ON_ROTATION,
    due,
    end_of,
    first_at_or_after,
    last_of,
    next_after,
    start_of,
)

SUNDAYS = "0 2 * * SUN"
CRONS = [
    SUNDAYS,
    "* * * * *",
    "0 0 * * *",
    "30 1 1 * *",
    "0 3 29 2 *",
    "15 4 L * *",
    "59 23 31 12 *",
    "0 6 * * MON#1",
]

days = st.dates(date(1990, 1, 1), date(2200, 1, 1))
ages = st.integers(0, 400)
crons = st.sampled_from([*CRONS, ON_ROTATION])


def test_a_day_begins_and_ends_at_midnight_utc() -> None:
    assert start_of(date(2024, 2, 29)) == datetime(2024, 2, 29, tzinfo=UTC)
    assert end_of(date(2024, 2, 29)) == datetime(2024, 3, 1, tzinfo=UTC)
    assert end_of(date(2026, 12, 31)) == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-01-16", "2026-01-25"),  # a Friday: 7 days old on Saturday the 24th
        ("2026-01-17", "2026-01-25"),  # a Saturday: 7 days old at the Sunday's midnight, due two hours later
        ("2026-01-18", "2026-02-01"),  # a Sunday: 7 days old on Monday the 26th
        ("2026-01-19", "2026-02-01"),
        ("2026-01-20", "2026-02-01"),
        ("2026-01-24", "2026-02-01"),
        ("2026-01-25", "2026-02-08"),
        ("2025-12-27", "2026-01-04"),  # across the end of the year
        ("2025-12-28", "2026-01-11"),
        ("2024-02-24", "2024-03-03"),  # across a leap day
        ("2024-02-29", "2024-03-10"),
        ("2023-02-28", "2023-03-12"),
        ("2026-03-20", "2026-03-29"),  # the Sundays on which clocks are put on, and back, elsewhere
        ("2026-10-17", "2026-10-25"),
    ],
)
def test_compression_by_default_after_seven_days_at_the_first_sunday_0200(day: str, expected: str) -> None:
    moment = due(date.fromisoformat(day), 7, SUNDAYS)
    assert moment == datetime.fromisoformat(f"{expected}T02:00+00:00")
    assert moment.weekday() == 6


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2025-11-30", "2026-01-01"),  # thirty days old on the 31st of December
        ("2025-12-01", "2026-01-01"),  # at the 1st's midnight, due three hours later
        ("2025-12-02", "2026-02-01"),
        ("2026-01-29", "2026-03-01"),
        ("2026-01-30", "2026-04-01"),
        ("2028-01-30", "2028-03-01"),  # thirty days old at the midnight of a 1st of March after a leap day
        ("2027-01-30", "2027-04-01"),
        ("2028-02-29", "2028-04-01"),
    ],
)
def test_archiving_by_default_after_thirty_days_on_the_1st_at_0300(day: str, expected: str) -> None:
    moment = due(date.fromisoformat(day), 30, "0 3 1 * *")
    assert moment == datetime.fromisoformat(f"{expected}T03:00+00:00")


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2025-07-04", "2026-01-01"),
        ("2025-12-31", "2026-06-30"),
        ("2027-09-01", "2028-02-29"),  # a day whose age ends on a leap day
        ("2027-09-02", "2028-03-01"),
        ("2028-02-29", "2028-08-28"),
    ],
)
def test_expiry_by_default_after_180_days_at_0400(day: str, expected: str) -> None:
    moment = due(date.fromisoformat(day), 180, "0 4 * * *")
    assert moment == datetime.fromisoformat(f"{expected}T04:00+00:00")


@pytest.mark.parametrize(
    ("last", "schedule", "expected"),
    [
        ("2026-01-01T04:59", "0 5 1 * *", "2026-01-01T05:00"),
        ("2026-01-01T05:00", "0 5 1 * *", "2026-02-01T05:00"),  # strictly after: it has just been done
        ("2025-12-31T23:59", "0 * * * *", "2026-01-01T00:00"),
        ("2027-03-01T00:00", "0 0 29 2 *", "2028-02-29T00:00"),
    ],
)
def test_what_goes_by_the_last_time_is_due_at_the_next(last: str, schedule: str, expected: str) -> None:
    moment = next_after(schedule, datetime.fromisoformat(f"{last}+00:00"))
    assert moment == datetime.fromisoformat(f"{expected}+00:00")


def test_never_has_no_next_time() -> None:
    assert next_after(NEVER, datetime(2026, 1, 1, tzinfo=UTC)) is None


class TestTheLastOf:
    NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("hours", "expected"),
        [
            ([], None),
            ([-5], -5),
            ([-5, -2, -9], -2),
            ([-5, 1], 0),  # a clock that went back a little
            ([24], 0),
            ([-5, 25], -5),  # by more than a day: it was wrong then
            ([24 * 365], None),
        ],
    )
    def test_what_was_recorded_as_past(self, hours: list[int], expected: int | None) -> None:
        found = last_of([self.NOW + timedelta(hours=n) for n in hours], self.NOW)
        assert found == (None if expected is None else self.NOW + timedelta(hours=expected))


@pytest.mark.parametrize("age", [0, 1, 7, 180])
def test_on_rotation_is_as_soon_as_the_age_has_come(age: int) -> None:
    assert due(date(2026, 1, 20), age, ON_ROTATION) == datetime(2026, 1, 21, tzinfo=UTC) + timedelta(days=age)


def test_an_occurrence_exactly_at_the_age_counts() -> None:
    assert due(date(2026, 1, 20), 0, "0 0 * * *") == datetime(2026, 1, 21, tzinfo=UTC)
    moment = datetime(2026, 1, 25, 2, tzinfo=UTC)
    assert first_at_or_after(SUNDAYS, moment) == moment
    assert first_at_or_after(SUNDAYS, moment + timedelta(seconds=1)) == moment + timedelta(days=7)


@given(days, ages, crons)
@example(date(2024, 2, 29), 0, SUNDAYS)
@example(date(2099, 12, 31), 366, "0 3 29 2 *")  # 2100 has no leap day
def test_nothing_is_due_before_its_age_and_always_on_its_schedule(day: date, age: int, cron: str) -> None:
    moment, earliest = due(day, age, cron), end_of(day) + timedelta(days=age)
    assert moment.utcoffset() == timedelta(0)
    if cron == ON_ROTATION:
        assert moment == earliest
        return
    assert moment >= earliest
    assert next(CronSim(cron, moment - timedelta(minutes=1))) == moment, "not an occurrence"
    assert next(CronSim(cron, earliest - timedelta(seconds=1))) == moment, "there is an earlier one"


@given(days, ages, crons)
def test_older_days_are_never_due_later(day: date, age: int, cron: str) -> None:
    assert due(day, age, cron) <= due(day + timedelta(days=1), age, cron)
    assert due(day, age, cron) <= due(day, age + 1, cron)


PROGRAM = """
from datetime import date, timedelta
from watcher.schedule import due
for n in range(400):
    schedule = ["0 2 * * SUN", "30 1 * * *", "on_rotation"][n % 3]
    print(due(date(2023, 12, 15) + timedelta(days=n), n % 9, schedule))
"""


def test_the_time_zone_of_the_machine_does_not_matter() -> None:
    told = {zone: output_in(zone) for zone in ("UTC", "America/New_York", "Asia/Kolkata", "Pacific/Apia")}
    assert len(set(told.values())) == 1
    assert told["UTC"].count("+00:00") == 400


def output_in(zone: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "TZ": zone},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize(
    "text", [*CRONS, ON_ROTATION, "0 2 * * 7", "*/15 * * * *", "0 0 29 2 *", "0 0 0 * * *"]
)
def test_schedules_that_can_be_meant(text: str) -> None:
    assert schedule.problem_with(text) is None


@pytest.mark.parametrize(
    "text", ["", "x", "0 2 * *", "0 24 * * *", "0 2 * * SUNDAY", "@daily", "0 0 30 2 *", "² 2 * * *"]
)
def test_schedules_that_cannot(text: str) -> None:
    assert repr(text) in str(schedule.problem_with(text))


@given(st.text(st.sampled_from("0123456789*/-,#L SUNMO²"), max_size=24))
def test_any_text_is_taken_or_refused_in_words(text: str) -> None:
    problem = schedule.problem_with(text)
    assert (problem is None) or repr(text) in problem
