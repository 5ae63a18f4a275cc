"""Days to measure compression and queries on, as a live writer leaves them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import apsw

from scripts.benchmarks.common import SCHEMA
from watcher.demo.ticks import Tick, from_csv, realistic

MIDNIGHT_MS = 1_768_780_800_000
"""2026-01-19 00:00 UTC."""
KINDS = {
    "grid": "prices on each symbol's grid",
    "digits": "prices that use every digit of a double",
}


def generated(path: Path, kind: str, ticks: int) -> None:
    """A day of 100 symbols, of one of `KINDS`; 1,680,000 ticks are 200 MB."""
    made = islice(realistic(MIDNIGHT_MS, rate=ticks / 86400, seed=len(kind)), ticks)
    _write(path, _with_every_digit(made) if kind == "digits" else made)


def recorded(path: Path, csv: Path) -> None:
    """The day of a CSV file, as `watcher.demo.ticks.from_csv` reads it."""
    _write(path, from_csv(csv))


def _with_every_digit(ticks: Iterable[Tick]) -> Iterator[Tick]:
    rng = random.Random(2)
    for tick in ticks:
        bid, ask = (price * (1 + rng.random() * 1e-9) for price in (tick.bid, tick.ask))
        yield Tick(tick.symbol, tick.timestamp, bid, ask, tick.lp_source)


def _write(path: Path, ticks: Iterable[Tick]) -> None:
    """Each tick is written some milliseconds after its stamp, and `created_at` says so."""
    rng = random.Random(3)
    rows = (
        (
            t.symbol,
            t.timestamp,
            t.bid,
            t.ask,
            t.ask - t.bid,
            t.lp_source,
            t.timestamp + 1 + int(rng.expovariate(0.25)),
        )
        for t in ticks
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = apsw.Connection(str(path))
    connection.execute(SCHEMA)
    with connection:
        connection.executemany(
            "INSERT INTO ticks (symbol, timestamp, bid, ask, spread, lp_source, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    connection.close()
