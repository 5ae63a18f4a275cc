"""Whether two databases are the same day: what any query could tell, they must not differ in."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import pytest
import zstandard

from handlers.sameness import packed_tells_the_same, tells_the_same

TICKS = """
    CREATE TABLE ticks (id INTEGER PRIMARY KEY, symbol TEXT, bid REAL);
    INSERT INTO ticks (symbol, bid) VALUES ('EURUSD', 1.1), ('USDJPY', 150.0), ('EURUSD', 1.2);
    CREATE TABLE notes (tick); INSERT INTO notes VALUES (1), (2), (3);
    CREATE TABLE pairs (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO pairs VALUES (1, 2);
"""


def make(path: Path, *sql: str) -> Path:
    with closing(apsw.Connection(str(path))) as connection:
        for each in sql:
            connection.execute(each)
    return path


@pytest.mark.parametrize(
    "sql", ["PRAGMA journal_mode = wal", "CREATE TABLE x (a); DROP TABLE x", "PRAGMA page_size = 512; VACUUM"]
)
def test_how_it_is_stored_does_not_count(tmp_path: Path, sql: str) -> None:
    one, other = make(tmp_path / "a.db", TICKS), make(tmp_path / "b.db", TICKS, sql)
    assert one.read_bytes() != other.read_bytes()
    assert tells_the_same(one, other)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO ticks (symbol, bid) VALUES ('EURUSD', 1.3)",
        "UPDATE ticks SET bid = 150 + 1e-13 WHERE id = 2",
        "UPDATE ticks SET bid = -0.0 WHERE id = 2",
        "UPDATE ticks SET symbol = CAST(symbol AS BLOB) WHERE id = 2",
        "UPDATE notes SET rowid = rowid + 10",
        "DELETE FROM pairs",
        "CREATE VIEW seen AS SELECT 1",
        "CREATE INDEX i ON ticks (bid)",
        "PRAGMA user_version = 1",
    ],
)
def test_whatever_a_query_can_tell_does(tmp_path: Path, sql: str) -> None:
    assert not tells_the_same(make(tmp_path / "a.db", TICKS), make(tmp_path / "b.db", TICKS, sql))


@pytest.mark.parametrize(
    "sql",
    [
        "PRAGMA encoding = 'UTF-16le'; CREATE TABLE ticks (a)",
        "CREATE VIRTUAL TABLE words USING fts5 (a)",
        "CREATE TABLE named (rowid, _rowid_, oid)",
        "CREATE TABLE ticks (a); INSERT INTO ticks VALUES (CAST(x'ff' AS TEXT))",
    ],
)
def test_what_cannot_be_compared_is_not_the_same(tmp_path: Path, sql: str) -> None:
    one = make(tmp_path / "a.db", sql)
    other = tmp_path / "b.db"
    other.write_bytes(one.read_bytes())
    assert not tells_the_same(one, other)


def test_what_is_in_a_log_beside_one_counts(tmp_path: Path) -> None:
    one, other = make(tmp_path / "a.db", TICKS), make(tmp_path / "b.db", TICKS)
    assert tells_the_same(one, other)
    (tmp_path / "b.db-wal").write_bytes(b"ticks, perhaps")
    assert not tells_the_same(one, other)


def test_what_a_zst_holds_is_compared_and_nothing_is_left(tmp_path: Path) -> None:
    one = make(tmp_path / "a.db", TICKS)
    packed = tmp_path / "c.db.zst"
    packed.write_bytes(zstandard.compress(make(tmp_path / "b.db", TICKS, "VACUUM").read_bytes()))
    before = set(tmp_path.iterdir())
    assert packed_tells_the_same(packed, one, packed, 1)
    packed.write_bytes(packed.read_bytes()[:-9])
    assert not packed_tells_the_same(packed, one, packed, 1)
    assert set(tmp_path.iterdir()) == before
