"""What was written into each day, to the last bit: made anew from the writer's seed, and read by SQL."""

from __future__ import annotations

from datetime import date
from itertools import takewhile
from pathlib import Path
from zlib import crc32

from msgspec import Struct

from handlers.vfs import open_path, settle
from watcher.demo.day import DAY_MS, date_of
from watcher.demo.stage import SEED, SYMBOLS, Stage
from watcher.demo.ticks import realistic

_ROWS = "SELECT symbol, timestamp, bid, ask, spread, lp_source FROM ticks"


class Content(Struct):
    """Some rows, in whatever order."""

    ticks: int = 0
    fingerprint: int = 0
    """A sum over the rows: another one means other rows."""

    def add(self, row: tuple[object, ...]) -> None:
        self.ticks += 1
        self.fingerprint += crc32(repr(row).encode())


def written(stage: Stage) -> dict[date, Content]:
    """What the writer was to write into each day."""
    found = {day: Content() for day in stage.days}
    end_ms = int(stage.end.timestamp() * 1000)
    ticks = realistic(stage.began_ms(), symbols=SYMBOLS, rate=stage.rate, seed=SEED)
    for tick in takewhile(lambda each: each.timestamp < end_ms, ticks):
        row = (tick.symbol, tick.timestamp, tick.bid, tick.ask, tick.spread, tick.lp_source)
        found[date_of(tick.timestamp // DAY_MS)].add(row)
    return found


def read(path: Path) -> Content:
    """What SQL finds in a file, whatever form it has. Raises what `handlers.vfs` raises."""
    found = Content()
    connection = open_path(path)
    try:
        for row in connection.execute(_ROWS):
            found.add(row)
        settle(connection)
    finally:
        connection.close()
    return found
