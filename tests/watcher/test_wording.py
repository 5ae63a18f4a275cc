"""How things read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.contract import Holder
from watcher import wording
from watcher.events import Corrupt, Deferred, Event

AT = datetime(2026, 1, 25, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (6_907_223, "6.91 MB"),
        (47_700_000, "47.7 MB"),
        (2_500_000_000, "2.5 GB"),
        (999_900_000_000, "1 TB"),
        (1.5e12, "1.5 TB"),
        (1.5e15, "1500 TB"),
    ],
)
def test_sizes(number: float, text: str) -> None:
    assert wording.size(number) == text


@given(st.integers(0, 10**18))
def test_a_size_is_never_in_scientific_notation_and_never_far_off(number: int) -> None:
    figure, unit = re.fullmatch(r"([\d.]+) (B|kB|MB|GB|TB)", wording.size(number)).groups()  # type: ignore[union-attr]
    told = float(figure) * 1000 ** ["B", "kB", "MB", "GB", "TB"].index(unit)
    assert told == pytest.approx(number, rel=0.006)


def test_moments() -> None:
    assert wording.moment(AT) == "2026-01-25 02:00 UTC"
    assert wording.moment(None) == "-"


def test_an_event_is_one_line() -> None:
    data = {"ticks": 46538, "size_bytes": 10485760, "sha256": "aa", "path": "/r/x.db"}
    line = wording.event_line(17, "sealed", "ticks/2026-01-20", data)
    assert line == "#17 sealed ticks/2026-01-20 ticks=46538 size_bytes=10485760"


def test_an_event_of_the_daemon_has_no_subject() -> None:
    assert wording.event_line(1, "stopped", "-", {"reason": "SIGTERM"}) == "#1 stopped reason=SIGTERM"


def from_wire(event: Event) -> Any:
    return msgspec.json.decode(msgspec.json.encode(event))


@pytest.mark.parametrize("as_data", [msgspec.to_builtins, from_wire])
def test_it_reads_the_same_from_memory_and_from_the_wire(as_data: Callable[[Event], Any]) -> None:
    deferred = Deferred("/r/x.db", (Holder(7, "engine"), Holder(9, "python3 report")), AT)
    line = wording.event_line(3, "deferred", "ticks/2026-01-20", as_data(deferred))
    assert line == '#3 deferred ticks/2026-01-20 holders="engine (pid 7), python3 report (pid 9)"'
    corrupt = Corrupt("seal", "/r/x.db", "integrity check failed", ("row 1", "row 2"), "look", "e")
    line = wording.event_line(4, "corrupt", "ticks/2026-01-20", as_data(corrupt))
    assert 'problems="row 1; row 2"' in line
