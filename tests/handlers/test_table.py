"""The boundary: whatever happens in a step comes out as a value that says what to do next."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import apsw
import msgspec
import pytest
from msgspec import structs

from handlers import files, table
from handlers.contract import (
    Copy,
    Created,
    Done,
    Failure,
    Holder,
    Job,
    Repair,
    Repaired,
    Result,
    Signature,
    Step,
    StepError,
    Trouble,
    Verified,
)

CONNECTION = """
connection = connect(sys.argv[1])
run(connection, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
say(); wait()
"""


def outcome_of(day: Any, monkeypatch: Any, error: BaseException) -> Failure:
    def step(job: Job) -> None:
        raise error

    monkeypatch.setitem(table.HANDLERS, Step.SEAL, step)
    failure: Failure = day.failed(Step.SEAL)
    return failure


def test_every_step_has_a_handler() -> None:
    assert set(table.HANDLERS) == set(Step)


def test_a_step_error_keeps_all_it_says(day: Any, monkeypatch: Any) -> None:
    error = StepError(
        "message",
        hint="hint",
        trouble=Trouble.CONFLICT,
        retryable=False,
        holders=(Holder(1, "a"),),
        problems=("p",),
    )
    failure = outcome_of(day, monkeypatch, error)
    assert structs.replace(failure, seconds=0) == Failure(
        structs.replace(day.job, step=Step.SEAL),
        Trouble.CONFLICT,
        "message",
        "hint",
        retryable=False,
        holders=(Holder(1, "a"),),
        problems=("p",),
    )


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.ENOSPC, "free space on"),
        (errno.EDQUOT, "free space on"),
        (errno.EFBIG, "free space on"),
        (errno.EACCES, "let this user write"),
        (errno.EROFS, "let this user write"),
        (errno.EIO, "may be failing"),
        (errno.ENOENT, "what removes files"),
        (errno.EMFILE, "tried again"),
    ],
)
def test_a_system_error_says_what_to_do(day: Any, monkeypatch: Any, code: int, hint: str) -> None:
    error = OSError(code, os.strerror(code), str(day.database))
    failure = outcome_of(day, monkeypatch, error)
    assert (failure.trouble, failure.retryable) == (Trouble.FAILED, True)
    assert hint in failure.hint
    assert str(day.database) in failure.message
    assert failure.traceback == ""


@pytest.mark.parametrize(
    ("error", "expected", "hint"),
    [
        (apsw.BusyError("x"), (Trouble.BUSY, True), "has left"),
        (apsw.FullError("x"), (Trouble.FAILED, True), "free space on"),
        (apsw.CorruptError("x"), (Trouble.CORRUPT, False), "backup"),
        (apsw.NotADBError("x"), (Trouble.CORRUPT, False), "backup"),
        (apsw.ReadOnlyError("x"), (Trouble.FAILED, True), "let this user write"),
        (apsw.IOError("x"), (Trouble.FAILED, True), "check the disk"),
    ],
)
def test_an_sqlite_error_says_what_to_do(
    day: Any, monkeypatch: Any, error: apsw.Error, expected: tuple[Trouble, bool], hint: str
) -> None:
    failure = outcome_of(day, monkeypatch, error)
    assert (failure.trouble, failure.retryable) == expected
    assert hint in failure.hint


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), MemoryError(), apsw.SQLError("x")])
def test_what_nobody_foresaw_comes_with_a_traceback(day: Any, monkeypatch: Any, error: BaseException) -> None:
    failure = outcome_of(day, monkeypatch, error)
    assert failure.retryable
    assert "Traceback" in failure.traceback


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_an_interruption_is_no_defect(day: Any, monkeypatch: Any, error: BaseException) -> None:
    failure = outcome_of(day, monkeypatch, error)
    assert (failure.retryable, failure.traceback) == (True, "")


@pytest.mark.parametrize(
    "error",
    [
        StepError(
            "x\udcff.db", hint="move x\udcff.db", holders=(Holder(1, "a\udcff"),), problems=("p\udcff",)
        ),
        OSError(errno.EIO, "broken", "/data/x\udcff.db"),
        ValueError("x\udcff.db"),
    ],
)
def test_names_that_are_no_text_can_be_written_down(day: Any, monkeypatch: Any, error: BaseException) -> None:
    failure = outcome_of(day, monkeypatch, error)
    text = msgspec.json.encode(failure).decode()
    assert "udcff" in json.loads(text)["message"]


MAKE: list[Callable[[str], Result | None]] = [
    lambda name: Verified("0" * 64, (Copy(name, 1, f"bad {name}"), Copy("y.db", 2)), 3),
    lambda name: Repaired("0" * 64, (), (Repair(name, "p", "s"),), 3, signature=Signature(1, 2, 3)),
    lambda name: Created(name, Signature(1, 2, 3)),
    lambda _: None,
]


@pytest.mark.parametrize("make", MAKE)
def test_results_with_names_that_are_no_text_can_be_recorded(
    day: Any, monkeypatch: Any, make: Callable[[str], Result | None]
) -> None:
    monkeypatch.setitem(table.HANDLERS, Step.SEAL, lambda _: make("x\udcff.db"))
    result = day.done(Step.SEAL)
    assert result == make(r"x\udcff.db")
    assert msgspec.json.decode(msgspec.json.encode(result), type=type(result)) == result


def test_a_locked_database_is_busy_and_names_who(day: Any, child: Callable[..., Any]) -> None:
    day.create()
    locker = child(CONNECTION, day.database)
    failure = day.failed(Step.BACKUP, live=True)
    assert failure.trouble is Trouble.BUSY
    assert [holder.pid for holder in failure.holders] == [locker.pid]


@pytest.mark.parametrize("step", [Step.CREATE, Step.SEAL])
def test_a_full_disk_loses_nothing(
    day: Any, child: Callable[..., Any], with_full_disk: Callable[..., Any], step: Step
) -> None:
    if step is Step.SEAL:
        day.create()
        child(
            "c = connect(sys.argv[1]); run(c, 'PRAGMA wal_autocheckpoint = 0')\n"
            "for i in range(300): run(c, 'INSERT INTO ticks (symbol) VALUES (zeroblob(500))')\n"
            "say(); wait()",
            day.database,
        ).kill()
    before = day.files()
    failure = with_full_disk(structs.replace(day.job, step=step), 9_000)
    assert failure.retryable
    assert "free space on" in failure.hint or "and its space" in failure.hint
    assert day.temporaries() == []
    assert set(day.files()) >= set(before)
    if step is Step.SEAL:
        assert day.seal().ticks == 300
    else:
        assert day.create() is not None


@pytest.mark.parametrize("step", [Step.CREATE, Step.SEAL])
def test_killed_anywhere_it_is_simply_done_again(day: Any, kill_at: Callable[..., bool], step: Step) -> None:
    if step is Step.SEAL:
        day.create()
        day.fill(100)
    number = 0
    while kill_at(structs.replace(day.job, step=step), number):
        assert day.database.exists() or step is Step.CREATE
        number += 1
    assert number > 2
    files.sweep_temporaries(day.root)
    assert day.seal().ticks == (100 if step is Step.SEAL else 0)
    assert len(day.files()) == 1


def test_outcomes_cross_processes(day: Any) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        done = pool.submit(table.run, day.job).result()
        failure = pool.submit(table.run, structs.replace(day.job, step=Step.BACKUP)).result()
    assert isinstance(done, Done)
    assert isinstance(failure, Failure)
    assert (done.job.step, failure.job.step) == (Step.CREATE, Step.BACKUP)
