"""The calendar: one letter a day, and what each letter means."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.watcher.view.rows import row
from watcher.lifecycle import State, Tier
from watcher.overview import Day, Trouble
from watcher.view.calendar import LEGEND, calendars, letter_of

TODAY = date(2026, 7, 15)


def day(
    when: date,
    state: State = State.BACKED_UP,
    tier: Tier | None = "hot",
    trouble: Trouble = "",
    stream: str = "ticks",
) -> Day:
    return row(key=f"{stream}/{when}", stream=stream, day=when, tier=tier, state=state, trouble=trouble)


class TestTheLetters:
    @pytest.mark.parametrize(
        ("state", "tier", "ago", "letter"),
        [
            (State.ABSENT, None, 3, "."),
            (State.CREATED, "hot", -1, "n"),
            (State.CREATED, "hot", 0, "a"),
            (State.ACTIVE, "hot", 0, "a"),
            (State.ACTIVE, "hot", 1, "o"),
            (State.CLOSED, "hot", 1, "o"),
            (State.SEALED, "hot", 1, "h"),
            (State.BACKED_UP, "hot", 0, "h"),
            (State.COMPRESSED, "warm", 9, "w"),
            (State.ARCHIVED, "cold", 40, "c"),
            (State.EXPIRED, "gone", 200, "g"),
        ],
    )
    def test_tell_what_has_become_of_a_day(
        self, state: State, tier: Tier | None, ago: int, letter: str
    ) -> None:
        assert letter_of(day(TODAY - timedelta(days=ago), state, tier), TODAY) == letter

    @pytest.mark.parametrize(("trouble", "letter"), [("", "w"), ("attention", "5"), ("failing", "W")])
    def test_tell_what_is_wrong(self, trouble: Trouble, letter: str) -> None:
        assert letter_of(day(TODAY, State.COMPRESSED, "warm", trouble), TODAY) == letter

    def test_are_all_different_and_all_explained(self) -> None:
        assert len({each.letter for each in LEGEND}) == len(LEGEND) == 24
        assert all(each.words for each in LEGEND)
        assert msgspec.json.encode("".join(each.letter for each in LEGEND)).isascii()


class TestACalendar:
    def test_shows_a_gap_as_missing_days(self) -> None:
        (calendar,) = calendars([day(date(2026, 7, 1)), day(date(2026, 7, 4))], TODAY)
        (span,) = calendar.spans

        assert (span.first, span.letters) == (date(2026, 7, 1), "h..h")

    def test_begins_anew_beyond_a_gap_of_more_than_a_year(self) -> None:
        stray = day(date(1, 1, 1))
        (calendar,) = calendars([stray, day(date(2026, 7, 1)), day(date(2026, 7, 2))], TODAY)

        assert [(span.first, span.letters) for span in calendar.spans] == [
            (date(1, 1, 1), "h"),
            (date(2026, 7, 1), "hh"),
        ]

    def test_is_that_of_one_stream(self) -> None:
        rows = [day(TODAY, stream="eu"), day(TODAY, State.EXPIRED, "gone", stream="us")]

        assert [(each.stream, each.spans[0].letters) for each in calendars(rows, TODAY)] == [
            ("eu", "h"),
            ("us", "g"),
        ]

    def test_without_days_there_is_none(self) -> None:
        assert calendars([], TODAY) == ()


class TestTheDocument:
    def test_has_every_letter(self) -> None:
        text = (Path(__file__).parents[3] / "docs" / "web.md").read_text(encoding="utf-8")
        rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in text.splitlines()]
        (names,) = [row[1:] for row in rows if row[:2] == ["", "missing"]]
        table = {
            (name, trouble): letter
            for label, trouble in (("well", ""), ("attention", "attention"), ("failing", "failing"))
            for row in rows
            if row[:1] == [label]
            for name, letter in zip(names, row[1:], strict=True)
        }

        assert table == {(each.name, each.trouble): each.letter for each in LEGEND}
