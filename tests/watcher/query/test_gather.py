"""Many days, each in a process of its own: in order, and none lost in silence."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from handlers.vfs import settle
from tests.watcher.query.tree import BEGIN, make_day, pack, spoil_checksum
from watcher.days import Found
from watcher.errors import ConfigError, TickwardError
from watcher.query import answer as answering
from watcher.query.answer import Task, answer
from watcher.query.gather import Find, Gathered, Watch, checked, gathered
from watcher.query.spool import Row

COUNT = "SELECT symbol, count(*) AS n FROM ticks GROUP BY symbol ORDER BY symbol"
FOR_EVER = "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT count(*) FROM a"


def mend(each: Found) -> str:
    return f"what mends {each.key}"


def day(folder: Path, number: int, packed: bool = False) -> Found:
    when = BEGIN + timedelta(number)
    path = make_day(folder / f"ticks_{when}.db", when, ticks=30 + 3 * number)
    return Found(f"ticks/{when}", "ticks", when, pack(path) if packed else path, "hot")


def ask(
    found: list[Found],
    sql: str,
    folder: Path,
    *,
    find: Find = lambda each: each,
    watch: Watch = lambda *_: None,
    keep_rows: int | None = None,
) -> tuple[list[Row], Gathered]:
    (folder / "rows").mkdir()
    into = Gathered()
    rows = gathered(
        found,
        checked(found, sql, mend),
        folder / "rows",
        into,
        jobs=2,
        find=find,
        mend=mend,
        watch=watch,
        keep_rows=keep_rows,
    )
    taken = list(rows)
    assert list((folder / "rows").iterdir()) == []
    return taken, into


def test_days_in_order_whatever_they_are_kept_in(tmp_path: Path) -> None:
    found = [day(tmp_path, number, packed=number % 2 == 0) for number in range(5)]
    rows, into = ask(found, COUNT, tmp_path)
    assert rows == [
        (f"2026-01-{15 + number}", symbol, 10 + number)
        for number in range(5)
        for symbol in ("EURUSD", "GBPUSD", "XAUUSD")
    ]
    assert (into.answered, into.rows, into.failed) == (5, 15, [])


def test_only_so_many_rows_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    rows, into = ask([day(tmp_path, 0), day(tmp_path, 1)], "SELECT id FROM ticks", tmp_path, keep_rows=4)
    assert (len(rows), into.rows) == (8, 63)


def test_what_fails_is_named_and_the_others_answer(tmp_path: Path) -> None:
    found = [day(tmp_path, number, packed=True) for number in range(4)]
    damaged, other = (found[index].path for index in (1, 2))
    assert damaged is not None
    assert other is not None
    data = bytearray(damaged.read_bytes())
    data[200] ^= 0xFF
    damaged.write_bytes(data)
    plain = make_day(tmp_path / "other.db", BEGIN)
    with apsw.Connection(str(plain)) as connection:
        connection.execute("ALTER TABLE ticks ADD COLUMN venue")
    other.unlink()
    pack(plain, other)
    rows, into = ask(found, "SELECT * FROM ticks", tmp_path)
    assert {row[0] for row in rows} == {"2026-01-15", "2026-01-18"}
    assert [each.key for each in into.failed] == ["ticks/2026-01-16", "ticks/2026-01-17"]
    assert "damaged frame" in into.failed[0].why
    assert into.failed[0].why.endswith("; what mends ticks/2026-01-16")
    assert "what mends" not in into.failed[1].why
    assert "venue, but ticks/2026-01-15 gives" in into.failed[1].why


def test_rows_of_a_frame_with_a_wrong_checksum_are_no_answer(tmp_path: Path) -> None:
    found = day(tmp_path, 0, packed=True)
    assert found.path is not None
    spoil_checksum(found.path)
    got = answer(Task(found.path, COUNT, tmp_path / "rows"))
    assert "damaged frame" in got.error
    assert got.damaged
    assert not got.moved


def test_a_statement_that_fails_while_it_runs(tmp_path: Path) -> None:
    rows, into = ask([day(tmp_path, 0), day(tmp_path, 1)], "SELECT abs(-9223372036854775808)", tmp_path)
    assert rows == []
    assert {each.why for each in into.failed} == {"integer overflow"}


def test_a_text_that_is_none(tmp_path: Path) -> None:
    _, into = ask([day(tmp_path, 0)], "SELECT CAST(x'ff' AS TEXT)", tmp_path)
    assert "not UTF-8" in into.failed[0].why


def test_a_wrong_statement_is_said_once_and_nothing_is_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ticks/2026-01-15: no such column: sprad"):
        ask([day(tmp_path, 0), day(tmp_path, 1)], "SELECT sprad FROM ticks", tmp_path)


def test_where_nothing_can_be_opened_it_says_so(tmp_path: Path) -> None:
    found = day(tmp_path, 0)
    assert found.path is not None
    found.path.write_bytes(b"no database at all" * 100)
    said = "none of the days can be opened; ticks/2026-01-15: .*; what mends ticks/2026-01-15"
    with pytest.raises(TickwardError, match=said):
        checked([found], COUNT, mend)


def test_a_worker_that_is_killed_is_a_day_without_an_answer(tmp_path: Path) -> None:
    def kill(_done: int, _rows: int) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    rows, into = ask([day(tmp_path, 0), day(tmp_path, 1)], FOR_EVER, tmp_path, watch=kill)
    assert rows == []
    assert len(into.failed) == 2
    assert "its worker ended" in into.failed[0].why
    assert multiprocessing.active_children() == []


def test_whoever_stops_taking_rows_ends_the_workers(tmp_path: Path) -> None:
    found = [day(tmp_path, number) for number in range(3)]
    sql = f"SELECT CASE WHEN (SELECT count(*) FROM ticks) = 30 THEN 0 ELSE ({FOR_EVER}) END"  # noqa: S608
    rows = gathered(
        found,
        checked(found, sql, mend),
        tmp_path,
        Gathered(),
        jobs=2,
        find=lambda each: each,
        mend=mend,
        watch=lambda *_: None,
    )
    assert next(rows) == ("2026-01-15", 0)
    assert multiprocessing.active_children()
    rows.close()
    assert multiprocessing.active_children() == []


class TestADayThatChangesMeanwhile:
    def test_is_asked_once_more_where_it_is_then(self, tmp_path: Path) -> None:
        found, later = day(tmp_path, 0), day(tmp_path, 1)
        assert found.path is not None

        def look(each: Found) -> Found:
            packed = tmp_path / "packed.zst"
            return Found(each.key, each.stream, each.day, packed, "warm")

        check = checked([found], COUNT, mend)
        pack(found.path, tmp_path / "packed.zst")
        into, rows = Gathered(), tmp_path / "rows"
        rows.mkdir()
        taken = list(
            gathered([found, later], check, rows, into, jobs=2, find=look, mend=mend, watch=lambda *_: None)
        )
        assert (len(taken), into.failed) == (6, [])

    @pytest.mark.parametrize("beside", ["", "-wal", "-journal"])
    def test_has_no_answer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: str) -> None:
        path = day(tmp_path, 0).path
        assert path is not None
        change = late_ticks(path) if not beside else path.with_name(path.name + beside).touch
        monkeypatch.setattr(answering, "settle", lambda connection: (change(), settle(connection)))
        got = answer(Task(path, COUNT, tmp_path / "rows"))
        assert got.moved
        assert f"{path} was written to while it was read" in got.error

    def test_that_is_another_file_by_now_has_none(self, tmp_path: Path) -> None:
        path = day(tmp_path, 0).path
        assert path is not None
        got = answer(Task(path, COUNT, tmp_path / "rows", inode=path.stat().st_ino + 1))
        assert got.moved
        assert "another file by now" in got.error

    def test_that_stays_as_it_is_has_one(self, tmp_path: Path) -> None:
        path = day(tmp_path, 0).path
        assert path is not None
        assert answer(Task(path, COUNT, tmp_path / "rows")).count == 3


def late_ticks(path: Path) -> Callable[[], None]:
    def write() -> None:
        connection = apsw.Connection(str(path))
        connection.execute("DELETE FROM ticks WHERE id = 1")
        connection.close()

    return write


def test_a_day_that_is_being_written_is_read_as_its_writer_left_it(tmp_path: Path) -> None:
    path = day(tmp_path, 0).path
    assert path is not None
    writer = apsw.Connection(str(path))
    writer.pragma("journal_mode", "wal")
    writer.execute("DELETE FROM ticks WHERE id > 3")
    with writer:
        writer.execute("DELETE FROM ticks")
        got = answer(Task(path, "SELECT id FROM ticks", tmp_path / "rows"))
    writer.close()
    assert (got.error, got.count) == ("", 3)
