"""Names and dates: the law of the round trip, and what is not ours."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.pattern import Pattern

DEFAULT = Pattern("{year}/{month}/ticks_{date}.db")
DAY = date(2026, 1, 20)

literals = st.text(st.characters(exclude_characters="./{}", exclude_categories=("Cc", "Cs")), max_size=4)
fields = st.sampled_from(["{date}", "{year}", "{month}", "{day}"])


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    """Any pattern that is accepted: directories of literal text and fields, and {date} somewhere."""
    pieces = draw(st.lists(st.tuples(literals, fields), max_size=4))
    pieces.insert(draw(st.integers(0, len(pieces))), (draw(literals), "{date}"))
    separator = draw(st.sampled_from(["/", "-", ""]))
    return Pattern("x" + separator.join(f"{text}{field}" for text, field in pieces) + ".db")


@given(patterns(), st.dates())
def test_a_path_tells_its_day(pattern: Pattern, day: date) -> None:
    assert pattern.day_of(pattern.path_of(day)) == day


@given(patterns(), st.dates(), st.dates())
def test_two_days_never_share_a_path(pattern: Pattern, one: date, other: date) -> None:
    assert (pattern.path_of(one) == pattern.path_of(other)) == (one == other)


@given(patterns(), st.text())
def test_whatever_is_taken_for_ours_is_exactly_the_path_of_its_day(pattern: Pattern, path: str) -> None:
    day = pattern.day_of(path)
    assert day is None or pattern.path_of(day) == path


@given(patterns(), patterns(), st.dates())
def test_a_path_that_belongs_to_two_patterns_is_an_overlap(one: Pattern, other: Pattern, day: date) -> None:
    if other.day_of(one.path_of(day)) is not None:
        assert one.overlaps(other)
    assert one.overlaps(other) == other.overlaps(one)
    assert one.overlaps(one)


def test_the_default_pattern() -> None:
    assert DEFAULT.path_of(DAY) == "2026/01/ticks_2026-01-20.db"
    assert DEFAULT.day_of("2026/01/ticks_2026-01-20.db") == DAY


@pytest.mark.parametrize(
    "path",
    [
        "2026/02/ticks_2026-01-20.db",  # the directory of another month
        "2025/01/ticks_2026-01-20.db",  # ... of another year
        "ticks_2026-01-20.db",
        "x/2026/01/ticks_2026-01-20.db",
        "/2026/01/ticks_2026-01-20.db",
        "2026/1/ticks_2026-01-20.db",
        "2026/01/ticks_2026-1-20.db",
        "2026/01/ticks_2026-02-30.db",
        "2026/13/ticks_2026-13-01.db",
        "2026/01/ticks_2026-01-20.db.zst",
        "2026/01/ticks_2026-01-20.db-wal",
        "2026/01/ticks_2026-01-20.db-shm",
        "2026/01/ticks_2026-01-20.db-journal",
        "2026/01/.ticks_2026-01-20.db.retired",
        "2026/01/.ticks_2026-01-20.db.12-0123456789abcdef.tickward-tmp",
        "2026/01/ticks_2026-01-20.db.bak",
        "2026/01/ticks_2026-01-20.db\n",
        "2026/01/Ticks_2026-01-20.db",
        "2026/01/ticks_2026-01-20xdb",
        "2026/01/quotes_2026-01-20.db",
        "\u0662\u0660\u0662\u0666/01/ticks_2026-01-20.db",  # digits, but not these
        "",
    ],
)
def test_what_is_not_ours(path: str) -> None:
    assert DEFAULT.day_of(path) is None


@pytest.mark.parametrize(
    "day", ["2024-02-29", "2000-02-29", "2026-12-31", "2027-01-01", "0001-01-01", "9999-12-31"]
)
def test_days_at_the_edges(day: str) -> None:
    assert DEFAULT.day_of(f"{day[:4]}/{day[5:7]}/ticks_{day}.db") == date.fromisoformat(day)


def test_special_characters_are_literal() -> None:
    pattern = Pattern("a.b+(c)[d]*/ü {date}^$.db")
    assert pattern.day_of(pattern.path_of(DAY)) == DAY
    assert pattern.day_of("aXb+(c)[d]*/ü 2026-01-20^$.db") is None


def test_the_date_may_stand_twice_but_must_agree() -> None:
    pattern = Pattern("{date}/{day}/{date}.db")
    assert pattern.day_of("2026-01-20/20/2026-01-20.db") == DAY
    assert pattern.day_of("2026-01-20/20/2026-01-21.db") is None


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("{date}.db", "{date}.db", True),
        ("{year}/{date}.db", "2031/{date}.db", True),
        ("{month}/{date}.db", "{day}/{date}.db", True),
        ("{day}/{date}.db", "15/{date}.db", True),
        ("{day}/{date}.db", "99/{date}.db", False),
        ("{year}/{date}.db", "{month}/{date}.db", False),
        ("ticks_{date}.db", "quotes_{date}.db", False),
        ("a_{date}.db", "b_{date}.db", False),
        ("{date}.db", "{date}.sqlite", False),
        ("a/{date}.db", "{date}.db", False),
    ],
)
def test_overlaps(one: str, other: str, overlap: bool) -> None:
    assert Pattern(one).overlaps(Pattern(other)) is overlap


@pytest.mark.parametrize("text", ["a\0{date}.db", "a\n{date}.db", "\udcff{date}.db"])
def test_characters_that_no_path_should_have(text: str) -> None:
    with pytest.raises(ValueError, match="has characters that no path should have"):
        Pattern(text)


@given(st.text(st.sampled_from("{}date/.year-hourz\0")))
def test_any_other_text_is_refused_with_a_reason(text: str) -> None:
    try:
        pattern = Pattern(text)
    except ValueError as error:
        said = str(error)
    else:
        said = "pattern has its day" if pattern.day_of(pattern.path_of(DAY)) == DAY else "its day is lost"
    assert re.match("pattern .*(has|must) ", said, re.DOTALL)
