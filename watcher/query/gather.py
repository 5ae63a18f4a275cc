"""The answers of many days in the order of the days, each from a worker process of its own.

A few days are asked ahead of the one whose rows are wanted next, and no more: rows that nobody has
taken yet are on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

import apsw
from msgspec import Struct

from handlers.seek_table import SeekableError
from watcher.days import Found
from watcher.errors import ConfigError, TickwardError
from watcher.pool import Workers
from watcher.query import spool
from watcher.query.answer import Answer, Task, answer, closed, opened_guarded
from watcher.query.guard import Statement, StatementError, prepared
from watcher.query.mending import Mend, is_damage
from watcher.query.spool import Row

_NICE = 10
_AHEAD = 2
_LOOK_SECONDS = 0.1

Find = Callable[[Found], Found]
"""Looks once more where a day is."""
Watch = Callable[[int, int], None]
"""Is told how many days are done, and how many rows they have so far."""

Hold = Callable[[], AbstractContextManager[None]]


class Failed(Struct, frozen=True):
    """A day that gave no answer, and why."""

    key: str
    why: str


class Gathered(Struct):
    """What the days gave, beside their rows; complete once those have been taken."""

    failed: list[Failed] = []
    answered: int = 0
    rows: int = 0
    """All that the statement gave, kept or not."""


class Checked(NamedTuple):
    """A statement that is right, and the day that says so."""

    statement: Statement
    key: str


def checked(found: Sequence[Found], sql: str, mend: Mend) -> Checked:
    """The statement, as the first of the days that can be opened understands it.

    ``mend``: is asked about the first one if none can.

    Raises:
        ConfigError: it is wrong. That is said once, and not once for each day.
        TickwardError: none of the days can be opened.
    """
    problems: list[tuple[Found, Exception]] = []
    for each in found:
        assert each.path is not None
        try:
            connection = opened_guarded(each.path)
        except (OSError, SeekableError, apsw.Error) as error:
            problems.append((each, error))
            continue
        try:
            return Checked(prepared(connection, sql), each.key)
        except StatementError as error:
            raise ConfigError(f"the SQL cannot be asked of {each.key}: {error}") from None
        except (SeekableError, apsw.Error) as error:
            problems.append((each, error))
        finally:
            closed(connection)
    first, why = problems[0]
    hint = f"; {mend(first)}" if is_damage(why) else ""
    raise TickwardError(f"none of the days can be opened; {first.key}: {why}{hint}")


def gathered(
    found: Sequence[Found],
    check: Checked,
    folder: Path,
    into: Gathered,
    *,
    jobs: int,
    find: Find,
    mend: Mend,
    watch: Watch,
    hold: Hold = nullcontext,
    keep_rows: int | None = None,
) -> Generator[Row]:
    """The rows of all days, each with its day before it, in the order of the days.

    Args:
        found: the days; all of them have a file.
        folder: a private directory for rows on their way; at most a few days' are in it at once.
        into: is told which days failed.
        jobs: how many worker processes at the most. A single day is asked in this process.
        hold: keeps a signal from interrupting what must not be half done: starting a worker.
        keep_rows: of each day, at the most.
    """
    tasks = [_task(each, check, folder / f"{number}.rows", keep_rows) for number, each in enumerate(found)]
    answers = _alone(tasks[0]) if len(tasks) == 1 else _by_workers(tasks, jobs, watch, hold)
    with closing(answers):
        for day, task, got in zip(found, tasks, answers, strict=True):
            if got.moved and (again := find(day)).path is not None:
                got = answer(_task(again, check, task.rows, keep_rows), interruptible=True)  # noqa: PLW2901
            if problem := got.error or _differs(got, check):
                hint = f"; {mend(day)}" if got.damaged else ""
                into.failed.append(Failed(day.key, problem + hint))
            else:
                into.answered += 1
                into.rows += got.count
                for row in spool.read(task.rows):
                    yield (day.day.isoformat(), *row)
            task.rows.unlink(missing_ok=True)


def _task(day: Found, check: Checked, rows: Path, keep_rows: int | None) -> Task:
    assert day.path is not None
    return Task(day.path, check.statement.text, rows, day.inode, keep_rows)


def _differs(got: Answer, check: Checked) -> str:
    """Why this day's rows cannot stand below the others', or nothing."""
    if got.columns == check.statement.columns:
        return ""
    return (
        f"it gives the columns {', '.join(got.columns)}, but {check.key} gives"
        f" {', '.join(check.statement.columns)}: name the columns instead of *, or ask for it alone"
    )


def _alone(task: Task) -> Generator[Answer]:
    yield answer(task, interruptible=True)


def _by_workers(tasks: Sequence[Task], jobs: int, watch: Watch, hold: Hold) -> Generator[Answer]:
    """The answers, in order. Whoever stops taking them ends the workers, whatever they are doing."""
    jobs = min(jobs, len(tasks))
    workers = Workers(jobs, _NICE)
    crew = _Crew(tasks, workers, hold)
    try:
        for wanted in range(len(tasks)):
            while wanted not in crew.got:
                crew.begin(jobs, until=wanted + jobs + _AHEAD)
                crew.collect()
                watch(crew.done, crew.rows())
            yield crew.got.pop(wanted)
    finally:
        workers.kill()
        workers.shutdown()


class _Crew:
    """Which day is with which worker."""

    def __init__(self, tasks: Sequence[Task], workers: Workers, hold: Hold) -> None:
        self._tasks = tasks
        self._workers = workers
        self._hold = hold
        self._begun = 0
        self._running: dict[Future[Answer], int] = {}
        self._ended: SimpleQueue[Future[Answer]] = SimpleQueue()
        self._rows_done = 0
        self.done = 0
        self.got: dict[int, Answer] = {}

    def begin(self, at_once: int, until: int) -> None:
        """Let as many days as may run at once be asked, none from the number ``until`` on."""
        while len(self._running) < at_once and self._begun < min(until, len(self._tasks)):
            with self._hold():
                future = self._workers.submit(answer, self._tasks[self._begun])
                self._running[future] = self._begun
            # Added after the workers' own callback: when it is called, the worker is free.
            future.add_done_callback(self._ended.put)
            self._begun += 1

    def collect(self) -> None:
        """Take the next answer, if one comes within a moment."""
        with suppress(Empty):
            future = self._ended.get(timeout=_LOOK_SECONDS)
            got = self.got[self._running.pop(future)] = _result(future)
            self.done += 1
            self._rows_done += got.count

    def rows(self) -> int:
        """So far."""
        return self._rows_done + sum(self._workers.progress(each)[0] for each in self._running)


def _result(future: Future[Answer]) -> Answer:
    try:
        return future.result()
    except Exception as error:
        return Answer(
            error=f"its worker ended before it had an answer ({type(error).__name__}): ask again, and look"
            " for the out-of-memory killer in the system's log if it goes on"
        )
