"""Merging: what a late writer wrote beside a compressed day becomes part of the day; nothing is lost."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec import structs

from handlers import merge as merging
from handlers.contract import Archived, Merged, Step, Trouble
from handlers.database import opened_immutable
from handlers.files import link_new, publish_over, sha256_of, sweep_temporaries
from handlers.rows import quoted
from handlers.seekable import sha256_of_content

PLAIN = "CREATE TABLE ticks (id INTEGER PRIMARY KEY, symbol TEXT, timestamp INTEGER, bid REAL, ask REAL)"
UNIQUE = PLAIN.replace("ask REAL", "ask REAL, UNIQUE (symbol, timestamp)")

Row = tuple[Any, ...]

HOLDER = """
connection = connect(sys.argv[1])
run(connection, "PRAGMA journal_mode=wal")
run(connection, "INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES ('late', 1, 1.0, 2.0)")
say(); wait(); connection.close()
"""

KILLED_WRITER = """
connection = connect(sys.argv[1])
run(connection, "PRAGMA journal_mode=wal")
run(connection, "INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES ('late', 1, 1.0, 2.0)")
say(); os.kill(os.getpid(), signal.SIGKILL)
"""


def write(path: Path, *statements: str, rows: list[Row] | None = None, table: str = "ticks") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement)
    insert = f"INSERT INTO {quoted(table)} (symbol, timestamp, bid, ask) VALUES (?, ?, ?, ?)"  # noqa: S608
    with connection:
        connection.executemany(insert, rows or [])
    connection.close()


def ask(path: Path, sql: str) -> list[Row]:
    with opened_immutable(path) as connection:
        return list(connection.execute(sql))


def ticks(path: Path, table: str = "ticks") -> list[Row]:
    """The ticks in the order of their ids."""
    return ask(path, f"SELECT symbol, timestamp, bid, ask FROM {quoted(table)} ORDER BY rowid")  # noqa: S608


def compress_day(day: Any, *statements: str, rows: list[Row] | None = None, table: str = "ticks") -> None:
    """A compressed day made by these statements, and nothing in its root but the .zst."""
    write(day.database, *statements, rows=rows, table=table)
    day.job = structs.replace(day.job, step=Step.MERGE, options=structs.replace(day.job.options, table=table))
    sealed = day.seal()
    day.back_up()
    compressed = day.done(Step.COMPRESS)
    day.job = structs.replace(day.job, compressed=compressed, previous=sealed, backup_sha256=sealed.sha256)


def merge(day: Any) -> Merged:
    result: Merged = day.done(Step.MERGE)
    assert result.ticks_after == result.ticks_before + result.added
    assert result.ticks_late == result.added + result.already_there + result.rejected
    assert result.previous_sha256 == day.job.sealed.sha256
    assert not day.beside("-wal").exists()
    assert day.temporaries() == []
    return result


A, B, C, D = ("A", 1, 1.0, 2.0), ("A", 2, 1.5, 2.5), ("B", 1, None, 2.0), ("B", 2, 3.0, 4.0)
A_OTHERWISE = ("A", 1, 9.0, 9.5)

CASES = {
    "disjoint": (PLAIN, [A, B], [C, D], [A, B, C, D], (2, 0, 0)),
    "overlapping": (PLAIN, [A, B, C], [C, D, A], [A, B, C, D], (1, 2, 0)),
    "identical": (PLAIN, [A, B, C], [A, B, C], [A, B, C], (0, 3, 0)),
    "empty late file": (PLAIN, [A, B], [], [A, B], (0, 0, 0)),
    "empty day": (PLAIN, [], [B, A], [B, A], (2, 0, 0)),
    "duplicates in the late file": (PLAIN, [A], [B, B, B], [A, B, B, B], (3, 0, 0)),
    "the same moment with other prices": (PLAIN, [A], [A_OTHERWISE], [A, A_OTHERWISE], (1, 0, 0)),
    "letters of another case": (PLAIN, [A], [("a", 1, 1.0, 2.0)], [A, ("a", 1, 1.0, 2.0)], (1, 0, 0)),
    "in the order of arrival": (PLAIN, [A], [D, C, B], [A, D, C, B], (3, 0, 0)),
    "unique, disjoint": (UNIQUE, [A, B], [C, D], [A, B, C, D], (2, 0, 0)),
    "unique, overlapping": (UNIQUE, [A, B, C], [C, D, A], [A, B, C, D], (1, 2, 0)),
    "unique, conflicting": (UNIQUE, [A, B], [A_OTHERWISE, C, B], [A, B, C], (1, 1, 1)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_day_gets_the_ticks_that_it_does_not_have(day: Any, case: str) -> None:
    schema, before, late, after, counts = CASES[case]
    compress_day(day, schema, rows=before)
    write(day.database, schema, rows=late)
    digest = sha256_of(day.database)
    result = merge(day)
    assert (result.added, result.already_there, result.rejected) == counts
    assert ticks(day.database) == after
    assert result.late_sha256 == digest
    if result.rejected:
        assert result.set_aside == f"{day.database}.aside-{digest[:12]}"
        assert sha256_of(Path(result.set_aside)) == digest
    else:
        assert result.set_aside == ""


@pytest.mark.parametrize("case", CASES)
def test_merging_twice_finds_everything_there(day: Any, case: str) -> None:
    schema, before, late, after, _ = CASES[case]
    compress_day(day, schema, rows=before)
    write(day.database, schema, rows=late)
    first = merge(day)
    files = day.files()
    second = merge(day)
    assert (second.rejected, second.set_aside) == (0, "")
    assert second.ticks_after == first.ticks_after
    assert ticks(day.database) == after
    assert set(day.files()) == set(files)


def test_the_copies_of_the_day_are_not_touched(day: Any) -> None:
    compress_day(day, PLAIN, rows=[A])
    copies = day.files()
    write(day.database, PLAIN, rows=[B])
    merge(day)
    assert {name: day.files()[name] for name in copies} == copies


def test_afterwards_the_day_is_sealed_and_compressed_anew(day: Any) -> None:
    compress_day(day, PLAIN, rows=[A, B])
    write(day.database, PLAIN, rows=[C])
    merge(day)
    old = day.job.sealed
    day.job = structs.replace(day.job, sealed=None, compressed=None, previous=old, superseded=(old.sha256,))
    sealed = day.seal()
    day.back_up()
    day.done(Step.COMPRESS)
    assert sealed.ticks == 3
    for path in (day.compressed, day.backup_compressed):
        assert sha256_of_content(path) == sealed.sha256


@pytest.mark.parametrize("good", ["compressed", "archived", "backup_compressed"])
def test_any_good_copy_will_do(day: Any, flip: Callable[..., None], good: str) -> None:
    compress_day(day, PLAIN, rows=[A])
    if good == "archived":
        day.archived.parent.mkdir(parents=True)
        day.compressed.rename(day.archived)
        flip(day.backup_compressed, 100)
        packed = day.job.compressed
        archived = Archived(str(day.archived), packed.sha256, packed.compressed_sha256, 0, "rename")
        day.job = structs.replace(day.job, archived=archived)
    elif good == "backup_compressed":
        flip(day.compressed, 100)
    write(day.database, PLAIN, rows=[B])
    merge(day)
    assert ticks(day.database) == [A, B]


def test_without_a_good_copy_nothing_is_touched(day: Any, flip: Callable[..., None]) -> None:
    compress_day(day, PLAIN, rows=[A])
    flip(day.compressed, 100)
    flip(day.backup_compressed, 100)
    write(day.database, PLAIN, rows=[B])
    before = day.files()
    assert day.failed(Step.MERGE).trouble is Trouble.CORRUPT
    assert day.files() == before


def test_late_ticks_in_a_restored_database_are_added(day: Any) -> None:
    compress_day(day, PLAIN, rows=[A, B])
    write(day.database, PLAIN, rows=[A, B, C])
    result = merge(day)
    assert (result.added, result.already_there) == (1, 2)


def test_a_write_ahead_log_of_a_killed_writer_is_folded_in(day: Any, child: Callable[..., Any]) -> None:
    compress_day(day, PLAIN, rows=[A])
    write(day.database, PLAIN, rows=[B])
    child(KILLED_WRITER, day.database).process.wait()
    assert day.beside("-wal").stat().st_size > 0
    merge(day)
    assert ticks(day.database) == [A, B, LATE]
    assert not day.beside("-shm").exists()


def test_a_late_writer_that_is_still_there_is_waited_for(day: Any, child: Callable[..., Any]) -> None:
    compress_day(day, PLAIN, rows=[A])
    write(day.database, PLAIN, rows=[B])
    writer = child(HOLDER, day.database)
    failure = day.failed(Step.MERGE)
    assert (failure.trouble, failure.retryable) == (Trouble.BUSY, True)
    assert [holder.pid for holder in failure.holders] == [writer.pid]
    assert writer.end() == 0
    merge(day)
    assert len(ticks(day.database)) == 3


LATE = ("late", 1, 1.0, 2.0)

IDLE = """
connection = connect(sys.argv[1])
run(connection, "SELECT count(*) FROM ticks")
say(); wait()
run(connection, "INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES ('late', 1, 1.0, 2.0)")
connection.close()
"""

WRITE_AND_LEAVE = """
connection = connect(sys.argv[1])
run(connection, "INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES ('late', 1, 1.0, 2.0)")
connection.close(); say()
"""


@pytest.mark.parametrize("refused", [[], [A_OTHERWISE]])
def test_a_tick_that_comes_while_it_is_merged_is_merged_next_time(
    day: Any, child: Callable[..., Any], monkeypatch: Any, refused: list[Row]
) -> None:
    compress_day(day, UNIQUE, rows=[A])
    write(day.database, UNIQUE, rows=[B, *refused])
    before = set(day.files())
    with monkeypatch.context() as patch:
        real = merging._combine

        def combine(temp: Path, late: Path, table: str) -> Any:
            child(WRITE_AND_LEAVE, late)
            return real(temp, late, table)

        patch.setattr("handlers.merge._combine", combine)
        failure = day.failed(Step.MERGE)
    assert (failure.trouble, failure.retryable) == (Trouble.CHANGED, True)
    assert set(day.files()) == before
    merge(day)
    assert ticks(day.database) == [A, B, LATE]


@pytest.mark.parametrize("stays", [True, False])
def test_a_writer_that_opened_it_at_the_last_moment_gets_its_file_back(
    day: Any, child: Callable[..., Any], monkeypatch: Any, stays: bool
) -> None:
    compress_day(day, PLAIN, rows=[A])
    write(day.database, PLAIN, rows=[B])
    writers = []

    def publish(temp: Path, final: Path) -> None:
        writers.append(child(IDLE if stays else WRITE_AND_LEAVE, final))
        publish_over(temp, final)

    with monkeypatch.context() as patch:
        patch.setattr("handlers.takeover.publish_over", publish)
        failure = day.failed(Step.MERGE)
    assert failure.trouble is Trouble.BUSY
    if stays:
        assert [holder.pid for holder in failure.holders] == [writers[0].pid]
        assert writers[0].end() == 0
    assert ticks(day.database) == [B, LATE]
    merge(day)
    assert ticks(day.database) == [A, B, LATE]


def test_writers_of_both_files_keep_what_they_wrote(
    day: Any, child: Callable[..., Any], monkeypatch: Any
) -> None:
    compress_day(day, PLAIN, rows=[A])
    write(day.database, PLAIN, rows=[B])

    def wait(_: float) -> None:
        child(WRITE_AND_LEAVE, next(day.database.parent.glob(".*.replaced")))
        child(WRITE_AND_LEAVE, day.database)

    monkeypatch.setattr("handlers.takeover.wait", wait)
    failure = day.failed(Step.MERGE)
    assert failure.trouble is Trouble.CONFLICT
    kept = next(day.database.parent.glob("*.aside-inode-*"))
    assert str(kept) in failure.hint
    assert ticks(kept) == [B, LATE]
    assert ticks(day.database) == [A, B, LATE]


def test_the_last_look_waits_as_long_as_it_is_told(day: Any, monkeypatch: Any) -> None:
    compress_day(day, PLAIN)
    write(day.database, PLAIN, rows=[B])
    waited: list[float] = []
    monkeypatch.setattr("handlers.takeover.wait", waited.append)
    merge(day)
    assert waited == [day.job.options.quiet_seconds]


@pytest.mark.parametrize(
    "facts", [{"sealed": None}, {"compressed": None}, {"sealed": None, "compressed": None}]
)
def test_a_day_that_is_not_compressed_has_nothing_to_merge(day: Any, facts: dict[str, None]) -> None:
    compress_day(day, PLAIN)
    write(day.database, PLAIN, rows=[B])
    failure = day.failed(Step.MERGE, **facts)
    assert "nothing to merge" in failure.message
    assert not failure.retryable


def test_without_a_late_file_there_is_nothing_to_merge(day: Any) -> None:
    compress_day(day, PLAIN)
    assert "nothing to merge" in day.failed(Step.MERGE).message


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(4000)])
def test_a_damaged_late_file_is_left_as_it_is(day: Any, content: bytes) -> None:
    compress_day(day, PLAIN, rows=[A])
    day.database.write_bytes(content)
    before = day.files()
    assert not day.failed(Step.MERGE).retryable
    assert day.files() == before


def test_a_late_file_that_does_not_pass_the_check_is_left_as_it_is(
    day: Any, flip: Callable[..., None]
) -> None:
    compress_day(day, PLAIN, rows=[A])
    write(day.database, PLAIN, rows=[B])
    flip(day.database, 4096)  # the type of the first page of ticks
    before = day.files()
    failure = day.failed(Step.MERGE)
    assert (failure.trouble, failure.retryable) == (Trouble.CORRUPT, False)
    assert day.files() == before


def test_a_late_file_whose_retirement_was_interrupted_is_merged(day: Any) -> None:
    compress_day(day, PLAIN, rows=[A])
    write(day.retired, PLAIN, rows=[B])
    merge(day)
    assert ticks(day.database) == [A, B]
    assert not day.retired.exists()


def test_a_merged_file_that_does_not_pass_the_check_is_not_published(
    day: Any, flip: Callable[..., None], monkeypatch: Any
) -> None:
    compress_day(day, PLAIN, rows=[A])
    write(day.database, PLAIN, rows=[B])
    before = day.files()
    real = merging._proven

    def prove(temp: Path, *rest: Any) -> int:
        flip(temp, 4096)
        return real(temp, *rest)

    monkeypatch.setattr("handlers.merge._proven", prove)
    assert "not what it should be" in day.failed(Step.MERGE).message
    assert day.files() == before


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM ticks WHERE bid = 3.0", "INSERT INTO ticks DEFAULT VALUES", "UPDATE ticks SET bid = 7"],
)
def test_a_merged_file_in_which_a_tick_is_missing_is_not_published(
    day: Any, monkeypatch: Any, statement: str
) -> None:
    compress_day(day, PLAIN, rows=[A])
    write(day.database, PLAIN, rows=[B, D])
    before = day.files()
    real = merging._proven

    def prove(temp: Path, *rest: Any) -> int:
        write(temp, statement)
        return real(temp, *rest)

    monkeypatch.setattr("handlers.merge._proven", prove)
    assert "not what it should be" in day.failed(Step.MERGE).message
    assert day.files() == before


def test_a_tick_that_comes_when_all_is_proven_is_not_replaced(
    day: Any, child: Callable[..., Any], monkeypatch: Any
) -> None:
    compress_day(day, PLAIN, rows=[A])
    write(day.database, PLAIN, rows=[B])

    def link(path: Path, name: Path) -> None:
        child(WRITE_AND_LEAVE, path)
        link_new(path, name)

    monkeypatch.setattr("handlers.takeover.link_new", link)
    assert day.failed(Step.MERGE).trouble is Trouble.CHANGED
    assert ticks(day.database) == [B, LATE]


class TestColumns:
    """Tables that are not alike."""

    def test_a_column_that_only_the_day_has_keeps_its_default(self, day: Any) -> None:
        wide = PLAIN.replace("ask REAL", "ask REAL, source TEXT DEFAULT 'x'")
        compress_day(day, wide, rows=[A])
        write(day.database, PLAIN, rows=[B, A])
        assert merge(day).added == 1
        assert ask(day.database, "SELECT source FROM ticks") == [("x",), ("x",)]

    def test_a_late_column_without_values_does_not_matter(self, day: Any) -> None:
        compress_day(day, PLAIN, rows=[A])
        write(day.database, PLAIN.replace("ask REAL", "ask REAL, source TEXT"), rows=[B])
        assert merge(day).added == 1

    def test_a_late_column_with_values_is_for_a_person(self, day: Any) -> None:
        compress_day(day, PLAIN, rows=[A])
        wide = PLAIN.replace("ask REAL", "ask REAL, source TEXT DEFAULT 'x'")
        write(day.database, wide, rows=[B])
        before = day.files()
        failure = day.failed(Step.MERGE)
        assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
        assert "source" in failure.message
        assert day.files() == before

    def test_a_value_for_a_computed_column_is_for_a_person(self, day: Any) -> None:
        compress_day(day, PLAIN.replace("ask REAL", "ask REAL, spread AS (ask - bid)"), rows=[A])
        late = PLAIN.replace("ask REAL", "ask REAL, spread REAL DEFAULT 7")
        write(day.database, late, rows=[B])
        assert day.failed(Step.MERGE).trouble is Trouble.CONFLICT

    def test_computed_columns_are_computed(self, day: Any) -> None:
        computed = PLAIN.replace("ask REAL", "ask REAL, spread AS (ask - bid) STORED")
        compress_day(day, computed, rows=[A])
        write(day.database, computed, rows=[B, A])
        assert merge(day).added == 1
        assert ask(day.database, "SELECT spread FROM ticks") == [(1.0,), (1.0,)]

    def test_ids_never_decide(self, day: Any) -> None:
        compress_day(day, PLAIN, rows=[A, B])
        late = [
            "INSERT INTO ticks VALUES (77, 'A', 1, 1.0, 2.0)",
            "INSERT INTO ticks VALUES (1, 'Z', 9, 1.0, 2.0)",
        ]
        write(day.database, PLAIN, *late)
        result = merge(day)
        assert (result.added, result.already_there) == (1, 1)
        assert ask(day.database, "SELECT id, symbol FROM ticks") == [(1, "A"), (2, "A"), (3, "Z")]

    def test_a_column_called_rowid_is_a_column(self, day: Any) -> None:
        table = "CREATE TABLE ticks (symbol TEXT, timestamp INTEGER, bid REAL, ask REAL, rowid TEXT)"
        compress_day(day, table, rows=[A])
        write(day.database, table, rows=[D, C, B])
        merge(day)
        assert ask(day.database, "SELECT symbol, timestamp, bid, ask FROM ticks") == [A, D, C, B]

    @pytest.mark.parametrize("ending", ["", " STRICT"])
    def test_a_table_without_row_numbers(self, day: Any, ending: str) -> None:
        table = (
            "CREATE TABLE ticks (symbol TEXT, timestamp INTEGER, bid REAL, ask REAL,"
            f" PRIMARY KEY (symbol, timestamp)) WITHOUT ROWID{ending and ', STRICT'}"
        )
        compress_day(day, table, rows=[A, B])
        write(day.database, table, rows=[D, B, A_OTHERWISE])
        result = merge(day)
        assert (result.added, result.already_there, result.rejected) == (1, 1, 1)

    @pytest.mark.parametrize(
        ("schema", "after", "counts"),
        [(UNIQUE, [A, B], (1, 1, 0)), (PLAIN, [A, A, B], (2, 0, 0))],
        ids=["refused by a key", "taken as another one"],
    )
    def test_a_tick_sent_again_differs_only_in_when_it_was_written(
        self, day: Any, schema: str, after: list[Row], counts: tuple[int, int, int]
    ) -> None:
        stamped = schema.replace("ask REAL", "ask REAL, created_at TEXT DEFAULT (hex(randomblob(8)))")
        compress_day(day, stamped, rows=[A])
        write(day.database, stamped, rows=[A, B])
        result = merge(day)
        assert (result.added, result.already_there, result.rejected) == counts
        assert ticks(day.database) == after
        assert result.set_aside == ""

    def test_the_same_row_twice_is_no_refusal(self, day: Any) -> None:
        compress_day(day, UNIQUE, rows=[A])
        write(day.database, PLAIN, rows=[B, B])
        result = merge(day)
        assert (result.added, result.already_there, result.rejected) == (1, 1, 0)
        assert result.set_aside == ""

    def test_a_row_that_a_check_refuses_is_kept_beside(self, day: Any) -> None:
        compress_day(day, PLAIN.replace("bid REAL", "bid REAL CHECK (bid < 3)"), rows=[A])
        write(day.database, PLAIN, rows=[B, D])
        result = merge(day)
        assert (result.added, result.rejected) == (1, 1)
        assert ticks(Path(result.set_aside)) == [B, D]

    def test_types_that_a_strict_table_refuses_are_for_a_person(self, day: Any) -> None:
        compress_day(day, PLAIN + " STRICT", rows=[A])
        write(day.database, PLAIN, rows=[("A", "yesterday", 1.0, 2.0)])
        before = day.files()
        assert day.failed(Step.MERGE).trouble is Trouble.CONFLICT
        assert day.files() == before

    def test_a_column_that_takes_cases_for_the_same_hides_nothing(self, day: Any) -> None:
        table = UNIQUE.replace("symbol TEXT", "symbol TEXT COLLATE NOCASE")
        compress_day(day, table, rows=[A])
        write(day.database, table, rows=[("a", 1, 1.0, 2.0)])
        result = merge(day)
        assert (result.already_there, result.rejected) == (0, 1)
        assert ticks(Path(result.set_aside)) == [("a", 1, 1.0, 2.0)]

    def test_a_value_in_another_case_is_another_value(self, day: Any) -> None:
        table = UNIQUE.replace("bid REAL", "bid TEXT COLLATE NOCASE")
        compress_day(day, table, rows=[("A", 1, "high", 2.0)])
        write(day.database, table, rows=[("A", 1, "HIGH", 2.0)])
        assert merge(day).rejected == 1

    def test_an_index_of_the_late_file_does_not_change_the_order(self, day: Any) -> None:
        compress_day(day, PLAIN, rows=[A])
        wide = PLAIN.replace("ask REAL", "ask REAL, note TEXT, other TEXT, third TEXT")
        index = "CREATE INDEX all_that_is_compared ON ticks (symbol, timestamp, bid, ask)"
        write(day.database, wide, index, rows=[D, C, B])
        merge(day)
        assert ticks(day.database) == [A, D, C, B]

    def test_column_and_table_names_in_another_case_are_the_same(self, day: Any) -> None:
        compress_day(day, PLAIN, rows=[A])
        write(day.database, PLAIN.replace("ticks", "TICKS").replace("symbol", "Symbol"), rows=[A, B])
        assert merge(day).added == 1

    @pytest.mark.parametrize("table", ["тики", "select", "日 本", "ti\"ck's", "fresh", "there"])
    def test_tables_whose_name_needs_quoting(self, day: Any, table: str) -> None:
        schema = PLAIN.replace("ticks", quoted(table))
        compress_day(day, schema, rows=[A], table=table)
        write(day.database, schema, rows=[B, A], table=table)
        result = merge(day)
        assert (result.added, result.already_there) == (1, 1)
        assert ticks(day.database, table) == [A, B]

    def test_a_trigger_that_removes_ticks_is_not_let_through(self, day: Any) -> None:
        trigger = (
            "CREATE TRIGGER keep AFTER INSERT ON ticks WHEN new.id > 2"
            " BEGIN DELETE FROM ticks WHERE id < new.id - 1; END"
        )
        compress_day(day, PLAIN, trigger, rows=[A, B])
        write(day.database, PLAIN, rows=[C, D])
        before = day.files()
        assert "not what it should be" in day.failed(Step.MERGE).message
        assert day.files() == before


SYMBOLS = "CREATE TABLE symbols (symbol TEXT PRIMARY KEY, kind TEXT, made INTEGER DEFAULT (random()))"


class TestOtherTables:
    @pytest.mark.parametrize(
        ("day_has", "late_has", "aside"),
        [
            ([], [SYMBOLS], False),
            ([SYMBOLS], [SYMBOLS, "INSERT INTO symbols (symbol) VALUES ('A')"], False),
            (
                [SYMBOLS, "INSERT INTO symbols (symbol) VALUES ('A')"],
                [SYMBOLS, "INSERT INTO symbols (symbol) VALUES ('A')"],
                False,
            ),
            (
                [SYMBOLS, "INSERT INTO symbols (symbol) VALUES ('A')"],
                [SYMBOLS, "INSERT INTO symbols (symbol, kind) VALUES ('A', 'fx')"],
                True,
            ),
            ([], [SYMBOLS, "INSERT INTO symbols (symbol) VALUES ('A')"], True),
            (
                ["CREATE TABLE symbols (symbol)"],
                [SYMBOLS, "INSERT INTO symbols (symbol) VALUES ('A')"],
                True,
            ),
            (
                ["CREATE TABLE lps (id INTEGER PRIMARY KEY, lp)", "INSERT INTO lps VALUES (1, 'x')"],
                ["CREATE TABLE lps (id INTEGER PRIMARY KEY, lp)", "INSERT INTO lps VALUES (1, 'y')"],
                True,
            ),
            (
                ["CREATE TABLE lps (id INTEGER PRIMARY KEY, lp)", "INSERT INTO lps VALUES (1, 'x')"],
                ["CREATE TABLE lps (id INTEGER PRIMARY KEY, lp)", "INSERT INTO lps VALUES (2, 'y')"],
                False,
            ),
            ([], ["CREATE VIRTUAL TABLE texts USING fts5(x)"], True),
        ],
    )
    def test_what_fits_is_added_and_what_does_not_is_kept_beside(
        self, day: Any, day_has: list[str], late_has: list[str], aside: bool
    ) -> None:
        compress_day(day, PLAIN, *day_has, rows=[A])
        write(day.database, PLAIN, *late_has, rows=[B])
        digest = sha256_of(day.database)
        result = merge(day)
        assert ticks(day.database) == [A, B]
        assert result.rejected == 0
        assert bool(result.set_aside) == aside
        if aside:
            assert sha256_of(Path(result.set_aside)) == digest
        elif day_has and len(late_has) > 1:
            name = "lps" if "lps" in late_has[0] else "symbols"
            assert len(ask(day.database, f"SELECT * FROM {name}")) >= 1  # noqa: S608

    def test_a_late_file_without_the_table_is_merged_if_it_is_empty(self, day: Any) -> None:
        compress_day(day, PLAIN, rows=[A])
        write(day.database, SYMBOLS)
        result = merge(day)
        assert (result.ticks_late, result.ticks_after) == (0, 1)
        assert ticks(day.database) == [A]

    def test_a_late_file_with_ticks_in_a_table_of_another_name_is_for_a_person(self, day: Any) -> None:
        compress_day(day, PLAIN, rows=[A])
        write(day.database, PLAIN.replace("ticks", "quotes"), "INSERT INTO quotes (bid) VALUES (1)")
        before = day.files()
        failure = day.failed(Step.MERGE)
        assert failure.trouble is Trouble.CONFLICT
        assert "quotes" in failure.message
        assert day.files() == before

    def test_a_late_file_with_rows_that_only_a_module_can_read_is_for_a_person(self, day: Any) -> None:
        compress_day(day, PLAIN, rows=[A])
        write(day.database, "CREATE VIRTUAL TABLE texts USING fts5(x)")
        assert "virtual" in day.failed(Step.MERGE).message

    def test_a_day_without_the_table_takes_no_ticks(self, day: Any) -> None:
        compress_day(day, SYMBOLS)
        write(day.database, PLAIN, rows=[B])
        assert day.failed(Step.MERGE).trouble is Trouble.CONFLICT


def test_a_database_in_another_encoding_is_for_a_person(day: Any) -> None:
    compress_day(day, PLAIN, rows=[A])
    write(day.database, "PRAGMA encoding = 'UTF-16'", PLAIN, rows=[B])
    before = day.files()
    assert day.failed(Step.MERGE).trouble is Trouble.CONFLICT
    assert day.files() == before


def test_who_could_use_the_late_file_can_use_the_day(day: Any) -> None:
    compress_day(day, PLAIN, rows=[A])
    write(day.database, PLAIN, rows=[B])
    day.database.chmod(0o664)
    merge(day)
    assert day.database.stat().st_mode & 0o777 == 0o664


def test_a_full_disk_loses_nothing(day: Any, with_full_disk: Callable[..., Any]) -> None:
    compress_day(day, PLAIN, rows=[A] * 1000)
    write(day.database, PLAIN, rows=[B])
    before = day.files()
    failure = with_full_disk(day.job, 9_000)
    assert failure.retryable
    assert "free space on" in failure.hint
    assert day.files() == before


@pytest.mark.parametrize("late", [[B, C], [A_OTHERWISE, C]])
def test_killed_anywhere_it_is_simply_done_again(
    day: Any, kill_at: Callable[..., bool], late: list[Row]
) -> None:
    compress_day(day, UNIQUE, rows=[A])
    copies = day.files()
    write(day.database, UNIQUE, rows=late)
    content = day.database.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    number = 0
    while kill_at(day.job, number):
        files = day.files()
        assert {name: files.get(name) for name in copies} == copies, f"killed before call {number}"
        assert set(ticks(day.database)) >= {each for each in late if each != A_OTHERWISE}
        if ticks(day.database) != late and A_OTHERWISE in late:
            assert digest in [value for name, value in files.items() if ".aside-" in name]
        merge_again(day, late)
        for name in set(day.files()) - set(copies):
            (day.root / name).unlink()
        day.database.write_bytes(content)
        number += 1
    assert number > 12
    assert C in ticks(day.database)


def merge_again(day: Any, late: list[Row]) -> None:
    sweep_temporaries(day.root)
    merge(day)
    assert ticks(day.database) == [A, *(each for each in late if each != A_OTHERWISE)]
    asides = list(day.database.parent.glob("*.aside-*"))
    assert len(asides) == (A_OTHERWISE in late)


@pytest.mark.timeout(60)  # comparing every row with every other would be 8 * 10**8 comparisons
@pytest.mark.parametrize(
    "schema",
    [
        [UNIQUE],
        [PLAIN],
        [PLAIN, "CREATE INDEX poor ON ticks (ask)"],
        [PLAIN, "CREATE UNIQUE INDEX partial ON ticks (symbol, timestamp) WHERE bid < 0"],
        [PLAIN, "CREATE UNIQUE INDEX other ON ticks (symbol COLLATE NOCASE, timestamp)"],
    ],
    ids=["unique", "no index", "poor index", "partial index", "index of another collation"],
)
def test_a_large_late_file_is_merged_in_seconds(day: Any, schema: list[str]) -> None:
    count = 20_000
    fill = """
        WITH RECURSIVE n(i) AS (SELECT {0} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {1})
        INSERT INTO ticks (symbol, timestamp, bid, ask) SELECT 'S' || i / 5, i, i, 1 FROM n
    """
    compress_day(day, *schema, fill.format(0, count))
    write(day.database, *schema, fill.format(0, 2 * count))
    result = merge(day)
    assert (result.added, result.already_there) == (count, count)
