"""Retiring: a late writer keeps its file, whenever it comes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from handlers.contract import Step, Trouble
from handlers.files import is_temporary
from handlers.retire import is_retired, retired_path

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


def test_a_new_database_of_the_same_name_is_a_conflict(
    ready: Any, child: Callable[..., Any], monkeypatch: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("handlers.retire.wait", lambda _: child(NEW_DATABASE, ready.database))
        assert ready.failed(Step.COMPRESS).trouble is Trouble.CONFLICT
    before = ready.files()
    assert ready.failed(Step.COMPRESS).trouble is Trouble.CONFLICT
    assert ready.files() == before
    assert ready.retired.exists()
    assert ready.database.exists()


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
