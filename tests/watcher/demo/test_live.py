"""The live table: counted by tier from the events, and never longer than a terminal."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from watcher.demo.live import Live
from watcher.wire import Message

NOW = datetime(2026, 7, 24, 12, tzinfo=UTC)
FIRST = date(2026, 1, 5)
SEALED = {"ticks": 46_538, "size_bytes": 9_000_000}
PACKED = {"compressed_bytes": 1_000_000}


def tell(learnt: Live, event: str, number: int = 0, **data: Any) -> None:
    key = f"ticks/{FIRST + timedelta(days=number)}" if number >= 0 else "-"
    learnt.take(Message("1.0", "1-1", "tickward", f"tickward.{event}", key, NOW, 1, data))


def shown(learnt: Live) -> str:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(learnt.table(NOW))
    return captured.get()


@pytest.mark.parametrize(
    ("events", "tier"),
    [
        (["created", "opened", "closed"], ""),
        (["sealed"], "hot"),
        (["sealed", "backed_up"], "hot"),
        (["sealed", "backed_up", "compressed"], "warm"),
        (["sealed", "backed_up", "compressed", "archived"], "cold"),
        (["sealed", "compressed", "archived", "verified", "drilled"], "cold"),
        (["sealed", "compressed", "archived", "expired"], "expired"),
    ],
)
def test_an_event_brings_a_day_into_its_tier(events: list[str], tier: str) -> None:
    learnt = Live()
    for event in events:
        tell(learnt, event, **SEALED, **PACKED)
    assert {name for name, count in learnt.counts().items() if count} == ({tier} - {""})
    assert events[-1] in shown(learnt)


def test_two_hundred_days_are_a_short_table_of_those_that_changed_last() -> None:
    learnt = Live()
    for number in range(200):
        tell(learnt, "sealed", number, **SEALED)
    tell(learnt, "compressed", 3, **PACKED)
    tell(learnt, "health", -1)
    text = shown(learnt)
    assert "199 hot  1 warm  0 cold  0 expired" in text
    assert "201 events" not in text
    assert "202 events" in text
    assert text.count("ticks/") == 12
    assert "ticks/2026-01-08" in text
    assert "ticks/2026-07-23" in text
    assert "ticks/2026-07-12" not in text


def test_a_row_says_what_a_day_has_and_takes() -> None:
    learnt = Live()
    tell(learnt, "sealed", **SEALED)
    tell(learnt, "compressed", **PACKED)
    assert all(part in shown(learnt) for part in ("46,538", "9 MB", "1 MB"))
    tell(learnt, "expired")
    assert "1 MB" not in shown(learnt)
