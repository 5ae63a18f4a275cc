"""The default schema: any writer can live with it, and it answers quickly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from watcher.demo.day import TABLE

SCHEMA = Path(__file__).parents[2] / "handlers" / "schema" / "ticks.sql"
NOON = 1_768_824_000_000  # 2026-01-19 12:00 UTC


@pytest.fixture
def db() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    connection.execute(SCHEMA.read_text())
    yield connection
    connection.close()


def insert_three(db: apsw.Connection) -> None:
    """What the smallest writer inserts."""
    db.executemany(
        "INSERT INTO ticks (symbol, timestamp, bid, ask, lp_source) VALUES (?, ?, ?, ?, ?)",
        [
            ("EURUSD", NOON - 7_200_000, 1.0, 1.5, "LP"),
            ("EURUSD", NOON, 2.0, 2.25, "LP"),
            ("USDJPY", NOON, 150.0, 150.25, None),
        ],
    )


def query_plan(db: apsw.Connection, sql: str) -> str:
    return " / ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}"))


def test_running_it_twice_changes_nothing(db: apsw.Connection) -> None:
    insert_three(db)
    before = db.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").get
    db.execute(SCHEMA.read_text())
    assert db.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").get == before
    assert db.execute("SELECT count(*) FROM ticks").get == 3
    assert db.pragma("user_version") == 1


@pytest.mark.parametrize(
    "writers_own",
    [
        TABLE,
        "CREATE TABLE IF NOT EXISTS ticks (id INTEGER PRIMARY KEY AUTOINCREMENT, "
        "symbol VARCHAR(20) NOT NULL, timestamp INTEGER NOT NULL, bid REAL NOT NULL, "
        "ask REAL NOT NULL, spread REAL NOT NULL, volume INTEGER DEFAULT 0, "
        "lp_source VARCHAR(50), flags INTEGER DEFAULT 0, created_at INTEGER)",
    ],
)
def test_a_writer_may_create_its_own_table_before_or_after(writers_own: str) -> None:
    for statements in ([SCHEMA.read_text(), writers_own], [writers_own, SCHEMA.read_text()]):
        db = apsw.Connection(":memory:")
        for statement in statements:
            db.execute(statement)
        db.execute(
            "INSERT INTO ticks (symbol, timestamp, bid, ask, spread, lp_source) "
            "VALUES ('EURUSD', 1, 1.0, 1.5, 0.5, 'LP')"
        )
        assert db.execute("SELECT spread FROM recent_ticks").get == 0.5
        db.close()


def test_the_writers_own_table_is_the_schemas_table(db: apsw.Connection) -> None:
    own = apsw.Connection(":memory:")
    own.execute(TABLE)
    columns = "SELECT name, type, [notnull], dflt_value, pk FROM pragma_table_info('ticks')"
    assert own.execute(columns).get == db.execute(columns).get
    own.close()


def test_a_minimal_insert_gets_sensible_defaults(db: apsw.Connection) -> None:
    insert_three(db)
    row = db.execute("SELECT spread, volume, flags FROM ticks WHERE id = 1").get
    assert row == (None, 0, 0)
    created_at = db.execute("SELECT created_at FROM ticks WHERE id = 1").get
    assert isinstance(created_at, int)
    assert abs(created_at / 1000 - time.time()) < 60


def test_one_symbol_has_one_tick_a_millisecond(db: apsw.Connection) -> None:
    insert_three(db)
    with pytest.raises(apsw.ConstraintError):
        insert_three(db)
    db.execute(
        "INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES ('EURUSD', ?, 9, 9) "
        "ON CONFLICT (symbol, timestamp) DO NOTHING",
        (NOON,),
    )
    assert db.execute("SELECT count(*) FROM ticks").get == 3


def test_recent_ticks_counts_from_the_newest_tick_not_from_today(db: apsw.Connection) -> None:
    insert_three(db)
    assert db.execute("SELECT symbol, time, spread FROM recent_ticks").get == [
        ("USDJPY", "2026-01-19 12:00:00.000", 0.25),
        ("EURUSD", "2026-01-19 12:00:00.000", 0.25),
    ]


def test_symbol_stats_sums_up_each_symbol(db: apsw.Connection) -> None:
    insert_three(db)
    assert db.execute("SELECT * FROM symbol_stats").get == [
        ("EURUSD", 2, NOON - 7_200_000, NOON, 1.0, 2.25, 0.375, 0.0),
        ("USDJPY", 1, NOON, NOON, 150.0, 150.25, 0.25, 0.0),
    ]


def test_the_views_answer_for_a_day_without_ticks(db: apsw.Connection) -> None:
    assert list(db.execute("SELECT * FROM recent_ticks")) == []
    assert list(db.execute("SELECT * FROM symbol_stats")) == []


def test_a_row_of_each_side_table_needs_nothing_but_its_key(db: apsw.Connection) -> None:
    db.execute("INSERT INTO symbols (symbol) VALUES ('EURUSD')")
    db.execute("INSERT INTO lp_sources (lp_source) VALUES ('LP')")
    db.execute("INSERT INTO partition_info (day) VALUES ('2026-01-19')")
    db.execute("INSERT INTO data_quality (symbol, check_name) VALUES ('EURUSD', 'gap')")
    assert db.execute("SELECT schema_version FROM partition_info").get == 1


@pytest.mark.parametrize(
    ("question", "index"),
    [
        (
            "SELECT * FROM ticks WHERE symbol = 'EURUSD' AND timestamp BETWEEN 1 AND 2 "
            "ORDER BY timestamp DESC",
            "sqlite_autoindex_ticks_1 (symbol=? AND timestamp>? AND timestamp<?)",
        ),
        (
            "SELECT * FROM ticks WHERE timestamp >= 1 AND timestamp < 2 ORDER BY timestamp",
            "idx_ticks_timestamp (timestamp>? AND timestamp<?)",
        ),
        ("SELECT * FROM recent_ticks LIMIT 10", "idx_ticks_timestamp (timestamp>?)"),
        ("SELECT max(timestamp) FROM ticks", "COVERING INDEX idx_ticks_timestamp"),
    ],
)
def test_time_ranges_use_an_index_and_do_not_sort(db: apsw.Connection, question: str, index: str) -> None:
    plan = query_plan(db, question)
    assert index in plan
    assert "TEMP B-TREE" not in plan


def test_there_is_no_index_but_these_two(db: apsw.Connection) -> None:
    names = "SELECT name FROM pragma_index_list('ticks') ORDER BY name"
    assert db.execute(names).get == ["idx_ticks_timestamp", "sqlite_autoindex_ticks_1"]
