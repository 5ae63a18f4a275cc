"""The pages of tables and indexes: the inner pages tell what dbstat tells."""

from __future__ import annotations

import random
from pathlib import Path

import apsw
import pytest

from handlers.btrees import trees
from handlers.seekable import compress_file
from handlers.vfs import open_path

DAY = """
CREATE TABLE ticks (id INTEGER PRIMARY KEY, symbol TEXT, timestamp INTEGER, note TEXT);
CREATE INDEX by_symbol ON ticks (symbol, timestamp);
CREATE TABLE keyed (a TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE empty (a);
"""


def make(path: Path, sql: str, rows: int, note: int = 0) -> Path:
    rng = random.Random(rows)
    connection = apsw.Connection(str(path))
    connection.execute(sql + DAY)
    with connection:
        connection.executemany(
            "INSERT INTO ticks (symbol, timestamp, note) VALUES (?, ?, ?)",
            ((f"S{rng.randrange(50)}", at, "n" * note * (at % 100 == 0)) for at in range(rows)),
        )
        connection.execute("INSERT INTO keyed SELECT symbol || '-' || timestamp FROM ticks")
        connection.execute("DELETE FROM ticks WHERE timestamp < ?", (rows // 10,))
    connection.close()
    return path


@pytest.mark.parametrize(
    ("sql", "rows", "note"),
    [
        ("", 0, 0),
        ("", 20_000, 0),
        ("", 2_000, 9_000),
        ("PRAGMA page_size = 512;", 20_000, 0),
        ("PRAGMA page_size = 512;", 2_000, 2_000),
        ("PRAGMA page_size = 65536;", 20_000, 0),
        ("PRAGMA auto_vacuum = FULL;", 5_000, 0),
        (f"CREATE TABLE wide (a -- {'-' * 9000}\n);", 100, 0),
        (";".join(f"CREATE TABLE t{n} ({'a' * 90})" for n in range(90)) + ";", 100, 0),
    ],
    ids=(
        "nothing",
        "leaves",
        "overflow",
        "deep",
        "deep, overflow",
        "large pages",
        "auto-vacuum",
        "long schema",
        "many",
    ),
)
def test_both_ways_agree(tmp_path: Path, sql: str, rows: int, note: int) -> None:
    path = make(tmp_path / "x.db", sql, rows, note)
    packed = path.with_name("x.db.zst")
    compress_file(path, packed, level=1, frame_bytes=256 * 1024)
    found = trees(open_path(path))
    assert trees(open_path(packed), jumps_are_dear=True) == found
    assert {tree.name for tree in found} >= {"sqlite_schema", "ticks", "by_symbol", "keyed", "empty"}
    assert [tree.pages for tree in found] == sorted((tree.pages for tree in found), reverse=True)
    assert {tree.table for tree in found if tree.kind == "index"} == {"ticks"}


def test_the_leaves_of_an_ordinary_day_are_not_read(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "", 20_000)
    asked: list[str] = []
    connection = open_path(path)
    connection.exec_trace = lambda _cursor, sql, _values: bool(asked.append(sql)) or True
    assert sum(tree.pages for tree in trees(connection, jumps_are_dear=True)) > 100
    assert not any("dbstat" in sql for sql in asked)


def test_damage_is_an_error_or_nothing(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "PRAGMA page_size = 512;", 3000)
    whole = path.read_bytes()
    outcomes = {_after(path, whole, page, what) for page in range(1, len(whole) // 512, 5) for what in DAMAGE}
    assert outcomes == {"an error", "nothing"}


DAMAGE = (b"\xff", b"\x05\x00\x00\xff\xff", b"\x02" + bytes(11), b"\x0d" + bytes(11))


def _after(path: Path, whole: bytes, page: int, what: bytes) -> str:
    begin = page * 512
    path.write_bytes(whole[:begin] + what + whole[begin + len(what) :])
    connection = open_path(path)
    try:
        trees(connection, jumps_are_dear=True)
    except apsw.CorruptError:
        return "an error"
    finally:
        connection.close()
    return "nothing"


def test_a_tree_that_leads_back_into_itself_is_an_error(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "PRAGMA page_size = 512;", 3000)
    connection = open_path(path)
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'ticks'").get
    connection.close()
    assert isinstance(root, int)
    itself = root.to_bytes(4, "big")
    with path.open("r+b") as file:
        file.seek((root - 1) * 512)
        # An inner page of 41 children, each of them this page.
        file.write(b"\x05\0\0" + (40).to_bytes(2, "big") + bytes(3) + itself + (200).to_bytes(2, "big") * 40)
        file.seek((root - 1) * 512 + 200)
        file.write(itself)
    with pytest.raises(apsw.CorruptError, match="leads back into itself"):
        trees(open_path(path), jumps_are_dear=True)
