"""What SQLite is asked, and what is made of its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest

from handlers import database
from handlers.contract import StepError
from handlers.database import Ticks


def connect(path: Path, sql: str) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    for _ in connection.execute(sql):
        pass
    return connection


def test_sqlite_has_the_fix_for_the_wal_reset_bug() -> None:
    assert apsw.sqlite_lib_version() >= "3.51.3"


@pytest.mark.parametrize(("mode", "is_wal"), [("wal", True), ("delete", False)])
@pytest.mark.parametrize("page_bytes", [512, 4096, 65536])
def test_the_header_is_read(tmp_path: Path, mode: str, is_wal: bool, page_bytes: int) -> None:
    path = tmp_path / "x.db"
    sql = f"PRAGMA page_size={page_bytes}; PRAGMA journal_mode={mode}; CREATE TABLE t (a)"
    connect(path, sql).close()
    assert database.read_header(path) == (is_wal, page_bytes, apsw.SQLITE_VERSION_NUMBER)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        database.read_header(tmp_path / "missing.db")


@pytest.mark.parametrize(
    ("now", "lost"),
    [
        (Ticks(10, 2, 100, 200), False),
        (Ticks(11, 1, 90, 210), False),
        (Ticks(9, 2, 100, 200), True),
        (Ticks(10, 2, 101, 200), True),
        (Ticks(10, 2, 100, 199), True),
        (Ticks(10, 2, None, 200), True),
        (Ticks(10, 2, 100, None), True),
    ],
)
def test_a_day_may_grow_and_not_shrink(now: Ticks, lost: bool) -> None:
    assert now.lacks(Ticks(10, 2, 100, 200)) is lost


def test_an_empty_day_lacks_nothing() -> None:
    assert not Ticks(5, 1, 1, 2).lacks(Ticks())
    assert not Ticks().lacks(Ticks())


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE TABLE ticks (symbol, timestamp)", Ticks()),
        ("CREATE TABLE ticks (symbol, timestamp); INSERT INTO ticks VALUES ('A', 1.9), ('A', 7)",
         Ticks(2, 1, 1, 7)),
        ("CREATE TABLE ticks (symbol, timestamp); INSERT INTO ticks VALUES ('A', '2026'), (1, 7)",
         Ticks(2, 2, 7, None)),
        ("CREATE TABLE ticks (symbol, timestamp); INSERT INTO ticks VALUES (NULL, 9e999)",
         Ticks(1, 0, None, None)),
        ("CREATE TABLE ticks (a); INSERT INTO ticks VALUES (1)", Ticks(1, 0, None, None)),
        ("CREATE TABLE other (a)", Ticks(counted=False)),
    ],
)  # fmt: skip
def test_any_table_is_described_without_an_error(tmp_path: Path, sql: str, expected: Ticks) -> None:
    connection = connect(tmp_path / "x.db", sql)
    assert database.describe(connection, "ticks") == expected
    connection.close()


def test_a_table_name_is_only_a_name(tmp_path: Path) -> None:
    name = 'odd "name"; DROP TABLE ticks'
    quoted = '"' + name.replace('"', '""') + '"'
    connection = connect(tmp_path / "x.db", f"CREATE TABLE {quoted} (a)")
    connection.execute(f"INSERT INTO {quoted} VALUES (1)")  # noqa: S608
    assert database.describe(connection, name).ticks == 1
    assert database.describe(connection, "no such table") == Ticks(counted=False)
    connection.close()


def test_a_path_with_strange_characters_is_only_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory&b#c%20d é.db"
    connect(path, "CREATE TABLE ticks (a); INSERT INTO ticks VALUES (1)").close()
    assert database.examine_copy(path, "ticks").ticks == 1


def test_problems_are_read_from_the_rows_and_limited(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    connect(
        path,
        "CREATE TABLE ticks (a NOT NULL); CREATE INDEX i ON ticks (a);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 50)"
        "INSERT INTO ticks SELECT i FROM n;"
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON ticks (a COLLATE NOCASE DESC)'"
        " WHERE name = 'i'",
    ).close()
    with database.opened(path) as connection:
        problems = database.integrity_problems(connection)
    assert 1 <= len(problems) <= 10
    with pytest.raises(StepError, match="damaged"):
        database.examine_copy(path, "ticks")


def test_each_problem_is_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    connect(
        path,
        "PRAGMA page_size = 512; CREATE TABLE ticks (a);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 200)"
        "INSERT INTO ticks SELECT hex(randomblob(20)) FROM n;",
    ).close()
    damaged = bytearray(path.read_bytes())
    damaged[-512 + 5 : -512 + 7] = b"\x01\x01"  # where the cells of the last page begin
    path.write_bytes(damaged)
    with database.opened(path) as connection:
        (problem,) = database.integrity_problems(connection)
    assert problem.startswith("*** in database main *** ")
    assert "\n" not in problem


def test_a_copy_too_damaged_to_count_counts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    assert database.count_in_copy(path, "ticks") == 0


def test_examining_a_copy_leaves_nothing_beside_it(day: Any) -> None:
    day.create()
    database.examine_copy(day.database, "ticks")  # it is in WAL mode
    assert list(day.files()) == ["db/2026/01/ticks_2026-01-20.db"]
