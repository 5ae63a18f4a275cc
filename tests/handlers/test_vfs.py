"""SQL on a day in any tier: the same answers from the plain and the compressed file; nothing is written."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import apsw
import pytest

from handlers.seek_table import FileRanges, SeekableError, read_table
from handlers.seekable import compress_file
from handlers.vfs import ChangedError, is_live, open_day, open_path, open_ranges, settle
from tests.handlers.conftest import Child

SCHEMA = (Path(__file__).parents[2] / "handlers/schema/ticks.sql").read_text()
SYMBOLS = ("EURUSD", "GBPUSD", "USDJPY", "XAUUSD")


def make(path: Path, ticks: int = 20_000, seed: int = 1, mode: str = "delete") -> Path:
    rng = random.Random(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", mode)
    connection.execute(SCHEMA)
    rows = (
        (rng.choice(SYMBOLS), 1_768_780_800_000 + at * 7, bid := rng.random() * 2, bid + 1e-5, None)
        for at in range(ticks)
    )
    with connection:
        connection.executemany(
            "INSERT INTO ticks (symbol, timestamp, bid, ask, volume) VALUES (?, ?, ?, ?, ?)", rows
        )
    connection.close()
    return path


def pack(path: Path, target: Path | None = None, frame: int = 64 * 1024) -> Path:
    target = target or path.with_name(path.name + ".zst")
    target.parent.mkdir(parents=True, exist_ok=True)
    compress_file(path, target, level=3, frame_bytes=frame)
    return target


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    plain = make(tmp_path_factory.mktemp("day") / "ticks.db")
    return plain, pack(plain)


def generated_queries(count: int) -> list[tuple[str, tuple[Any, ...]]]:
    """Ranges, lookups, aggregates, sorts and joins, drawn at random but the same every time."""
    rng = random.Random(4)
    columns = ("id", "symbol", "timestamp", "bid", "ask", "created_at - created_at", "volume")
    found: list[tuple[str, tuple[Any, ...]]] = []
    for _ in range(count):
        begin = 1_768_780_800_000 + rng.randrange(140_000)
        values = (rng.choice(SYMBOLS), begin, begin + rng.choice((0, 50, 3000, 60_000)))
        listed = ", ".join(rng.sample(columns, rng.randint(1, 4)))
        where = rng.choice(
            ("symbol = ?1 AND timestamp BETWEEN ?2 AND ?3", "?1 <> '' AND timestamp BETWEEN ?2 AND ?3")
        )
        tail = rng.choice(
            (
                "ORDER BY id",
                "ORDER BY bid DESC, id LIMIT 20",
                "GROUP BY symbol, timestamp / 1000 ORDER BY count(*), symbol, timestamp",
                "ORDER BY symbol, timestamp, id LIMIT 100 OFFSET 7",
            )
        )
        found.append((f"SELECT {listed} FROM ticks WHERE {where} {tail}", values))  # noqa: S608
    return found


def test_every_query_has_the_same_answer(both: tuple[Path, Path]) -> None:
    plain, packed = map(open_path, both)
    queries = [
        *generated_queries(150),
        ("SELECT * FROM sqlite_schema", ()),
        ("SELECT * FROM symbol_stats", ()),
        ("SELECT * FROM recent_ticks LIMIT 50", ()),
        ("SELECT count(*), avg(bid), max(ask) FROM ticks", ()),
        ("SELECT a.symbol, count(*) FROM ticks a JOIN ticks b USING (timestamp) GROUP BY 1 ORDER BY 1", ()),
        ("PRAGMA integrity_check", ()),
        ("PRAGMA page_count", ()),
    ]
    answers = 0
    for sql, values in queries:
        found = plain.execute(sql, values).fetchall()
        assert packed.execute(sql, values).fetchall() == found, sql
        answers += bool(found)
    settle(packed)
    assert answers > 100


def test_a_sort_that_needs_the_disk_is_done_beside_the_day(both: tuple[Path, Path]) -> None:
    plain, packed = map(open_path, both)
    sql = "SELECT * FROM ticks ORDER BY bid, id"
    for connection in (plain, packed):
        connection.pragma("cache_size", 10)
        connection.pragma("temp_store", 1)
    assert plain.execute(sql).fetchall() == packed.execute(sql).fetchall()


WRITES = (
    "DELETE FROM ticks",
    "UPDATE ticks SET bid = 0",
    "INSERT INTO symbols (symbol) VALUES ('X')",
    "CREATE TABLE more (x)",
    "DROP TABLE ticks",
    "PRAGMA user_version = 7",
    "PRAGMA journal_mode = wal",
    "REINDEX",
    "VACUUM",
    "ANALYZE",
)


@pytest.mark.parametrize("sql", WRITES)
@pytest.mark.parametrize("which", [0, 1])
def test_nothing_is_ever_written(both: tuple[Path, Path], sql: str, which: int) -> None:
    path = both[which]
    before, names = path.read_bytes(), sorted(path.parent.iterdir())
    connection = open_path(path)
    connection.pragma("query_only", 0)  # what somebody may try
    try:
        for _ in connection.execute(sql):
            pass
    except apsw.Error:
        pass
    assert connection.readonly("main")
    connection.close()
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == names


def test_a_file_that_is_no_database_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all, but long enough " * 9)
    with pytest.raises(apsw.NotADBError):
        open_path(tmp_path / "text.db")
    with pytest.raises(apsw.NotADBError):
        open_path(pack(tmp_path / "text.db"))


def test_a_zst_without_a_table_that_is_damaged_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "day.db.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    with pytest.raises(SeekableError, match=r"day\.db\.zst does not end in a seek table, and cannot be read"):
        open_path(path)


def test_damage_is_raised_from_the_statement_that_meets_it(tmp_path: Path, flip: Callable[..., None]) -> None:
    packed = pack(make(tmp_path / "day.db"))
    frame = read_table(packed)[3]
    flip(packed, frame.offset + frame.compressed_bytes // 2)
    connection = open_path(packed)
    with pytest.raises(SeekableError, match=r"day\.db\.zst: damaged frame at byte"):
        connection.execute("SELECT sum(bid) FROM ticks").fetchall()
    connection.close()


def counted(connection: apsw.Connection) -> int:
    ticks = connection.execute("SELECT count(*) FROM ticks NOT INDEXED").get
    settle(connection)
    assert isinstance(ticks, int)
    return ticks


def test_a_checksum_that_is_wrong_is_told_by_settle(tmp_path: Path, flip: Callable[..., None]) -> None:
    packed = pack(make(tmp_path / "day.db"))
    first = read_table(packed)[0]
    flip(packed, first.compressed_bytes - 1)
    with pytest.raises(SeekableError, match="damaged frame at byte 0"):
        counted(open_path(packed))


def test_what_was_read_without_locks_while_somebody_wrote_does_not_count(tmp_path: Path) -> None:
    path = make(tmp_path / "day.db", ticks=10, mode="wal")
    connection = open_path(path)
    assert not is_live(connection)
    assert connection.execute("SELECT count(*) FROM ticks").get == 10
    settle(connection)
    writer = apsw.Connection(str(path))
    writer.execute("DELETE FROM ticks WHERE id = 1")
    with pytest.raises(ChangedError, match=r"day\.db was written to while it was read"):
        settle(connection)
    live = open_path(path)
    assert is_live(live)
    writer.execute("DELETE FROM ticks WHERE id = 2")
    assert live.execute("SELECT count(*) FROM ticks").get == 8
    settle(live)
    for each in (connection, live, writer):
        each.close()


def test_a_writer_that_died_in_the_middle_of_a_change_is_named(tmp_path: Path) -> None:
    path = make(tmp_path / "day.db", ticks=2000)
    writer = apsw.Connection(str(path))
    writer.pragma("cache_size", 5)
    writer.execute("BEGIN; UPDATE ticks SET bid = 0")
    copy = tmp_path / "copy.db"
    for suffix in ("", "-journal"):
        copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    writer.close()
    with pytest.raises(apsw.ReadOnlyError, match="its writer died"):
        open_path(copy)


def test_connections_are_independent_and_close_their_files(both: tuple[Path, Path]) -> None:
    def descriptors() -> list[str]:
        return [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]

    one, two = open_path(both[1]), open_path(both[1])
    assert descriptors().count(str(both[1])) == 2
    one.close()
    assert two.execute("SELECT count(*) FROM ticks").get == 20_000
    two.close()
    assert str(both[1]) not in descriptors()


def test_anything_that_reads_ranges_will_do(both: tuple[Path, Path]) -> None:
    class Store:
        name = "store://bucket/ticks.db.zst"
        size_bytes = both[1].stat().st_size
        closed = False

        def read_range(self, offset: int, size: int) -> bytes:
            return both[1].read_bytes()[offset : offset + size]

        def close(self) -> None:
            self.closed = True

    store = Store()
    connection = open_ranges(store)
    assert connection.execute("SELECT count(*) FROM ticks").get == 20_000
    connection.close()
    assert store.closed


class TestADay:
    DAY = date(2026, 1, 19)

    def where(self, tmp_path: Path) -> dict[str, Any]:
        return {name: tmp_path / name for name in ("root", "archive", "backup")}

    @pytest.mark.parametrize(
        "place",
        [
            "root/2026/01/ticks_2026-01-19.db",
            "root/2026/01/ticks_2026-01-19.db.zst",
            "archive/2026/01/ticks_2026-01-19.db.zst",
            "backup/2026/01/ticks_2026-01-19.db",
            "backup/2026/01/ticks_2026-01-19.db.zst",
        ],
    )
    def test_is_found_wherever_it_is(self, tmp_path: Path, place: str) -> None:
        plain = make(tmp_path / "made.db", ticks=100)
        target = tmp_path / place
        target.parent.mkdir(parents=True)
        if target.suffix == ".zst":
            pack(plain, target)
        else:
            plain.rename(target)
        for day in (self.DAY, "2026-01-19"):
            assert open_day(day, **self.where(tmp_path)).execute("SELECT count(*) FROM ticks").get == 100

    def test_that_is_not_there_is_told_with_the_places(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"no database of 2026-01-19: looked for .*archive"):
            open_day(self.DAY, **self.where(tmp_path))
        with pytest.raises(ValueError, match="Invalid isoformat"):
            open_day("19.1.2026", **self.where(tmp_path))

    def test_with_late_ticks_beside_it_is_not_guessed(self, tmp_path: Path) -> None:
        plain = make(tmp_path / "root/2026/01/ticks_2026-01-19.db", ticks=3000)
        pack(plain)
        assert open_day(self.DAY, **self.where(tmp_path)).execute("SELECT count(*) FROM ticks").get == 3000
        plain.unlink()
        make(plain, ticks=5)
        with pytest.raises(FileExistsError, match="late ticks"):
            open_day(self.DAY, **self.where(tmp_path))

    def test_that_is_written_to_is_read_without_a_trace(self, tmp_path: Path) -> None:
        """A writer with commits in its -wal: they are seen, the writer goes on, and nothing is left."""
        plain = make(tmp_path / "root/2026/01/ticks_2026-01-19.db", ticks=10, mode="wal")
        writer = apsw.Connection(str(plain))
        insert = "INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES ('LATE', ?, 1, 1)"
        writer.execute(insert, (1,))
        reader = open_day(self.DAY, **self.where(tmp_path))
        assert reader.execute("SELECT count(*) FROM ticks").get == 11
        writer.execute(insert, (2,))
        assert reader.execute("SELECT count(*) FROM ticks").get == 12
        reader.close()
        writer.close()
        assert list(plain.parent.iterdir()) == [plain]

    def test_that_nobody_writes_to_leaves_nothing_beside_it(self, tmp_path: Path) -> None:
        plain = make(tmp_path / "root/2026/01/ticks_2026-01-19.db", ticks=10, mode="wal")
        reader = open_day(self.DAY, **self.where(tmp_path))
        assert reader.execute("SELECT count(*) FROM ticks").get == 10
        assert list(plain.parent.iterdir()) == [plain]


def test_memory_stays_small_however_large_the_day_is(tmp_path: Path, child: Callable[..., Child]) -> None:
    """120 MB of pages, read to the end, at random and through a sort: some tens of MB are used."""
    plain = tmp_path / "day.db"
    connection = apsw.Connection(str(plain))
    connection.execute("CREATE TABLE ticks (id INTEGER PRIMARY KEY, bid REAL, filler BLOB)")
    with connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)"
            " INSERT INTO ticks SELECT i, i * 0.37 % 1, zeroblob(1980) FROM n"
        )
    connection.close()
    packed = pack(plain, frame=4 << 20)
    assert plain.stat().st_size > 120_000_000
    script = """
from handlers.vfs import open_path, settle
connection = open_path(Path(sys.argv[1]))
for row in connection.execute("SELECT sum(length(filler)) FROM ticks"): pass
for id in range(1, 60000, 997):
    for row in connection.execute("SELECT bid FROM ticks WHERE id = ?", ((id * 7919) % 60000,)): pass
settle(connection)
status = Path("/proc/self/status").read_text()
say(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""
    assert int(child(script, packed, silent=True).said()) < 100


def test_the_ranges_of_a_link_are_refused(both: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "link.zst").symlink_to(both[1])
    with pytest.raises(OSError, match="symbolic"):
        FileRanges(tmp_path / "link.zst")
