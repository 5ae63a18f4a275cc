"""What is said of many days: each thing once, with the days that it is said of."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from watcher.days import Found
from watcher.query.ask import failures, remarks
from watcher.query.gather import Failed, Gathered

BEGIN = date(2025, 1, 1)
NONE = "no database of it is known"


def day(number: int, why_missing: str = "", note: str = "", alike: str = "") -> Found:
    when = BEGIN + timedelta(number)
    path = None if why_missing else Path("x")
    return Found(f"ticks/{when}", "ticks", when, path, "hot", note=note, why_missing=why_missing, alike=alike)


def days(pattern: str) -> list[Found]:
    """A day for each character; of those that are a dot there is none."""
    return [day(number, NONE if each == "." else "") for number, each in enumerate(pattern)]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("xx", []),
        (".x", [f"missing: ticks/2025-01-01: {NONE}"]),
        ("..x", [f"missing: 2 days, ticks/2025-01-01 to ticks/2025-01-02: {NONE}"]),
        ("..x.x.", [f"missing: 4 days, ticks/2025-01-01 to ticks/2025-01-02, ticks/2025-01-04, "
                    f"ticks/2025-01-06: {NONE}"]),
        (".x" * 4, [f"missing: 4 days, ticks/2025-01-01, ticks/2025-01-03, ticks/2025-01-05 "
                    f"(and 1 more range): {NONE}",
                    "`tickward inventory --all --stream ticks --from 2025-01-01 --to 2025-01-08` "
                    "lists every day"]),
    ],
)  # fmt: skip
def test_the_same_is_said_once_with_the_first_ranges(pattern: str, said: list[str]) -> None:
    assert remarks(days(pattern)) == said


def test_a_range_of_years_takes_a_few_lines_and_every_day_is_counted() -> None:
    found = [day(number, NONE if number % 2 else "", "not sealed" if not number % 4 else "")
             for number in range(4000)]  # fmt: skip
    missing, note, how = remarks(found)
    assert missing.startswith("missing: 2000 days, ticks/2025-01-02, ")
    assert missing.endswith(f" (and 1997 more ranges): {NONE}")
    assert note.startswith("note: 1000 days, ")
    assert "lists every day" in how


def test_what_is_said_of_one_day_only_is_left_out_where_it_is_said_of_many() -> None:
    gone = [day(number, f"deleted on day {number}", alike="deleted") for number in range(3)]
    assert remarks(gone) == ["missing: 3 days, ticks/2025-01-01 to ticks/2025-01-03: deleted"]
    assert remarks(gone[:1]) == ["missing: ticks/2025-01-01: deleted on day 0"]


def test_every_reason_has_its_line() -> None:
    found = [day(0, NONE), day(1, "lost"), day(2, NONE), day(3, note="from the backup")]
    assert remarks(found) == [
        f"missing: 2 days, ticks/2025-01-01, ticks/2025-01-03: {NONE}",
        "missing: ticks/2025-01-02: lost",
        "note: ticks/2025-01-04: from the backup",
    ]


def test_of_those_that_failed_every_one_is_named() -> None:
    found = [day(number) for number in range(20)]
    failed = [Failed(each.key, "other columns") for each in found[::2]]
    (line,) = failures(found, Gathered(failed=failed))
    assert line.startswith("failed: 10 days, ")
    assert all(each.key in line for each in failed)
