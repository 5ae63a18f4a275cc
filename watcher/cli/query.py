"""``tickward query``: SQL over any range of days, in whatever tier they are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import date, timedelta
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NamedTuple

import typer

from watcher.cli.context import Context, say
from watcher.cli.place import Stream, date_given, stream_of
from watcher.errors import EXIT_DONE, EXIT_STEP_FAILED, ConfigError

if TYPE_CHECKING:
    from watcher.interruption import Interruption
    from watcher.query.ask import Question, Result
    from watcher.query.gather import Gathered
    from watcher.query.output import Target
    from watcher.query.spool import Row
    from watcher.settings import Settings

_MAX_DAYS = 36525
_SHOWN_ROWS = 1000
_WIDE = 1000
_DATE = "YYYY-MM-DD"
_DEAF_SECONDS = 1.0


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One statement; @FILE or - reads it.")],
    stream: Stream = None,
    day: Annotated[str | None, typer.Option(metavar=_DATE, help="This one day.")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar=_DATE, help="From this day on.")] = None,
    final: Annotated[
        str | None, typer.Option("--to", metavar=_DATE, help="To this day, included; else to today (UTC).")
    ] = None,
    last: Annotated[
        int | None, typer.Option(min=1, max=_MAX_DAYS, metavar="N", help="The last N days, today included.")
    ] = None,
    merge: Annotated[
        str | None,
        typer.Option(metavar="SQL", help="A second statement, on the table `days` of all days' rows."),
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="How rows are printed; else as FILE ends, else a table.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write them to this new file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Merge, and write FILE, also if a day could not be read.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=64, metavar="N", help="How many days at once; by default one for each CPU."),
    ] = None,
) -> None:
    """Ask each day for rows by SQL, hot, warm or cold, and print them with their day. Only reads.

    Days are named with --day, with --from and --to, or with --last.

    Exit status: 0 every day that is there has answered; 1 one did not, or none is there; 2 the SQL or an
    option is wrong; 130, 143 ended by Ctrl-C, by SIGTERM.

    Examples:
        tickward query --last 7 "SELECT symbol, count(*) FROM ticks GROUP BY symbol"
        tickward query --from 2026-01-01 --format csv --out gold.csv @gold.sql

    See also:
        `tickward shell DAY` to look around in one.
    """
    from watcher.interruption import Interrupted, Interruption
    from watcher.query.ask import Question
    from watcher.query.output import target

    options: Context = context.obj
    settings = options.load()
    of, day = _split(day)
    days = days_between(day, first, final, last, _today(settings))
    question = Question(stream_of(of or stream, settings), tuple(days), *_texts(sql, merge))
    shape = _format(form, json, out)
    interruption = Interruption(_DEAF_SECONDS)
    try:
        with interruption.handled():
            to = None if out is None else target(out, force, settings)
            output = _Output(shape, to, partial)
            complete = _answer(settings, question, output, jobs or _processors(), interruption)
    except Interrupted as interrupted:
        raise typer.Exit(interrupted.exit_code) from None
    raise typer.Exit(EXIT_DONE if complete else EXIT_STEP_FAILED)


def days_between(
    day: str | None, first: str | None, final: str | None, last: int | None, today: date
) -> list[date]:
    """The days that the options name, in order, both ends included. Raises `ConfigError`."""
    if sum(each is not None for each in (day, first or final, last)) > 1:
        raise ConfigError("--day, --from with --to, and --last: give one of them")
    if day is not None:
        begin = end = date_given("--day", day)
    elif last is not None:
        begin, end = today - timedelta(last - 1), today
    elif first is not None:
        begin, end = date_given("--from", first), today if final is None else date_given("--to", final)
    else:
        raise ConfigError("of which days? Give --day, --from (and --to), or --last")
    if begin > end:
        meant = "" if final is not None else ", which is today"
        raise ConfigError(f"{begin} is after {end}{meant}: there is no day between them")
    if (end - begin).days >= _MAX_DAYS:
        raise ConfigError(f"{begin} to {end} is more than {_MAX_DAYS:,} days: give a later --from")
    return [begin + timedelta(number) for number in range((end - begin).days + 1)]


def _split(day: str | None) -> tuple[str | None, str | None]:
    """The stream and the date of ``ticks/2026-01-20``; of a date alone only that."""
    if day is None or "/" not in day:
        return None, day
    stream, _, when = day.rpartition("/")
    return stream, when


def _format(form: Format | None, json: bool, out: Path | None) -> Format:
    """Raises `ConfigError` where rows would go into a file as a table, which holds only so many."""
    if json:
        if form not in (None, Format.JSON):
            raise ConfigError(f"--json and --format {form}: give one of them")
        return Format.JSON
    if form is not None or out is None:
        return form or Format.TABLE
    try:
        return Format(out.suffix.removeprefix(".").lower())
    except ValueError:
        raise ConfigError("--out: as what? Give --format csv or json, or end the file's name so") from None


def _today(settings: Settings) -> date:
    from watcher.premises import clock_of

    return clock_of(settings.clock).now().date()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _texts(sql: str, merge: str | None) -> tuple[str, str | None]:
    if sql == merge == "-":
        raise ConfigError("only one of the two statements can be read from standard input")
    return _text(sql), None if merge is None else _text(merge)


def _text(given: str) -> str:
    try:
        if given == "-":
            return sys.stdin.read()
        return Path(given[1:]).read_text(encoding="utf-8") if given.startswith("@") else given
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the SQL cannot be read from {given}: {error}") from None


class _Output(NamedTuple):
    """How rows go where."""

    form: Format
    to: Target | None
    partial: bool
    """Whether they go there also where days could not be read."""


class _IncompleteError(Exception):
    """The file must not be had under its name."""


def _answer(
    settings: Settings, question: Question, wanted: _Output, jobs: int, interruption: Interruption
) -> bool:
    """Ask, and write what is answered. Whether every day that is there has answered."""
    from tempfile import TemporaryDirectory

    from watcher.days import Days
    from watcher.paths import resolved
    from watcher.query import ask, output
    from watcher.query.mending import mending

    form, to, partial = wanted
    with Days.of(settings) as days, TemporaryDirectory(prefix="tickward-query-") as folder:
        found = ask.find(days, question)
        for line in ask.remarks(found):
            say(line)
        # Where rows come to the same terminal as they are found, they are the progress.
        with _Bar(len(found), shown=to is not None or form is Format.TABLE or not sys.stdout.isatty()) as bar:
            result = ask.ask(
                question,
                found,
                days,
                Path(folder),
                jobs=jobs,
                mend=mending(resolved(settings).data),
                watch=bar.move,
                hold=interruption.blocked,
                keep_rows=_SHOWN_ROWS if form is Format.TABLE else None,
                partial=partial,
            )
            if form is Format.JSON:
                output.require_names(result.columns)
            with closing(result.rows):
                begin = list(islice(result.rows, 1))
                given = False
                if begin or (result.gathered.answered and not result.gathered.failed):
                    with suppress(_IncompleteError):
                        given = _written(result, wanted, chain(begin, result.rows), bar)
        return _say_failures(ask.failures(found, result.gathered), result.gathered, given=given)


def _written(result: Result, wanted: _Output, rows: Iterator[Row], bar: _Bar) -> bool:
    """Write the rows; False, and no file, if days that could not be read are found to be missing in it."""
    from watcher.query import output

    with output.opened(wanted.to) as file:
        _write(result, wanted.form, rows, file, bar)
        if wanted.to is not None and result.gathered.failed and not wanted.partial:
            raise _IncompleteError
    return True


def _write(result: Result, form: Format, rows: Iterator[Row], file: BinaryIO, bar: _Bar) -> None:
    from watcher.query import output

    if form is not Format.TABLE:
        output.stream(form, result.columns, rows, file)
        return
    shown = list(islice(rows, _SHOWN_ROWS))
    for _ in rows:
        pass  # the others are counted, and every day has its say
    bar.stop()
    _show(result.columns, shown, file)
    if result.gathered.rows > len(shown):
        say(f"the first {len(shown):,} of {result.gathered.rows:,} rows; --format csv gives all of them")


def _show(columns: tuple[str, ...], rows: list[Row], file: BinaryIO) -> None:
    from io import TextIOWrapper

    from rich.console import Console

    from watcher.cli.console import console
    from watcher.query.table import show

    if file is sys.stdout.buffer:
        show(console(), columns, rows)
        return
    text = TextIOWrapper(file, encoding="utf-8")
    show(Console(file=text, width=_WIDE), columns, rows)
    text.detach()  # flushes, and leaves the file open to its owner


def _say_failures(lines: list[str], gathered: Gathered, *, given: bool) -> bool:
    for line in lines:
        say(line)
    failed = len(gathered.failed)
    lacking = f"{failed} of {failed + gathered.answered} days"
    if failed and gathered.answered:
        say(f"the answer lacks {lacking}" if given else f"no answer without {lacking}, but with --partial")
    return not failed


class _Bar:
    """How many days are done and how many rows there are, for whoever sits before a terminal."""

    def __init__(self, days: int, *, shown: bool) -> None:
        self._days = days
        self._shown = shown and sys.stderr.isatty()
        self._progress: Any = None

    def move(self, done: int, rows: int) -> None:
        if self._progress is not None:
            self._progress.update(self._task, completed=done, rows=f"{rows:,} rows")

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()

    def __enter__(self) -> _Bar:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            self._progress = Progress(
                TextColumn("days"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rows]}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._progress.add_task("", total=self._days, rows="")
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
