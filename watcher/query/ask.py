"""A question about many days, from finding their files to the rows that answer it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, nullcontext
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from watcher.days import Days, Found
from watcher.errors import TickwardError
from watcher.query.gather import Gathered, Hold, Watch, checked, gathered
from watcher.query.merge import Merge
from watcher.query.spool import Row
from watcher.wording import span


class Question(Struct, frozen=True):
    """What is asked, and of which days."""

    stream: str
    days: tuple[date, ...]
    sql: str
    """The statement that each day is asked."""
    merge: str | None = None
    """The statement on the table `days` of all that they answered."""


class Result(NamedTuple):
    """What is answered. The rows are there as they come, and have to be closed."""

    columns: tuple[str, ...]
    rows: Generator[Row]
    gathered: Gathered


def find(days: Days, question: Question) -> list[Found]:
    """Where each of the days is, those included that are nowhere."""
    return [days.find(question.stream, day) for day in question.days]


def remarks(found: Sequence[Found]) -> list[str]:
    """What a person should know of the days before reading the answer: what is missing, what may change."""
    return [
        *(f"missing: {line}" for line in _of_runs(found, lambda each: each.why_missing)),
        *(f"note: {line}" for line in _of_runs(found, lambda each: each.note)),
    ]


def failures(found: Sequence[Found], result: Gathered) -> list[str]:
    """Which days did not answer, and why."""
    why = {each.key: each.why for each in result.failed}
    return [f"failed: {line}" for line in _of_runs(found, lambda each: why.get(each.key, ""))]


def ask(
    question: Question,
    found: Sequence[Found],
    days: Days,
    folder: Path,
    *,
    jobs: int,
    watch: Watch,
    hold: Hold = nullcontext,
    keep_rows: int | None = None,
    partial: bool = False,
) -> Result:
    """Check both statements, then ask each day that is there. Arguments as `gather.gathered`.

    Where rows are merged there are none unless every day that is there has answered, or ``partial``.

    Raises `ConfigError` if a statement is wrong, `TickwardError` if there is no day to ask.
    """
    there = [each for each in found if each.path is not None]
    if not there:
        raise TickwardError(f"none of these days is there: {span([each.key for each in found])}")
    check, into = checked(there, question.sql), Gathered()
    columns = ("day", *check.statement.columns)
    merge = None if question.merge is None else Merge(folder, columns, question.merge)
    rows = gathered(
        there,
        check,
        folder,
        into,
        jobs=jobs,
        find=lambda each: days.find(each.stream, each.day),
        watch=watch,
        hold=hold,
        keep_rows=keep_rows if merge is None else None,
    )
    if merge is None:
        return Result(columns, rows, into)
    return Result(merge.statement.columns, _merged(merge, rows, into, partial), into)


def _merged(merge: Merge, rows: Generator[Row], into: Gathered, partial: bool) -> Generator[Row]:
    with closing(rows), closing(merge):
        merge.fill(rows)
        into.rows = 0
        if into.answered and (partial or not into.failed):
            for row in merge.rows():
                into.rows += 1
                yield row


def _of_runs(found: Sequence[Found], why: Callable[[Found], str]) -> list[str]:
    """A line for each run of days of which the same is to be said; none where that is nothing."""
    runs = [(reason, [each.key for each in run]) for reason, run in groupby(found, key=why)]
    return [f"{span(keys)}: {reason}" for reason, keys in runs if reason]
