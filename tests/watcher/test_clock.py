"""What time it is, and how long to sleep."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.clock import MAX_SLEEP_SECONDS, Clock, ManualClock, ScaledClock, SystemClock

NOON = datetime(2026, 1, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize("clock", [SystemClock(), ScaledClock(NOON, time.time(), 1440.0), ManualClock(NOON)])
def test_every_clock_is_aware_utc_and_never_sleeps_too_long(clock: Clock) -> None:
    now = clock.now()
    assert now.utcoffset() == timedelta(0)
    assert clock.real_seconds(now - timedelta(days=9)) == 0.0
    assert clock.real_seconds(now + timedelta(days=999)) == MAX_SLEEP_SECONDS


def test_the_system_clock_is_the_machine_s() -> None:
    before = time.time()
    assert before <= SystemClock().now().timestamp() <= time.time()


def test_a_scaled_clock_shows_its_start_at_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ScaledClock(NOON, 1000.0, 60.0)
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    assert clock.now() == NOON
    monkeypatch.setattr(time, "time", lambda: 1010.0)
    assert clock.now() == NOON + timedelta(minutes=10)
    assert clock.real_seconds(NOON + timedelta(minutes=15)) == pytest.approx(5.0)


def test_a_scaled_clock_s_start_may_have_any_zone() -> None:
    start = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert ScaledClock(start, time.time(), 1.0).now().tzinfo is UTC


@given(st.floats(1e-3, 1e6), st.floats(0, 29.9))
def test_sleeping_as_told_reaches_the_moment(scale: float, seconds: float) -> None:
    origin = time.time()
    until = NOON + timedelta(seconds=seconds * scale)
    told = ScaledClock(NOON, origin, scale).real_seconds(until)
    assert told <= seconds + 0.01
    assert told >= seconds - (time.time() - origin) - 0.01


PROGRAM = """
import sys
from datetime import UTC, datetime
from watcher.clock import ScaledClock
print(ScaledClock(datetime(2026, 1, 20, 12, tzinfo=UTC), float(sys.argv[1]), 10.0).now().isoformat())
"""


def test_two_processes_with_the_same_numbers_show_the_same_time() -> None:
    origin = time.time()
    mine = ScaledClock(NOON, origin, 10.0)
    before = mine.now()
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, repr(origin)],
        env={**os.environ, "TZ": "Asia/Tokyo"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert before <= datetime.fromisoformat(told.strip()) <= mine.now()


def test_a_manual_clock_moves_only_when_it_is_moved() -> None:
    clock = ManualClock(NOON)
    assert clock.now() == clock.now() == NOON
    assert clock.advance(hours=12, seconds=1) == NOON + timedelta(hours=12, seconds=1) == clock.now()
