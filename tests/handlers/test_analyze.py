"""What is in a day, and that it is the same in every tier."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace

from handlers.analyze import Analysis, analyze, compression_of, has_wal_reset_bug, version_text
from handlers.seek_table import SeekableError
from handlers.seekable import compress_file
from handlers.ticks import Example, Gap, Gaps
from handlers.vfs import open_path, settle

SCHEMA = (Path(__file__).parents[2] / "handlers/schema/ticks.sql").read_text()
BEGIN = 1_768_867_200_000
OWN = "CREATE TABLE ticks (symbol, timestamp, bid, ask, spread)"


def make(path: Path, rows: Iterable[tuple[Any, ...]], schema: str = OWN) -> Path:
    connection = apsw.Connection(str(path))
    connection.execute(schema).fetchall()
    with connection:
        connection.executemany(
            "INSERT INTO ticks (symbol, timestamp, bid, ask, spread) VALUES (?, ?, ?, ?, ?)", rows
        )
    connection.close()
    return path


def measured(path: Path, table: str = "ticks") -> Analysis:
    connection = open_path(path)
    try:
        found = analyze(connection, table, compression=compression_of(path))
        settle(connection)
    finally:
        connection.close()
    return found


def at(*seconds: float) -> list[tuple[Any, ...]]:
    return [("EURUSD", BEGIN + round(1000 * each), 1.0, 1.05, None) for each in seconds]


def test_every_tier_has_the_same_in_it(tmp_path: Path) -> None:
    symbols = [f"S{number:02}" for number in range(30)]
    rows = [
        (symbols[n * 7 % 30], BEGIN + n * 211, 1 + n % 9 / 10, 1.05 + n % 7 / 10, None) for n in range(20_000)
    ]
    plain = make(tmp_path / "x.db", rows, SCHEMA)
    packed = tmp_path / "x.db.zst"
    compress_file(plain, packed, level=1, frame_bytes=64 * 1024)
    found, same = measured(plain), measured(packed)
    assert replace(same, compression=None) == found
    assert found.compression is None
    assert same.compression is not None
    assert same.compression.bytes == packed.stat().st_size
    assert same.compression.ratio == plain.stat().st_size / packed.stat().st_size
    assert same.compression.frames > 10
    assert 0 < same.compression.frame_bytes <= 64 * 1024


def test_the_file(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", at(*range(5000)), SCHEMA)
    found = measured(path)
    assert found.size_bytes == path.stat().st_size == found.pages * found.page_bytes
    assert (found.journal_mode, found.free_pages, found.wal_reset_bug) == ("rollback", 0, False)
    assert found.sqlite_version == apsw.sqlite_lib_version()
    assert sum(share.bytes for share in found.shares) == found.size_bytes
    assert sum(share.share for share in found.shares) == pytest.approx(1)
    assert [share.name for share in found.shares[:3]] == [
        "ticks",
        "sqlite_autoindex_ticks_1",
        "idx_ticks_timestamp",
    ]
    assert [share.kind for share in found.shares[:3]] == ["table", "index", "index"]
    assert found.untold == ()


def test_pages_that_are_free(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", at(*range(5000)))
    connection = apsw.Connection(str(path))
    connection.execute("DELETE FROM ticks WHERE rowid > 100")
    connection.close()
    found = measured(path)
    assert found.free_pages > 10
    assert sum(share.bytes for share in found.shares) == found.size_bytes - found.free_pages * 4096


def test_ticks_and_symbols(tmp_path: Path) -> None:
    rows = [
        ("B", BEGIN + 5000, 1.0, 1.25, None),
        ("A", BEGIN + 1000, 1.0, 1.5, 0.0625),  # the column is what is meant, where it is not null
        ("B", BEGIN, 1.0, 1.125, None),  # not in the order of time
        ("B", BEGIN + 65_001, 1.0, 1.125, None),
        (None, BEGIN + 2, 1.0, 1.0, None),
    ]
    found = measured(make(tmp_path / "x.db", rows)).content
    assert (found.ticks, found.symbols, found.first_ms, found.last_ms) == (5, 2, BEGIN, BEGIN + 65_001)
    a, b, none = found.by_symbol
    assert (a.symbol, a.ticks, a.mean_spread, a.longest_gap_ms) == ("A", 1, 0.0625, None)
    assert (b.symbol, b.ticks, b.first_ms, b.last_ms) == ("B", 3, BEGIN, BEGIN + 65_001)
    assert (b.longest_gap_ms, b.longest_gap_from_ms) == (60_001, BEGIN + 5000)
    assert b.mean_spread == pytest.approx(0.5 / 3)
    assert (none.symbol, none.ticks, none.mean_spread) == (None, 1, 0.0)


@pytest.mark.parametrize(
    ("seconds", "gaps"),
    [
        ([], None),
        ([0], ()),
        ([0, 60], ()),
        ([0, 60.001], [(0, 60.001)]),
        ([0, 0, 100, 130, 3700], [(0, 100), (130, 3700)]),
        ([3700, 130, 100, 0], [(0, 100), (130, 3700)]),
    ],
)
def test_gaps(tmp_path: Path, seconds: list[float], gaps: list[tuple[float, float]] | None) -> None:
    found = measured(make(tmp_path / "x.db", at(*seconds))).content.gaps
    if gaps is None:
        assert found is None
        return
    listed = [
        Gap(BEGIN + round(1000 * begin), BEGIN + round(1000 * end), round(1000 * end) - round(1000 * begin))
        for begin, end in gaps
    ]
    assert found == Gaps(len(listed), sum(gap.length_ms for gap in listed), tuple(listed))


def test_a_gap_is_one_of_all_symbols(tmp_path: Path) -> None:
    rows = [("AB"[number % 2], BEGIN + 50_000 * number, 1.0, 1.1, None) for number in range(10)]
    found = measured(make(tmp_path / "x.db", rows)).content
    assert found.gaps == Gaps(0, 0, ())
    assert [symbol.longest_gap_ms for symbol in found.by_symbol] == [100_000, 100_000]


def test_more_gaps_than_are_listed(tmp_path: Path) -> None:
    found = measured(make(tmp_path / "x.db", at(*range(0, 61 * 2101, 61)))).content.gaps
    assert found is not None
    assert (found.count, found.total_ms, len(found.listed)) == (2100, 2100 * 61_000, 2000)


INF = float("inf")
FAULTS = [
    ((1.0, 1.0625, None), ""),
    ((1.0, 1.0, None), ""),
    ((1.0, 1.100001, None), "wide"),
    ((100.0, 100.5, 10.5), "wide"),
    ((1.1, 1.0, None), "crossed"),
    ((0.0, 1.0, None), "not_positive"),
    ((1.0, -1.0, None), "crossed not_positive"),
    ((None, 1.0, None), "not_positive"),
    ((1.0, None, 0.1), "not_positive"),
    (("1.0 ", "x", None), "not_positive"),
    ((b"1", 1.0, None), "not_positive"),
    ((1, INF, None), "wide"),
    ((INF, INF, None), ""),
]


@pytest.mark.parametrize(("row", "expected"), FAULTS, ids=str)
def test_rows_that_cannot_be_right(tmp_path: Path, row: tuple[Any, ...], expected: str) -> None:
    invalid = measured(make(tmp_path / "x.db", [*at(1), ("X", BEGIN, *row)])).content.invalid
    faults = {name: getattr(invalid, name) for name in ("crossed", "not_positive", "wide", "unstamped")}
    assert {name for name, fault in faults.items() if fault.count} == set(expected.split())
    assert invalid.rows == bool(expected)
    for fault in faults.values():
        assert [(each.id, each.symbol, each.timestamp_ms) for each in fault.examples] == (
            [(2, "X", BEGIN)] * fault.count
        )


@pytest.mark.parametrize(
    "stamp", [None, "2026-01-20", str(BEGIN), b"1", -1, BEGIN * 1000, INF, float(1 << 62)]
)
def test_stamps_that_are_none(tmp_path: Path, stamp: object) -> None:
    found = measured(make(tmp_path / "x.db", [*at(0, 10), ("EURUSD", stamp, 1.0, 1.0625, None)])).content
    assert found.invalid.unstamped is not None
    assert (found.invalid.unstamped.count, found.invalid.rows) == (1, 1)
    assert found.invalid.unstamped.examples[0] == Example(3, "EURUSD", None, 1.0, 1.0625, 0.0625)
    assert (found.ticks, found.last_ms, found.by_symbol[0].ticks) == (3, BEGIN + 10_000, 3)
    assert found.by_symbol[0].longest_gap_ms == 10_000


def test_the_first_examples_are_enough(tmp_path: Path) -> None:
    rows = [("X", BEGIN + n, 2.0, 1.0, None) for n in range(100)]
    found = measured(make(tmp_path / "x.db", rows)).content
    assert found.invalid.crossed is not None
    assert found.invalid.crossed.count == found.invalid.rows == found.by_symbol[0].invalid == 100
    assert [each.id for each in found.invalid.crossed.examples] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_symbols_of_any_kind(tmp_path: Path, encoding: str) -> None:
    names = ["EURUSD", "Ünï€", "a\x1b[2J", b"\xff\xd8\x00", 17]
    rows = [(name, BEGIN, 1.0, 1.1, None) for name in names]
    found = measured(make(tmp_path / "x.db", rows, f"PRAGMA encoding = '{encoding}'; {OWN}")).content
    told = [symbol.symbol for symbol in found.by_symbol]
    assert found.symbols == 5
    assert {"EURUSD", "Ünï€", "a\x1b[2J", "17"} < set(told)


def test_more_symbols_than_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handlers.ticks._MAX_SYMBOLS", 3)
    rows = [(f"S{n}", BEGIN + n, 2.0, 1.0, None) for n in range(4)]
    found = measured(make(tmp_path / "x.db", rows))
    assert (found.content.ticks, found.content.symbols, found.content.by_symbol) == (4, None, ())
    assert found.content.invalid.rows == 4
    assert found.untold == ("symbols, by_symbol: there are more than 3",)


BARE = {
    "CREATE TABLE other (a)": ["content: there is no table ticks"],
    "CREATE TABLE ticks (a)": [
        "symbols, by_symbol: ticks has no column symbol",
        "first_ms, last_ms, gaps: ticks has no column timestamp",
        "mean_spread: ticks has no column spread",
        "invalid.crossed: ticks has no column bid or ask",
        "invalid.not_positive: ticks has no column bid or ask",
        "invalid.wide: ticks has no column bid or spread",
        "invalid.unstamped: ticks has no column timestamp",
    ],
    "CREATE TABLE ticks (Symbol, TIMESTAMP, Spread)": [
        "invalid.crossed: ticks has no column bid or ask",
        "invalid.not_positive: ticks has no column bid or ask",
        "invalid.wide: ticks has no column bid",
    ],
    "CREATE TABLE ticks (symbol, timestamp, bid, ask)": [],
    "CREATE TABLE ticks (symbol, timestamp, bid, ask, spread AS (ask - bid))": [],
    "CREATE TABLE ticks (symbol PRIMARY KEY, timestamp, bid, ask) WITHOUT ROWID": [],
    "CREATE TABLE t (a); CREATE VIEW ticks AS SELECT a symbol, a timestamp, a bid, a ask FROM t": [],
}


@pytest.mark.parametrize("schema", BARE)
def test_tables_of_other_shapes(tmp_path: Path, schema: str) -> None:
    path = tmp_path / "x.db"
    connection = apsw.Connection(str(path))
    connection.execute(schema)
    connection.close()
    found = measured(path)
    assert list(found.untold) == BARE[schema]
    assert found.content.ticks == (None if "other" in schema else 0)
    assert found.pages > 0


def test_what_a_table_lacks_is_null_and_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE ticks (price); INSERT INTO ticks VALUES (1), (2)")
    connection.close()
    found = measured(path).content
    assert (found.ticks, found.symbols, found.first_ms, found.gaps, found.by_symbol) == (
        2,
        None,
        None,
        None,
        (),
    )
    assert (found.invalid.rows, found.invalid.crossed, found.invalid.unstamped) == (None, None, None)


def test_a_row_that_is_wrong_in_a_table_without_rowid(tmp_path: Path) -> None:
    schema = "CREATE TABLE ticks (symbol, timestamp PRIMARY KEY, bid, ask, spread) WITHOUT ROWID"
    found = measured(make(tmp_path / "x.db", [("X", BEGIN, 2.0, 1.0, None)], schema)).content
    assert found.invalid.crossed is not None
    assert found.invalid.crossed.examples == (Example(None, "X", BEGIN, 2.0, 1.0, -1.0),)


def test_a_timestamp_that_is_text_is_none(tmp_path: Path) -> None:
    found = measured(make(tmp_path / "x.db", at(1), OWN.replace("timestamp", "timestamp TEXT")))
    assert found.content.invalid.unstamped is not None
    assert (found.content.invalid.unstamped.count, found.content.first_ms) == (1, None)


def test_no_timestamp_is_one(tmp_path: Path) -> None:
    found = measured(make(tmp_path / "x.db", [("X", "noon", 1.0, 1.1, None)]))
    assert found.untold == ("first_ms, last_ms, gaps: no timestamp is a number of milliseconds",)
    assert found.content.gaps is None


def test_a_day_that_is_being_written(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", at(1), f"PRAGMA journal_mode = wal; {OWN}")
    writer = apsw.Connection(str(path))
    writer.execute("INSERT INTO ticks SELECT * FROM ticks")
    connection = open_path(path)
    found = analyze(connection, "ticks")
    assert (found.journal_mode, found.content.ticks) == ("wal", 2)
    assert not connection.in_transaction
    connection.close()
    writer.execute(
        "DELETE FROM ticks; PRAGMA wal_checkpoint(TRUNCATE)"
    )  # nothing is left that would hinder it
    writer.close()


def test_an_empty_file_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    with pytest.raises(apsw.NotADBError):
        measured(tmp_path / "x.db")


def test_damage_is_an_error(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", at(*range(3000)))
    packed = tmp_path / "x.db.zst"
    compress_file(path, packed, level=1, frame_bytes=64 * 1024)
    for file, offset in ((path, 4 * 4096), (packed, 1000)):
        data = bytearray(file.read_bytes())
        data[offset : offset + 8] = b"\xff" * 8
        file.write_bytes(data)
    with pytest.raises(apsw.CorruptError):
        measured(path)
    with pytest.raises(SeekableError):
        measured(packed)


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ("3.6.23", False),
        ("3.7.0", True),
        ("3.40.1", True),
        ("3.44.5", True),
        ("3.44.6", False),
        ("3.44.9", False),
        ("3.45.0", True),
        ("3.45.6", True),
        ("3.49.2", True),
        ("3.50.0", True),
        ("3.50.6", True),
        ("3.50.7", False),
        ("3.51.0", True),
        ("3.51.2", True),
        ("3.51.3", False),
        ("3.52.0", False),
        ("3.54.1", False),
        ("4.0.0", False),
    ],
)
def test_which_sqlite_has_the_wal_reset_bug(version: str, affected: bool) -> None:
    major, minor, patch = map(int, version.split("."))
    number = major * 1_000_000 + minor * 1000 + patch
    assert has_wal_reset_bug(number) is affected
    assert version_text(number) == version


@pytest.mark.parametrize(("raw", "told"), [(3_045_001, ("3.45.1", True)), (0, (None, None))])
def test_the_last_writer_is_in_the_header(tmp_path: Path, raw: int, told: tuple[Any, Any]) -> None:
    path = make(tmp_path / "x.db", at(1))
    with path.open("r+b") as file:
        file.seek(96)
        file.write(raw.to_bytes(4, "big"))
    found = measured(path)
    assert (found.sqlite_version, found.wal_reset_bug) == told
    known = analyze(open_path(path), "ticks", sqlite_version=3_040_001)
    assert (known.sqlite_version, known.wal_reset_bug) == ("3.40.1", True)
