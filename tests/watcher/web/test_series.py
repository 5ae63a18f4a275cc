"""What is drawn over time, by days whose numbers can be added up by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.watcher.view.rows import row
from watcher.lifecycle import State, Tier
from watcher.overview import Day
from watcher.web.series import EMPTY, POINTS, series

FIRST = date(2026, 1, 1)


def at(days: int) -> datetime:
    """In the morning of the so manieth day."""
    return datetime(2026, 1, 1, 4, tzinfo=UTC) + timedelta(days=days)


_NEVER = dict.fromkeys(f"{each}_at" for each in ("sealed", "backed_up", "compressed", "archived", "expired"))


def day(when: date, state: State = State.BACKED_UP, tier: Tier = "hot", **changes: Any) -> Day:
    """Of which nothing is known but what is said."""
    nothing = {**_NEVER, "bytes": None, "bytes_now": 0, "backup": "no"}
    return row(day=when, state=state, tier=tier, **{**nothing, **changes})


class TestKeptBytes:
    def test_are_both_copies_of_a_hot_day_from_its_sealing_on(self) -> None:
        hot = day(FIRST, bytes=100, bytes_now=100, sealed_at=at(1), backed_up_at=at(1), backup="yes")
        drawn = series([hot], FIRST + timedelta(days=3))

        assert drawn.raw_bytes == (100, None, None, None)
        assert drawn.hot_bytes == (0, 200, 200, 200)
        assert drawn.ratio == (None, None, None, None)

    def test_go_from_tier_to_tier(self) -> None:
        cold = day(
            FIRST,
            State.ARCHIVED,
            "cold",
            bytes=100,
            bytes_now=20,
            sealed_at=at(1),
            backed_up_at=at(1),
            compressed_at=at(2),
            archived_at=at(4),
            backup="yes",
        )
        drawn = series([cold], FIRST + timedelta(days=5))

        assert drawn.hot_bytes == (0, 200, 0, 0, 0, 0)
        assert drawn.warm_bytes == (0, 0, 40, 40, 0, 0)
        assert drawn.cold_bytes == (0, 0, 0, 0, 40, 40)
        assert drawn.ratio[0] == 5.0

    def test_of_a_deleted_day_are_guessed_by_the_others_and_end(self) -> None:
        moments = {"sealed_at": at(1), "compressed_at": at(2), "backup": "no"}
        gone = day(FIRST, State.EXPIRED, "gone", bytes=100, expired_at=at(4), **moments)
        warm = day(FIRST, State.COMPRESSED, "warm", bytes=100, bytes_now=25, stream="us", **moments)
        drawn = series([gone, warm], FIRST + timedelta(days=5))

        assert drawn.warm_bytes == (0, 0, 50, 50, 25, 25)
        assert drawn.raw_bytes[0] == 200

    def test_of_a_day_that_was_merged_are_hot_again(self) -> None:
        merged = day(FIRST, bytes=100, bytes_now=100, sealed_at=at(5), compressed_at=at(2))
        drawn = series([merged], FIRST + timedelta(days=6))

        assert drawn.hot_bytes == (0, 0, 0, 0, 0, 100, 100)
        assert set(drawn.warm_bytes) == {0}


class TestPoints:
    def test_are_no_more_than_a_screen_has_room_for(self) -> None:
        days = [
            day(FIRST + timedelta(days=number), bytes=100, sealed_at=at(number)) for number in range(5000)
        ]
        drawn = series(days, days[-1].day)

        assert drawn.days_each == 13
        assert len(drawn.dates) == len(drawn.hot_bytes) <= POINTS
        assert drawn.dates[1] - drawn.dates[0] == timedelta(days=13)
        assert set(drawn.raw_bytes) == {100}
        assert drawn.hot_bytes[-1] == 500_000

    def test_without_sealed_days_there_are_none(self) -> None:
        assert series([day(FIRST, State.ACTIVE)], FIRST) == EMPTY
