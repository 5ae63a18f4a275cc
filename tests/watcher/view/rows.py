"""Values for tests: a day's row, and a look at some of them, in one line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from handlers.contract import Step
from tests.watcher.builders import DAY, utc
from watcher.disk import Room
from watcher.events import DAEMON_KEY
from watcher.lifecycle import State
from watcher.overview import Day, Overview
from watcher.plan import Doubts, Plan
from watcher.settings import Settings
from watcher.state import Database, Facts
from watcher.view.volumes import Volume, volumes
from watcher.vitals import Vitals, Watching

NOW = utc("2026-01-20 12:00")
"""Noon of `tests.watcher.builders.DAY`."""
ROOM = (Room("root", 1, 10**12, 2 * 10**12),)


def row(days_ago: int = 1, **changes: Any) -> Day:
    """By default: yesterday, sealed and backed up, that waits for its compression."""
    day = DAY - timedelta(days=days_ago)
    over = utc(f"{day} 00:00") + timedelta(days=1)
    base = Day(
        key=f"ticks/{day}",
        stream="ticks",
        day=day,
        tier="hot",
        state=State.BACKED_UP,
        bytes=1000,
        bytes_now=1000,
        ticks=10,
        symbols=2,
        sha256="aa",
        backup="yes",
        sealed_at=over + timedelta(seconds=3),
        backed_up_at=over + timedelta(seconds=5),
        compressed_at=None,
        archived_at=None,
        expired_at=None,
        verified_at=over + timedelta(seconds=3),
        drilled_at=None,
        on_hold=False,
        entry="wait",
        step=Step.COMPRESS,
        due=NOW + timedelta(days=5),
        reason="backed_up; compress after 7 days, on schedule",
        trouble="",
    )
    return replace(base, **changes)


def packed(days_ago: int, **changes: Any) -> Day:
    """A fifth of its size since it was a week old, and in the archive since it was a month old."""
    day = row(days_ago)
    assert day.sealed_at is not None
    compressed_at, archived_at = day.sealed_at + timedelta(days=7), day.sealed_at + timedelta(days=30)
    is_cold = archived_at <= NOW
    what = {
        "tier": "cold" if is_cold else "warm",
        "state": State.ARCHIVED if is_cold else State.COMPRESSED,
        "step": Step.EXPIRE if is_cold else Step.ARCHIVE,
        "bytes_now": 200,
        "compressed_at": compressed_at,
        "archived_at": archived_at if is_cold else None,
        "verified_at": archived_at if is_cold else compressed_at,
    }
    return replace(day, **{**what, **changes})


def unsealed(days_ago: int, state: State = State.CLOSED, **changes: Any) -> Day:
    """A day that its writer may still have."""
    unknown = dict.fromkeys(("bytes", "ticks", "symbols", "sealed_at", "backed_up_at", "verified_at"))
    what = {"state": state, "backup": "no", "step": Step.SEAL, "due": None, "sha256": "", **unknown}
    return row(days_ago, **{**what, **changes})


def absent(days_ago: int = 0, **changes: Any) -> Day:
    """A day of which there is nothing; by default today."""
    what = {"tier": None, "bytes_now": 0, "entry": "action", "step": Step.CREATE}
    return unsealed(days_ago, State.ABSENT, **{**what, **changes})


def vitals(**changes: Any) -> Vitals:
    """A daemon that has nothing to do since yesterday."""
    base = Vitals(
        pid=4711,
        version="0.1.0",
        sqlite_version="3.54.1",
        started=NOW - timedelta(days=1),
        stepped=NOW - timedelta(seconds=9),
        step_seconds=0.01,
        running=(),
        waiting=0,
        orders=0,
        next_wake=None,
        error="",
        watching=Watching("inotify", "", 0),
        unserved=(),
        publisher_restarts=0,
        sequence=17,
    )
    return replace(base, **changes)


def look(*days: Day, known: Iterable[Database] = (), **changes: Any) -> Overview:
    """By default: beside a daemon that is well, with whatever facts are ``known``."""
    base = Overview(
        at=NOW,
        days=sorted(days, key=lambda day: day.key),
        left_out={},
        plan=Plan.of(NOW, ()),
        databases={database.key: database for database in known},
        streams={},
        left_alone={},
        head=17,
        doubts=Doubts(),
        daemon_pid=4711,
        vitals=vitals(),
        is_deaf=False,
        settings=Settings(),
    )
    return replace(base, **changes)


def began(at: datetime) -> dict[str, Facts]:
    """What the journal knows of the daemon."""
    return {DAEMON_KEY: Facts(times={"started": at})}


def disk(**free_bytes: int) -> tuple[Volume, ...]:
    """Each directory on a volume of its own, with so much that is free, and no growth."""
    rooms = [Room(name, number, free, 2 * 10**12) for number, (name, free) in enumerate(free_bytes.items())]
    return volumes(rooms, {}, 1 << 30)
