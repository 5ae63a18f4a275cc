"""What may be asked of a day: one statement that reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.watcher.query.tree import BEGIN, make_day
from watcher.query.answer import opened_guarded
from watcher.query.guard import StatementError, prepared, unguarded


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_day(tmp_path_factory.mktemp("day") / "day.db", BEGIN)


@pytest.fixture
def connection(day: Path) -> Iterator[apsw.Connection]:
    connection = opened_guarded(day)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT symbol, count(*) AS n FROM ticks GROUP BY 1", ("symbol", "n")),
        ("-- why\nSELECT 1 AS x; -- and how\n;;", ("x",)),
        ("; SELECT ';' AS x;", ("x",)),
        ("VALUES (1, 2)", ("column1", "column2")),
        ("WITH RECURSIVE a(x) AS (SELECT 1 UNION SELECT x + 1 FROM a LIMIT 3) SELECT x FROM a", ("x",)),
        (
            "SELECT * FROM json_each('[1]')",
            ("key", "value", "type", "atom", "id", "parent", "fullkey", "path"),
        ),
        ("SELECT name FROM pragma_table_info('ticks')", ("name",)),
        ("SELECT sum(pgsize) AS bytes FROM dbstat", ("bytes",)),
        ("PRAGMA page_count", ("page_count",)),
        ("EXPLAIN QUERY PLAN SELECT * FROM recent_ticks", ("id", "parent", "notused", "detail")),
    ],
)
def test_what_reads_is_asked(connection: apsw.Connection, sql: str, columns: tuple[str, ...]) -> None:
    statement = prepared(connection, sql)
    assert statement.columns == columns
    assert list(connection.execute(statement.text))


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("", "no statement"),
        (" ; -- nothing\n", "no statement"),
        ("SELEC 1", 'near "SELEC": syntax error'),
        ("SELECT nosuch FROM ticks", "no such column: nosuch"),
        ("SELECT * FROM nosuch", "no such table: nosuch"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT 1; rubbish", "more than one statement"),
        ("SELECT ?", "parameters"),
        ("SELECT * FROM ticks WHERE symbol = :symbol", "parameters"),
        ("BEGIN", "gives no rows"),
    ],
)
def test_what_cannot_be_asked_says_why(connection: apsw.Connection, sql: str, why: str) -> None:
    with pytest.raises(StatementError, match=why):
        prepared(connection, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES ('X', 1, 1, 1)",
        "DELETE FROM ticks RETURNING *",
        "UPDATE ticks SET bid = 0",
        "DROP TABLE ticks",
        "CREATE TABLE other (a)",
        "CREATE TEMP TABLE other (a)",
        "ATTACH 'other.db' AS other",
        "VACUUM",
        "VACUUM INTO 'other.db'",
        "REINDEX",
        "ANALYZE",
        "PRAGMA journal_mode = wal",
        "PRAGMA user_version = 7",
        "PRAGMA writable_schema = on",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA temp_store_directory = '.'",
        "SELECT load_extension('x')",
        "SELECT * FROM pragma_wal_checkpoint",
    ],
)
def test_what_writes_or_reaches_out_is_refused(
    day: Path, connection: apsw.Connection, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = day.read_bytes(), day.stat().st_mtime_ns
    with pytest.raises((StatementError, apsw.Error)):
        list(connection.execute(prepared(connection, sql).text))
    with pytest.raises(apsw.Error):
        list(connection.execute(sql))
    assert (day.read_bytes(), day.stat().st_mtime_ns) == before
    assert [path.name for path in day.parent.iterdir()] == ["day.db"]
    assert list(tmp_path.iterdir()) == []


def test_what_is_let_through_for_a_moment_is_let_through_for_a_moment_only(
    connection: apsw.Connection,
) -> None:
    with unguarded(connection):
        connection.execute("CREATE TEMP VIEW x AS SELECT 1")
    with pytest.raises(apsw.AuthError):
        connection.execute("CREATE TEMP VIEW y AS SELECT 1")
