"""A compressed day is read once, not once for each symbol; and the answer stays the same."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from handlers.scan import prefer_file_order
from handlers.seekable import compress_file
from handlers.vfs import open_path, open_ranges

SCHEMA = (Path(__file__).parents[2] / "handlers/schema/ticks.sql").read_text()
TICKS = 60_000


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty symbols by turns, in many frames, of which few are kept."""
    path = tmp_path_factory.mktemp("day") / "day.db"
    connection = apsw.Connection(str(path))
    connection.execute(SCHEMA)
    rows = ((f"SYM{at % 40}", at * 5, at % 997 / 7, at % 997 / 7 + 0.01) for at in range(TICKS))
    with connection:
        connection.executemany("INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES (?, ?, ?, ?)", rows)
    connection.close()
    compress_file(path, path.with_suffix(".db.zst"), level=3, frame_bytes=64 * 1024)
    return path


def packed(day: Path) -> apsw.Connection:
    return open_path(day.with_suffix(".db.zst"))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT symbol, avg(bid) FROM ticks GROUP BY symbol",
        "SELECT symbol, count(*) FROM ticks GROUP BY symbol",
        "SELECT count(DISTINCT symbol) FROM ticks",
        "SELECT DISTINCT symbol FROM ticks ORDER BY symbol",
        "WITH per AS (SELECT symbol, max(bid) AS m FROM ticks GROUP BY symbol) SELECT * FROM per WHERE m > 1",
        "SELECT * FROM ticks ORDER BY symbol, timestamp LIMIT 30",
        "SELECT * FROM symbol_stats ORDER BY symbol",
        "SELECT t.symbol, max(t.bid) FROM ticks AS t GROUP BY 1 HAVING count(*) > 3",
    ],
)
def test_what_would_jump_is_read_in_order(day: Path, sql: str) -> None:
    connection = packed(day)
    assert prefer_file_order(connection, sql)
    assert connection.execute(sql).fetchall() == open_path(day).execute(sql).fetchall()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT avg(bid) FROM ticks",
        "SELECT avg(bid) FROM ticks WHERE symbol = 'SYM7'",
        "SELECT * FROM ticks WHERE symbol = 'SYM7' AND timestamp BETWEEN 500 AND 900",
        "SELECT * FROM ticks ORDER BY timestamp",  # that index goes as the table goes
        "SELECT min(timestamp), max(timestamp) FROM ticks",
        "SELECT * FROM ticks NATURAL JOIN symbols",
        "SELECT count(*) FROM ticks a JOIN ticks b ON b.symbol = a.symbol AND b.timestamp = a.timestamp + 9",
        "SELECT * FROM recent_ticks LIMIT 5",
        "SELECT symbol, max(rowid) FROM ticks GROUP BY symbol",  # a view has no rowid
        'SELECT symbol, max("rowid") FROM ticks GROUP BY symbol',  # and must not have a text instead
        "SELECT symbol, (SELECT pk FROM pragma_table_info('ticks')) FROM ticks GROUP BY symbol",
        "SELECT symbol, avg(bid) FROM ticks INDEXED BY sqlite_autoindex_ticks_1 GROUP BY symbol",
        "SELECT symbol, avg(bid) FROM main.ticks GROUP BY symbol",
        "SELECT 1",
    ],
)
def test_everything_else_is_left_alone(day: Path, sql: str) -> None:
    connection = packed(day)
    assert not prefer_file_order(connection, sql)
    assert connection.execute("SELECT count(*) FROM temp.sqlite_schema").get == 0
    assert connection.execute(sql).fetchall() == open_path(day).execute(sql).fetchall()


@pytest.mark.parametrize("sql", ["SELECT nothing FROM ticks", "PRAGMA table_info(ticks)", "gibberish", ""])
def test_what_has_no_plan_is_nobodys_business_here(day: Path, sql: str) -> None:
    assert not prefer_file_order(packed(day), sql)


@pytest.mark.parametrize("in_order", [True, False])
def test_the_file_is_read_once_instead_of_once_a_symbol(day: Path, in_order: bool) -> None:
    class Counting:
        name = "day.db.zst"
        data = day.with_suffix(".db.zst").read_bytes()
        size_bytes = len(data)
        read_bytes = 0

        def read_range(self, offset: int, size: int) -> bytes:
            self.read_bytes += size
            return self.data[offset : offset + size]

    source, sql = Counting(), "SELECT symbol, avg(ask) FROM ticks GROUP BY symbol"
    connection = open_ranges(source, cache_bytes=4 * 64 * 1024)
    connection.pragma("cache_size", 10)
    if in_order:
        assert prefer_file_order(connection, sql)
    assert len(connection.execute(sql).fetchall()) == 40
    times = source.read_bytes / source.size_bytes
    assert times < 2 if in_order else times > 10
