"""A batch is committed whole and once, however often it has to be tried."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import apsw
import pytest

from watcher.demo import day
from watcher.demo.day import LAST_ATTEMPTS, Database, date_of, day_of, insist
from watcher.demo.ticks import Tick

BATCH = [Tick("EURUSD", stamp, 1.0, 1.5, "LP") for stamp in range(100)]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(day, "BUSY_TIMEOUT_MS", 1)
    return tmp_path / "1970" / "01" / "ticks_1970-01-01.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(0, path)
    yield database
    database.close()


def test_a_batch_that_finds_the_database_locked_is_committed_later(database: Database, path: Path) -> None:
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")

    def somebody_else_finishes() -> bool:
        if other.in_transaction:
            other.execute("ROLLBACK")
        return False

    database.write(BATCH, stopping=somebody_else_finishes)
    assert other.execute("SELECT count(*) FROM ticks").get == len(BATCH)
    other.close()
    closed = database.close()
    assert (closed.ticks, closed.commits, closed.retries) == (100, 1, 1)
    assert closed.worst_ms >= 100  # the pause before the second attempt is part of the latency


def test_what_is_there_already_is_counted_as_a_duplicate(database: Database) -> None:
    database.write(BATCH, stopping=lambda: False)
    database.write([*BATCH, Tick("EURUSD", 100, 1.0, 1.5, "LP")], stopping=lambda: False)
    closed = database.close()
    assert (closed.ticks, closed.duplicates) == (101, 100)


def test_a_clean_close_leaves_one_file(path: Path) -> None:
    database = Database(0, path)
    database.write(BATCH, stopping=lambda: False)
    assert [file.name for file in path.parent.iterdir()] != [path.name]
    database.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_once_it_shall_stop_it_gives_up_after_a_few_attempts() -> None:
    attempts = 0

    def always_locked() -> None:
        nonlocal attempts
        attempts += 1
        raise apsw.BusyError("locked")

    with pytest.raises(apsw.BusyError):
        insist(always_locked, stopping=lambda: attempts > 1)
    assert attempts == 1 + LAST_ATTEMPTS + 1


def test_what_does_not_pass_by_itself_is_not_tried_again(tmp_path: Path) -> None:
    (tmp_path / "note.db").write_text("This is not a database. " * 100)
    with pytest.raises(apsw.NotADBError):
        insist(lambda: Database(0, tmp_path / "note.db"), stopping=lambda: False)


def test_a_day_is_a_utc_day() -> None:
    assert day_of(date(1970, 1, 2)) == 1
    assert date_of(20472) == date(2026, 1, 19)
    assert day_of(datetime(2026, 1, 19, 23, 59, tzinfo=UTC)) == 20472
    assert day_of(datetime(2026, 1, 20, 0, 30, tzinfo=timezone(timedelta(hours=1)))) == 20472
