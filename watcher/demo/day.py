"""One day's database as the writer sees it: opened, filled in transactions, counted, closed."""

from __future__ import annotations

import math
import sys
import time
from array import array
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import apsw
from msgspec import Struct

from watcher.demo.ticks import Tick

DAY_MS = 86_400_000
BUSY_TIMEOUT_MS = 5000
LAST_ATTEMPTS = 3
"""How often something is tried again once the writer has been told to stop."""

# The default schema's table (handlers/schema/ticks.sql), so that a writer works where nobody has
# created the file; where somebody has, this does nothing.
TABLE = """
CREATE TABLE IF NOT EXISTS ticks (
    id INTEGER PRIMARY KEY,
    symbol TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    bid REAL NOT NULL,
    ask REAL NOT NULL,
    spread REAL,
    volume REAL DEFAULT 0,
    lp_source TEXT,
    flags INTEGER DEFAULT 0,
    created_at INTEGER DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)),
    UNIQUE (symbol, timestamp)
)
"""
INSERT = """
INSERT OR IGNORE INTO ticks (symbol, timestamp, bid, ask, spread, lp_source)
VALUES (?, ?, ?, ?, ?, ?)
"""
# What passes by itself, or when somebody makes room: tried again, with the same ticks.
PASSING = (apsw.BusyError, apsw.LockedError, apsw.FullError, apsw.IOError)

T = TypeVar("T")
Row = tuple[str, int, float, float, float, str]


def day_of(moment: datetime | date) -> int:
    """The number of a UTC day: whole days since 1970, as ``Tick.timestamp // DAY_MS``."""
    day = moment.astimezone(UTC).date() if isinstance(moment, datetime) else moment
    return (day - date(1970, 1, 1)).days


def date_of(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)


class Closed(Struct, frozen=True):
    """What was committed to one day between opening and closing it."""

    day: str
    path: str
    ticks: int
    commits: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    """A commit's latency is its whole transaction, with every wait for a lock and every retry."""
    duplicates: int
    """Ticks that were not written: the database had their symbol and time stamp already."""
    retries: int


class Database:
    """One day's database, open for writing."""

    def __init__(self, day: int, path: Path) -> None:
        self.day = day
        self.path = path
        self.ticks = 0
        self.latencies_ms = array("d")
        self._duplicates = 0
        self._retries = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = apsw.Connection(str(path))
        try:
            self._db.set_busy_timeout(BUSY_TIMEOUT_MS)
            self._db.pragma("journal_mode", "wal")
            self._db.pragma("synchronous", "normal")
            self._db.execute(TABLE)
        except apsw.Error:
            self._db.close()
            raise

    def write(self, batch: list[Tick], stopping: Callable[[], bool]) -> None:
        """Commit the batch in one transaction, as often as that takes, and count it."""
        rows = [(t.symbol, t.timestamp, t.bid, t.ask, t.spread, t.lp_source) for t in batch]
        started = time.perf_counter()
        written, retries = insist(lambda: self._transaction(rows), stopping)
        self.latencies_ms.append((time.perf_counter() - started) * 1000)
        self.ticks += written
        self._duplicates += len(rows) - written
        self._retries += retries

    def _transaction(self, rows: list[Row]) -> int:
        before = self._db.total_changes()
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(INSERT, rows)
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        return self._db.total_changes() - before

    def close(self) -> Closed:
        """Close it, which removes the WAL unless somebody else has it open; say what was done."""
        self._db.close()
        ordered = sorted(self.latencies_ms) or [0.0]
        return Closed(
            day=date_of(self.day).isoformat(),
            path=str(self.path),
            ticks=self.ticks,
            commits=len(self.latencies_ms),
            p50_ms=_percentile(ordered, 0.50),
            p99_ms=_percentile(ordered, 0.99),
            worst_ms=_percentile(ordered, 1.0),
            duplicates=self._duplicates,
            retries=self._retries,
        )


def insist(action: Callable[[], T], stopping: Callable[[], bool]) -> tuple[T, int]:
    """Do it until it succeeds; return its value and how often it had to be repeated.

    Only for what passes (a lock, a full disk). Once ``stopping`` it gives up after `LAST_ATTEMPTS`
    and raises the last error: a process that cannot be stopped helps nobody.
    """
    retries = last_attempts = 0
    while True:
        try:
            return action(), retries
        except PASSING as error:
            last_attempts = last_attempts + 1 if stopping() else 0
            if last_attempts > LAST_ATTEMPTS:
                raise
            retries += 1
            sys.stderr.write(f"trying again: {error}\n")
            time.sleep(0.1)


def _percentile(ordered: list[float], share: float) -> float:
    return round(ordered[math.ceil(len(ordered) * share) - 1], 3)
