"""Creating: whole at once, and never in the writer's way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec import structs

from handlers import files
from handlers.contract import Created, Step, Trouble
from handlers.database import read_header


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


@pytest.mark.parametrize("suffix", ["-wal", "-journal", "-shm"])
def test_remains_of_another_database_are_not_adopted(day: Any, suffix: str) -> None:
    day.database.parent.mkdir(parents=True)
    day.beside(suffix).write_bytes(b"ticks, perhaps")
    before = day.files()
    assert day.failed(Step.CREATE).trouble is Trouble.CONFLICT
    assert day.files() == before


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
