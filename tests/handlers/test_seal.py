"""Sealing: whose turn it is, what is checked, and that nothing is changed before it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
import zstandard
from msgspec import structs

from handlers.contract import Holder, Step, Trouble

WRITER = """
connection = connect(sys.argv[1])
count = int(sys.argv[2])
for i in range(count):
    run(connection, "INSERT INTO ticks (symbol, timestamp) VALUES ('X', ?)", (5000 + i,))
say(); wait(); connection.close()
"""

READER = """
connection = connect(sys.argv[1], apsw.SQLITE_OPEN_READONLY)
run(connection, "SELECT count(*) FROM ticks")
say(); wait(); connection.close()
"""

HOT_JOURNAL = """
connection = connect(sys.argv[1])
run(connection, "PRAGMA journal_mode = DELETE")
run(connection, "PRAGMA cache_size = 1")
run(connection, "BEGIN IMMEDIATE")
run(connection, "UPDATE ticks SET bid = -1")
run(connection, "DELETE FROM ticks WHERE id % 2")
connection.cache_flush()
say(); wait()
"""


@pytest.fixture
def open_day(day: Any) -> Any:
    day.create()
    day.fill(300)
    return day


def rows(path: Path) -> int:
    connection = apsw.Connection(f"file:{path}?immutable=1", flags=0x41)
    count: int = connection.execute("SELECT count(*) FROM ticks").get
    connection.close()
    return count


def test_a_sealed_day_is_one_file_and_its_facts_are_right(open_day: Any) -> None:
    sealed = open_day.seal()
    assert list(open_day.files()) == ["db/2026/01/ticks_2026-01-20.db"]
    assert sealed.sha256 == open_day.files()["db/2026/01/ticks_2026-01-20.db"]
    assert (sealed.ticks, sealed.symbols) == (300, 5)
    assert (sealed.first_tick_ms, sealed.last_tick_ms) == (1768867200000, 1768867200299)
    status = open_day.database.stat()
    assert sealed.size_bytes == sealed.signature.size_bytes == status.st_size
    assert (sealed.signature.mtime_ns, sealed.signature.inode) == (status.st_mtime_ns, status.st_ino)
    assert sealed.sqlite_version == apsw.SQLITE_VERSION_NUMBER


def test_the_table_that_was_counted_is_recorded(open_day: Any) -> None:
    assert open_day.seal().table == "ticks"


def test_sealing_twice_changes_nothing(open_day: Any) -> None:
    assert open_day.seal() == open_day.seal()


def test_every_committed_tick_of_a_killed_writer_is_in_the_sealed_file(
    open_day: Any, child: Callable[..., Any]
) -> None:
    writer = child(WRITER, open_day.database, 200)
    writer.kill()
    assert open_day.beside("-wal").stat().st_size > 0
    assert open_day.seal().ticks == 500
    assert not open_day.beside("-wal").exists()
    assert not open_day.beside("-shm").exists()
    assert rows(open_day.database) == 500


def test_an_idle_writer_is_named_and_nothing_changes(open_day: Any, child: Callable[..., Any]) -> None:
    writer = child(WRITER, open_day.database, 10)
    before = open_day.files()
    failure = open_day.failed(Step.SEAL)
    assert failure.trouble is Trouble.BUSY
    assert failure.retryable
    assert [holder.pid for holder in failure.holders] == [writer.pid]
    assert str(writer.pid) in failure.message
    assert failure.holders[0].name in failure.message
    assert open_day.files() == before
    assert writer.end() == 0
    assert open_day.seal().ticks == 310


def test_an_idle_reader_is_named_and_can_go_on_reading(open_day: Any, child: Callable[..., Any]) -> None:
    child(WRITER, open_day.database, 10).kill()
    reader = child(READER, open_day.database)
    wal, database = (open_day.beside("-wal").read_bytes(), open_day.database.read_bytes())
    failure = open_day.failed(Step.SEAL)
    assert failure.trouble is Trouble.BUSY
    assert [holder.pid for holder in failure.holders] == [reader.pid]
    assert open_day.beside("-wal").read_bytes() == wal
    assert open_day.database.read_bytes() == database
    open_day.fill(5, first=9000)  # a writer is not kept out either
    assert reader.end() == 0
    assert open_day.seal().ticks == 315


def test_a_writer_without_any_lock_is_noticed(open_day: Any, child: Callable[..., Any]) -> None:
    open_day.seal()  # rollback mode: an idle connection holds no lock at all
    writer = child(WRITER, open_day.database, 1)
    failure = open_day.failed(Step.SEAL)
    assert failure.trouble is Trouble.BUSY
    assert Holder(writer.pid, failure.holders[0].name) in failure.holders


def test_a_damaged_page_is_found_and_nothing_is_touched(
    open_day: Any, child: Callable[..., Any], flip: Callable[..., None]
) -> None:
    child(WRITER, open_day.database, 10).kill()
    with open_day.database.open("r+b") as file:
        file.seek(4096 * 2)  # the header of a b-tree page
        file.write(b"\xff" * 64)
    names = ("", "-wal")
    before = [open_day.beside(name).read_bytes() for name in names]
    failure = open_day.failed(Step.SEAL)
    assert failure.trouble is Trouble.CORRUPT
    assert not failure.retryable
    assert failure.problems
    assert [open_day.beside(name).read_bytes() for name in names] == before


def test_damage_without_a_wal_leaves_nothing_behind(open_day: Any) -> None:
    with open_day.database.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 64)
    before = open_day.files()
    assert open_day.failed(Step.SEAL).trouble is Trouble.CORRUPT
    assert open_day.files() == before


@pytest.mark.parametrize("content", [b"", b"SQLite format 3", b"#!/bin/sh\n" * 200])
def test_what_is_no_database_is_refused_and_kept(day: Any, content: bytes) -> None:
    day.database.parent.mkdir(parents=True)
    day.database.write_bytes(content)
    day.beside("-wal").write_bytes(b"perhaps the only copy")
    before = day.files()
    failure = day.failed(Step.SEAL)
    assert (failure.trouble, failure.retryable) == (Trouble.FAILED, False)
    assert failure.hint
    assert day.files() == before


def test_a_symbolic_link_is_refused(open_day: Any) -> None:
    elsewhere = open_day.root / "elsewhere.db"
    open_day.database.rename(elsewhere)
    open_day.database.symlink_to(elsewhere)
    assert not open_day.failed(Step.SEAL).retryable


def test_a_hot_rollback_journal_is_rolled_back(open_day: Any, child: Callable[..., Any]) -> None:
    child(HOT_JOURNAL, open_day.database).kill()
    assert open_day.beside("-journal").stat().st_size > 0
    assert open_day.seal().ticks == 300
    assert list(open_day.files()) == ["db/2026/01/ticks_2026-01-20.db"]


def test_a_persistent_journal_is_tidied_away(open_day: Any) -> None:
    connection = apsw.Connection(str(open_day.database))
    connection.pragma("journal_mode", "delete")
    connection.pragma("journal_mode", "persist")
    connection.execute("DELETE FROM ticks WHERE id = 1")
    connection.close()
    assert open_day.beside("-journal").stat().st_size > 0
    assert open_day.seal().ticks == 299
    assert list(open_day.files()) == ["db/2026/01/ticks_2026-01-20.db"]


def test_a_stray_shm_is_tidied_away(open_day: Any) -> None:
    open_day.beside("-shm").write_bytes(bytes(32768))
    assert open_day.seal().ticks == 300
    assert list(open_day.files()) == ["db/2026/01/ticks_2026-01-20.db"]


def test_a_wal_that_belongs_to_another_file_is_not_replayed(open_day: Any, child: Callable[..., Any]) -> None:
    open_day.seal()
    restored = open_day.database.read_bytes()
    connection = apsw.Connection(str(open_day.database))
    connection.pragma("journal_mode", "wal")
    connection.close()
    child(WRITER, open_day.database, 10).kill()
    open_day.database.write_bytes(restored)
    before = open_day.files()
    failure = open_day.failed(Step.SEAL)
    assert failure.trouble is Trouble.CONFLICT
    assert failure.hint.startswith("keep both")
    assert open_day.files() == before


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM ticks WHERE id = 50",
        "UPDATE ticks SET timestamp = timestamp + 1 WHERE id = 1",
        "UPDATE ticks SET timestamp = timestamp - 1 WHERE id = 300",
        "DROP TABLE ticks",
    ],
)
def test_a_day_that_lost_ticks_is_not_sealed_anew(open_day: Any, change: str) -> None:
    previous = open_day.seal()
    connection = apsw.Connection(str(open_day.database))
    connection.execute(change)
    connection.close()
    before = open_day.files()
    failure = open_day.failed(Step.SEAL, previous=previous)
    assert failure.trouble is Trouble.CONFLICT
    assert "lost ticks since it was sealed" in failure.message
    assert open_day.files() == before


def test_a_day_that_grew_is_sealed_anew(open_day: Any) -> None:
    previous = open_day.seal()
    open_day.fill(7, first=300)
    assert open_day.seal(previous=previous).ticks == 307


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("CREATE TABLE ticks (id INTEGER PRIMARY KEY, price REAL)", (2, 0, None, None)),
        ("CREATE TABLE other (id INTEGER PRIMARY KEY)", (0, 0, None, None)),
    ],
)
def test_a_foreign_schema_is_sealed_with_what_can_be_known(
    day: Any, table: str, expected: tuple[object, ...]
) -> None:
    day.database.parent.mkdir(parents=True)
    connection = apsw.Connection(str(day.database))
    connection.execute(table)
    name = table.split()[2]
    connection.execute(f"INSERT INTO {name} (id) VALUES (1), (2)")  # noqa: S608
    connection.close()
    sealed = day.seal()
    found = (sealed.ticks, sealed.symbols, sealed.first_tick_ms, sealed.last_tick_ms)
    assert found == expected


@pytest.mark.parametrize("moment", ["fsync_file", "sha256_of", "require_released"])
def test_a_write_after_the_ticks_were_counted_is_noticed(
    open_day: Any, monkeypatch: Any, moment: str
) -> None:
    calls = iter([False, True] if moment == "require_released" else [True])

    def write_meanwhile(path: Path, **_: object) -> str:
        if next(calls):
            open_day.fill(1, first=900)
        return ""

    with monkeypatch.context() as patch:
        patch.setattr(f"handlers.seal.{moment}", write_meanwhile)
        failure = open_day.failed(Step.SEAL)
    assert failure.trouble is Trouble.CHANGED
    assert failure.retryable
    assert open_day.seal().ticks == 301


def test_another_table_than_before_is_not_compared_with_it(day: Any) -> None:
    """Or a change of the settings would look as if ticks had been lost."""
    day.create()
    day.fill(10)
    before = day.seal()
    assert before.table == "ticks"
    options = structs.replace(day.job.options, table="quotes")
    assert day.done(Step.SEAL, previous=before, options=options).counted is False


class TestBesideACompressedCopyOfOthers:
    """Of a day that is not known yet: what is uncompressed may be a late writer's."""

    PLACES = ("compressed", "archived", "backup_compressed")

    def begin(self, day: Any, place: str, there: int, packed: int) -> None:
        day.create()
        day.fill(packed)
        with closing(apsw.Connection(str(day.database))) as connection:
            connection.pragma("journal_mode", "delete")
        path = getattr(day, place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zstandard.compress(day.database.read_bytes()))
        day.database.unlink()
        day.create()
        day.fill(there)

    @pytest.mark.parametrize("place", PLACES)
    def test_one_with_less_is_no_day(self, day: Any, place: str) -> None:
        self.begin(day, place, there=3, packed=60)
        before = day.files()
        failure = day.failed(Step.SEAL)
        assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
        assert str(getattr(day, place)) in failure.message
        assert "60 ticks" in failure.message
        assert "tickward merge ticks/2026-01-20" in failure.hint
        assert day.files() == before

    @pytest.mark.parametrize("there", [60, 90])
    def test_one_with_as_much_is_the_day(self, day: Any, there: int) -> None:
        self.begin(day, "compressed", there=there, packed=60)
        assert day.seal().ticks == there

    @pytest.mark.parametrize("content", [b"garbage", zstandard.compress(b"no database")])
    def test_one_that_nobody_can_read_does_not_count(self, day: Any, content: bytes) -> None:
        self.begin(day, "compressed", there=3, packed=60)
        day.compressed.write_bytes(content)
        assert day.seal().ticks == 3
        assert not day.temporaries()

    def test_of_a_day_that_was_sealed_before_it_is_not_asked(self, day: Any) -> None:
        self.begin(day, "compressed", there=3, packed=60)
        packed = day.compressed.read_bytes()
        day.compressed.unlink()
        day.seal()
        day.compressed.write_bytes(packed)
        assert day.done(Step.SEAL).ticks == 3
