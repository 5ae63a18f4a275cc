"""Whether the ticks of a day are of that day."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from watcher.adopt.remarks import of_other_dates

DAY = date(2026, 1, 20)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp() * 1000)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-01-20T00:00", "2026-01-20T23:59"),
        ("2026-01-19T23:59", "2026-01-20T23:59"),
        ("2026-01-20T00:00", "2026-01-21T00:01"),
        ("2026-01-19T23:59", "2026-01-21T00:01"),
        ("2026-01-01T00:00", "2026-01-20T12:00"),
    ],
)
def test_a_few_ticks_over_midnight_are_nothing_to_speak_of(first: str, last: str) -> None:
    assert of_other_dates(DAY, ms(first), ms(last)) == ""


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        ("2026-01-19T00:00", "2026-01-19T23:59", "its ticks are of 2026-01-19"),
        ("2026-01-21T00:00", "2026-01-22T00:01", "its ticks are of 2026-01-21 to 2026-01-22"),
        ("2026-01-18T00:00", "2026-01-19T23:59", "its ticks are of 2026-01-18 to 2026-01-19"),
        ("2026-01-01T00:00", "2026-01-31T00:00", "its ticks are of 2026-01-01 to 2026-01-31"),
    ],
)
def test_ticks_of_other_dates_are_told(first: str, last: str, told: str) -> None:
    assert of_other_dates(DAY, ms(first), ms(last)) == told


def test_time_stamps_in_another_unit_are_told() -> None:
    seconds = ms("2026-01-20T12:00") // 1000
    assert of_other_dates(DAY, seconds, seconds + 60) == "its ticks are of 1970-01-21"
    nanoseconds = ms("2026-01-20T12:00") * 1_000_000
    assert "no milliseconds" in of_other_dates(DAY, nanoseconds, nanoseconds)


def test_a_day_without_ticks_is_of_no_other_date() -> None:
    assert of_other_dates(DAY, None, None) == ""
