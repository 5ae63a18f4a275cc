"""Retiring: a late writer keeps its file, whenever it comes."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import pytest
import zstandard
from msgspec import structs

from handlers.contract import Done, Expiry, Step, Trouble
from handlers.files import is_temporary
from handlers.retire import is_retired, retired_path
from handlers.seekable import sha256_of_content
from handlers.table import run
from tests.handlers.aged import Snapshot, whole_copies

HOLDER = """
connection = connect(sys.argv[1])
run(connection, "SELECT count(*) FROM ticks")
say(); wait()
run(connection, "INSERT INTO ticks (symbol, timestamp) VALUES ('late', 1)")
connection.close()
"""

INSERT = """
connection = connect(sys.argv[1])
run(connection, "INSERT INTO ticks (symbol, timestamp) VALUES ('late', 1)")
connection.close(); say()
"""

NEW_DATABASE = """
connection = apsw.Connection(sys.argv[1])
run(connection, "CREATE TABLE ticks (symbol, timestamp)")
run(connection, "INSERT INTO ticks (symbol, timestamp) VALUES ('late', 1)")
connection.close(); say()
"""

OPEN_DATABASE = """
connection = apsw.Connection(sys.argv[1])
run(connection, "PRAGMA journal_mode = wal")
run(connection, "CREATE TABLE ticks (symbol, timestamp)")
run(connection, "INSERT INTO ticks (symbol, timestamp) VALUES ('late', 1)")
say(); wait(); connection.close()
"""

READER = """
connection = connect(sys.argv[1], apsw.SQLITE_OPEN_READONLY)
run(connection, "SELECT count(*) FROM ticks")
say(); wait(); connection.close()
"""


@pytest.fixture
def ready(day: Any) -> Any:
    day.backed_up_day()
    return day


def test_the_retired_name_is_neither_temporary_nor_a_database(day: Any) -> None:
    assert retired_path(day.database) == day.retired
    assert is_retired(day.retired.name)
    assert not is_retired(day.database.name)
    assert not is_temporary(day.retired.name)


def test_an_idle_writer_keeps_the_original(ready: Any, child: Callable[..., Any]) -> None:
    writer = child(HOLDER, ready.database)
    failure = ready.failed(Step.COMPRESS)
    assert failure.trouble is Trouble.BUSY
    assert [holder.pid for holder in failure.holders] == [writer.pid]
    assert writer.end() == 0
    assert ready.failed(Step.COMPRESS).trouble is not Trouble.BUSY
    assert ready.seal(previous=ready.job.sealed).ticks == 1001


def test_a_writer_that_opened_at_the_last_moment_gets_its_file_back(
    ready: Any, child: Callable[..., Any], monkeypatch: Any
) -> None:
    monkeypatch.setattr("handlers.retire.require_released", lambda _: None)
    writer = child(HOLDER, ready.database)
    failure = ready.failed(Step.COMPRESS)
    assert failure.trouble is Trouble.BUSY
    assert [holder.pid for holder in failure.holders] == [writer.pid]
    assert ready.database.exists()
    assert not ready.retired.exists()
    assert writer.end() == 0
    assert ready.seal(previous=ready.job.sealed).ticks == 1001


def test_a_writer_that_came_and_left_meanwhile_is_noticed(
    ready: Any, child: Callable[..., Any], monkeypatch: Any
) -> None:
    monkeypatch.setattr("handlers.retire.wait", lambda _: child(INSERT, ready.retired))
    assert ready.failed(Step.COMPRESS).trouble is Trouble.CHANGED
    assert not ready.retired.exists()
    assert ready.seal(previous=ready.job.sealed).ticks == 1001


def test_a_log_that_appears_meanwhile_is_noticed(ready: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("handlers.retire.wait", lambda _: ready.beside("-journal").write_bytes(b"half"))
    assert ready.failed(Step.COMPRESS).trouble is Trouble.CHANGED
    assert ready.database.exists()
    assert not ready.retired.exists()


LEFT = ["backup/2026/01/ticks_2026-01-20.db.zst", "db/2026/01/ticks_2026-01-20.db"]


class TestANewDatabaseOfTheSameName:
    """A late writer that finds no database makes one. The day is safe by then; its file is another."""

    @pytest.mark.parametrize("script", [NEW_DATABASE, OPEN_DATABASE])
    def test_made_meanwhile_it_stays_and_the_original_goes(
        self, ready: Any, child: Callable[..., Any], monkeypatch: Any, script: str
    ) -> None:
        late: list[Any] = []
        monkeypatch.setattr("handlers.retire.wait", lambda _: late.append(child(script, ready.database)))
        sealed = ready.job.sealed
        result = ready.done(Step.COMPRESS)
        assert (result.sha256, sha256_of_content(ready.compressed)) == (sealed.sha256, sealed.sha256)
        assert not ready.retired.exists()
        assert not ready.backup.exists()
        assert late[0].end() == 0
        assert list(ready.files()) == [*LEFT, f"{LEFT[1]}.zst"]
        assert ticks_of(ready.database) == 1

    @pytest.mark.parametrize("script", [NEW_DATABASE, OPEN_DATABASE])
    @pytest.mark.parametrize("copies", ["both", "one"])
    def test_found_by_the_next_run_it_stays_and_the_original_goes(
        self, ready: Any, child: Callable[..., Any], script: str, copies: str
    ) -> None:
        late = self.interrupted(ready, child, script)
        if copies == "one":
            ready.backup_compressed.unlink()
        ready.done(Step.COMPRESS)
        assert late.end() == 0
        assert list(ready.files()) == [*LEFT, f"{LEFT[1]}.zst"]
        assert ticks_of(ready.database) == 1

    @pytest.mark.parametrize("why", ["no copy", "an older copy", "rot", "changed", "held", "bad copy"])
    def test_without_a_proof_both_stay(
        self, ready: Any, child: Callable[..., Any], flip: Callable[..., None], why: str
    ) -> None:
        self.interrupted(ready, child, NEW_DATABASE)
        if why == "no copy":
            ready.compressed.unlink()
        elif why == "an older copy":
            ready.compressed.write_bytes(zstandard.ZstdCompressor().compress(b"older"))
            ready.job = structs.replace(ready.job, superseded=(sha256_of_content(ready.compressed),))
        elif why == "rot":
            flip(ready.retired, 9000)
        elif why == "changed":
            child(INSERT, ready.retired)
        elif why == "held":
            child(HOLDER, ready.retired)
        else:
            flip(ready.compressed, 300)
        before = ready.files()
        failure = ready.failed(Step.COMPRESS)
        assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
        assert ready.files() == before

    def test_a_writer_of_the_original_keeps_it_all_the_same(
        self, ready: Any, child: Callable[..., Any], monkeypatch: Any
    ) -> None:
        def both(_: float) -> None:
            child(HOLDER, ready.retired)
            child(NEW_DATABASE, ready.database)

        monkeypatch.setattr("handlers.retire.wait", both)
        assert ready.failed(Step.COMPRESS).trouble is Trouble.CONFLICT
        assert ready.retired.exists()
        assert ready.backup.exists()

    def test_killed_anywhere_it_is_simply_done_again(
        self, ready: Any, child: Callable[..., Any], kill_at: Callable[..., bool]
    ) -> None:
        self.interrupted(ready, child, NEW_DATABASE)
        job = structs.replace(ready.job, step=Step.COMPRESS)
        start, number, finished = Snapshot(ready), 0, []
        while kill_at(job, number):
            assert len(whole_copies(ready)) >= 2, f"killed before call {number}"
            finished.append(not ready.retired.exists())
            if not finished[-1]:
                assert isinstance(run(job), Done)
                assert list(ready.files()) == [*LEFT, f"{LEFT[1]}.zst"]
            start.again()
            number += 1
        assert finished.count(False) > 10
        assert ticks_of(ready.database) == 1

    def test_made_while_a_day_expires_it_stays(
        self, ready: Any, child: Callable[..., Any], monkeypatch: Any
    ) -> None:
        expiry = Expiry("180 days", datetime(2026, 7, 26, 3, tzinfo=UTC), "older than 180 days")
        monkeypatch.setattr("handlers.retire.wait", lambda _: child(NEW_DATABASE, ready.database))
        failure = ready.failed(Step.EXPIRE, expiry=expiry)
        assert "is there again" in failure.message
        assert ready.failed(Step.EXPIRE, expiry=expiry).trouble is Trouble.CONFLICT
        assert list(ready.files()) == [LEFT[1]]
        assert ticks_of(ready.database) == 1
        ready.database.rename(ready.root / "moved away.db")
        assert ready.done(Step.EXPIRE, expiry=expiry).ticks == 1000

    def interrupted(self, day: Any, child: Callable[..., Any], script: str) -> Any:
        """Both copies are written, the original is retired; then a kill, and a late writer."""
        content = day.database.read_bytes()
        day.done(Step.COMPRESS)
        day.retired.write_bytes(content)
        return child(script, day.database)


def ticks_of(path: Path) -> int:
    connection = apsw.Connection(str(path))
    count: int = connection.execute("SELECT count(*) FROM ticks").get
    connection.close()
    return count


def test_a_reader_is_not_in_the_way(ready: Any, child: Callable[..., Any]) -> None:
    reader = child(READER, ready.database)
    ready.done(Step.COMPRESS)
    assert reader.end() == 0


def test_an_interrupted_retirement_is_finished(ready: Any) -> None:
    ready.database.rename(ready.retired)
    ready.done(Step.COMPRESS)
    assert [name for name in ready.files() if not name.endswith(".zst")] == []


def test_an_interrupted_return_is_finished(ready: Any) -> None:
    os.link(ready.database, ready.retired)
    ready.done(Step.COMPRESS)
    assert [name for name in ready.files() if not name.endswith(".zst")] == []


def test_a_retired_file_that_is_not_what_was_sealed_gets_its_name_back(
    ready: Any, child: Callable[..., Any]
) -> None:
    ready.database.rename(ready.retired)
    child(INSERT, ready.retired)
    assert ready.failed(Step.COMPRESS).trouble is Trouble.CHANGED
    assert ready.database.exists()
    assert not ready.retired.exists()


def test_what_is_left_beside_it_is_removed_when_empty(ready: Any) -> None:
    for suffix in ("-wal", "-shm"):
        ready.beside(suffix).write_bytes(b"")
    ready.done(Step.COMPRESS)
    assert [name for name in ready.files() if not name.endswith(".zst")] == []


def test_the_original_waits_as_long_as_it_is_told(ready: Any, monkeypatch: Any) -> None:
    waited: list[float] = []
    monkeypatch.setattr("handlers.retire.wait", waited.append)
    ready.done(Step.COMPRESS)
    assert waited == [ready.job.options.quiet_seconds]
