"""A question about many days, from finding their files to the rows that answer it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, nullcontext
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from watcher.days import Days, Found
from watcher.errors import TickwardError
from watcher.query.gather import Gathered, Hold, Watch, checked, gathered
from watcher.query.mending import Mend
from watcher.query.merge import Merge
from watcher.query.spool import Row
from watcher.wording import span

_RANGES = 3
"""So many ranges of days are named of which the same is said."""


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
    """What a person should know of the days before reading the answer: what is missing, what may change.

    A few lines, however many days there are: what is the same for many of them is said once.
    """
    missing = _grouped(found, lambda each: each.why_missing)
    notes = _grouped(found, lambda each: each.note)
    lines = [
        f"{what}: {each.line(_RANGES)}"
        for what, some in (("missing", missing), ("note", notes))
        for each in some
    ]
    if any(len(each.ranges) > _RANGES for each in (*missing, *notes)):
        first, last = found[0], found[-1]
        of_these = f"--stream {first.stream} --from {first.day} --to {last.day}"
        lines.append(f"`tickward inventory --all {of_these}` lists every day")
    return lines


def failures(found: Sequence[Found], result: Gathered) -> list[str]:
    """Which days did not answer, and why: all of them by name, as nothing else tells."""
    why = {each.key: each.why for each in result.failed}
    groups = _grouped([replace(each, alike="") for each in found], lambda each: why.get(each.key, ""))
    return [f"failed: {each.line()}" for each in groups]


def ask(
    question: Question,
    found: Sequence[Found],
    days: Days,
    folder: Path,
    *,
    jobs: int,
    mend: Mend,
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
    check, into = checked(there, question.sql, mend), Gathered()
    columns = ("day", *check.statement.columns)
    merge = None if question.merge is None else Merge(folder, columns, question.merge)
    rows = gathered(
        there,
        check,
        folder,
        into,
        jobs=jobs,
        find=lambda each: days.find(each.stream, each.day),
        mend=mend,
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


class _Group(NamedTuple):
    """Days of which the same is to be said."""

    why: str
    ranges: list[list[str]]
    """Their keys, those in a row together."""

    def line(self, most: int | None = None) -> str:
        """What is said, and of which days; of more ranges than ``most`` only those are named."""
        if len(self.ranges) == 1:
            return f"{span(self.ranges[0])}: {self.why}"
        named = ", ".join(
            each[0] if len(each) == 1 else f"{each[0]} to {each[-1]}" for each in self.ranges[:most]
        )
        left = 0 if most is None else len(self.ranges) - most
        more = f" (and {left} more range{'s' if left > 1 else ''})" if left > 0 else ""
        return f"{sum(map(len, self.ranges))} days, {named}{more}: {self.why}"


def _grouped(found: Sequence[Found], why: Callable[[Found], str]) -> list[_Group]:
    """The days by what is said of them, in their order; those are left out of which nothing is."""
    ranges: dict[str, list[list[Found]]] = {}
    for alike, run in groupby(found, key=lambda each: why(each) and (each.alike or why(each))):
        if alike:
            ranges.setdefault(alike, []).append(list(run))
    groups = []
    for alike, some in ranges.items():
        texts = {why(each) for run in some for each in run}
        groups.append(
            _Group(alike if len(texts) > 1 else texts.pop(), [[each.key for each in run] for run in some])
        )
    return groups
