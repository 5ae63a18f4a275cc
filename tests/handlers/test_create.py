"""Creating: whole at once, and never in the writer's way."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec import structs

from handlers import files
from handlers.contract import Created, Step, Trouble
from handlers.database import read_header
from tests.handlers.conftest import Child


def test_a_new_database_is_one_file_in_wal_mode_with_the_schema(day: Any) -> None:
    created = day.create()
    assert list(day.files()) == ["db/2026/01/ticks_2026-01-20.db"]
    assert created == Created(str(day.database), files.signature_of(day.database))
    assert read_header(day.database) == (True, 4096, apsw.SQLITE_VERSION_NUMBER)
    day.fill(3)
    assert day.seal().ticks == 3


def test_an_existing_database_is_left_alone(day: Any) -> None:
    day.create()
    day.fill(3)
    before = day.files()
    assert day.create() is None
    assert day.files() == before


def test_a_writer_that_is_first_wins(day: Any, monkeypatch: Any) -> None:
    link = os.link

    def writer_first(source: Path, target: Path, **more: Any) -> None:
        day.database.write_text("the writer's")
        link(source, target, **more)

    monkeypatch.setattr(os, "link", writer_first)
    assert day.create() is None
    assert day.database.read_text() == "the writer's"
    assert day.temporaries() == []


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_remains_of_another_database_are_not_adopted(day: Any, suffix: str) -> None:
    day.database.parent.mkdir(parents=True)
    day.beside(suffix).write_bytes(b"ticks, perhaps")
    before = day.files()
    assert day.failed(Step.CREATE).trouble is Trouble.CONFLICT
    assert day.files() == before


OTHER_DAY = """
connection = connect(sys.argv[1])
for i in range(50): run(connection, "INSERT INTO ticks (symbol, timestamp) VALUES ('OLD', ?)", (i,))
if sys.argv[2] == "-wal": run(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
say(); wait(); connection.close()
"""

WRITER = """
connection = connect(sys.argv[1])
run(connection, "PRAGMA wal_autocheckpoint = 0")
for i in range(20): run(connection, "INSERT INTO ticks (symbol, timestamp) VALUES ('NEW', ?)", (i,))
say(); wait(); connection.close()
"""

READER = """
connection = connect(sys.argv[1], apsw.SQLITE_OPEN_READONLY)
say(run(connection, "SELECT group_concat(DISTINCT symbol) || count(*) FROM ticks"))
say(run(connection, "PRAGMA integrity_check"))
wait(); connection.close()
"""


@pytest.fixture
def remains(day: Any, child: Callable[..., Child]) -> Callable[[str], Child]:
    """Lose a day's database while its writer has it open: only the file of this suffix stays."""

    def lose(suffix: str) -> Child:
        day.create()
        other = child(OTHER_DAY, day.database, suffix)
        for each in {"", "-wal", "-shm"} - {suffix}:
            day.beside(each).unlink()
        return other

    return lose


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_what_a_crash_left_empty_or_stale_does_no_harm(
    day: Any, child: Callable[..., Child], remains: Callable[[str], Child], suffix: str
) -> None:
    remains(suffix).kill()
    assert day.beside("-shm").exists() == (suffix == "-shm")
    day.create()
    writer = child(WRITER, day.database)
    reader = child(READER, day.database, silent=True)
    assert [reader.said(), reader.said()] == ["NEW20", "ok"]
    assert (reader.end(), writer.end()) == (0, 0)
    assert day.seal().ticks == 20


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_what_a_writer_without_a_database_still_uses_is_not_shared(
    day: Any, remains: Callable[[str], Child], suffix: str
) -> None:
    other = remains(suffix)
    failure = day.failed(Step.CREATE)
    assert (failure.trouble, failure.retryable) == (Trouble.BUSY, True)
    assert [holder.pid for holder in failure.holders] == [other.pid]
    assert not day.database.exists()
    other.kill()
    assert day.create() is not None


def test_a_wrong_schema_says_so_and_leaves_nothing(day: Any) -> None:
    Path(day.job.options.schema).write_text("CREATE TABEL ticks (id)")
    failure = day.failed(Step.CREATE)
    assert not failure.retryable
    assert "not valid SQL" in failure.message
    assert day.files() == {}


def test_a_missing_schema_says_so(day: Any) -> None:
    options = structs.replace(day.job.options, schema=str(day.root / "missing.sql"))
    failure = day.failed(Step.CREATE, options=options)
    assert "cannot read the schema" in failure.message
    assert "`schema`" in failure.hint


def test_the_reserve_is_for_whoever_writes_to_it(day: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a few pages, without which its writer has nowhere to write at midnight."""
    monkeypatch.setattr("handlers.files.RESERVE_BYTES", 1 << 60)
    day.create()
    assert day.database.exists()


def test_the_built_in_schema_is_used_without_a_setting(day: Any) -> None:
    options = structs.replace(day.job.options, schema="")
    assert isinstance(day.done(Step.CREATE, options=options), Created)
    assert day.seal().ticks == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_creates_what_the_writer_can_write(day: Any) -> None:
    os.chown(day.root, 4321, 1234)
    day.create()
    status = day.database.stat()
    assert (status.st_uid, status.st_gid) == (4321, 1234)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_creates_what_the_writer_s_group_can_write(day: Any) -> None:
    os.chown(day.root, 0, 1234)
    day.root.chmod(0o2775)
    before = os.umask(0o027)
    try:
        day.create()
    finally:
        os.umask(before)
    for path, mode in ((day.database, 0o660), (day.database.parent, 0o2770)):
        status = path.stat()
        assert (status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, mode)
