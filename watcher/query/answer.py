"""One day's answer: the statement is run on that day's file, and its rows go into a file of their own.

Runs in a worker process, or for a single day in the process of the command.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import apsw
from msgspec import Struct

from handlers import progress
from handlers.files import signature_of
from handlers.scan import prefer_file_order
from handlers.seek_table import SeekableError
from handlers.vfs import ChangedError, open_path, require_unchanged, settle
from watcher.query import spool
from watcher.query.guard import StatementError, guard, prepared, sentence, unguarded
from watcher.query.mending import is_damage
from watcher.query.spool import Row

_TELL_EVERY_ROWS = 1000
_LOOK_AFTER_STEPS = 50_000


class Task(Struct, frozen=True):
    """One day to be asked."""

    path: Path
    """A database, or a seekable .zst of one."""
    sql: str
    """One statement."""
    rows: Path
    """Where its rows are put; nothing may be there yet."""
    inode: int | None = None
    """Of the file that is meant: it may be another one by the time this day's turn comes."""
    keep_rows: int | None = None
    """How many are put there at the most; the others are counted. None: all of them."""


class Answer(Struct, frozen=True):
    """What became of it."""

    columns: tuple[str, ...] = ()
    count: int = 0
    """The rows that the statement gave, kept or not."""
    error: str = ""
    """Why there is none: a sentence. Empty: there is one."""
    moved: bool = False
    """Whether it may go well once more: the file was written to meanwhile, or is elsewhere now."""
    damaged: bool = False
    """Whether it is the file's fault: what helps then is not known here (`watcher.query.mending`)."""


def answer(task: Task, *, interruptible: bool = False) -> Answer:
    """Ask one day; what goes wrong is in the answer. ``interruptible``: let signals through meanwhile."""
    seen = signature_of(task.path)
    if seen is not None and task.inode is not None and seen.inode != task.inode:
        return Answer(error=f"{task.path} is another file by now: ask again", moved=True)
    try:
        return _ask(task, interruptible)
    except (FileNotFoundError, apsw.CantOpenError) as error:
        return Answer(error=f"{task.path} cannot be opened any more ({error})", moved=True)
    except ChangedError:
        return Answer(error=f"{task.path} was written to while it was read: ask again", moved=True)
    except _ERRORS as error:
        return Answer(error=_why(task, error), damaged=is_damage(error))


def opened_guarded(path: Path, *, interruptible: bool = False) -> apsw.Connection:
    """A connection for statements that a person wrote. Errors as `handlers.vfs.open_path`.

    ``interruptible``: Python's signal handlers are run while a statement is, and may raise.
    """
    connection = open_path(path)
    try:
        guard(connection)
        if interruptible:
            connection.set_progress_handler(lambda: False, _LOOK_AFTER_STEPS)
    except BaseException:
        connection.close()
        raise
    return connection


def closed(connection: apsw.Connection) -> None:
    """Close it, whatever its statements are still doing."""
    with suppress(apsw.Error):
        connection.close(True)


_ERRORS = (apsw.Error, SeekableError, StatementError, OSError, UnicodeDecodeError, MemoryError)


def _ask(task: Task, interruptible: bool) -> Answer:
    task.rows.unlink(missing_ok=True)  # of an earlier attempt
    connection = opened_guarded(task.path, interruptible=interruptible)
    try:
        statement = prepared(connection, task.sql)
        if task.path.suffix == ".zst":
            with unguarded(connection):
                prefer_file_order(connection, statement.text)
        given = _Counted(connection.execute(statement.text))
        spool.write(task.rows, islice(given, task.keep_rows))
        for _ in given:
            pass
        settle(connection)
    except apsw.Error:
        require_unchanged(connection)  # what looks like damage may be what somebody is just writing
        raise
    finally:
        closed(connection)
    return Answer(statement.columns, given.count)


class _Counted:
    """Rows that are counted as they pass, and told to whoever looks at the progress."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            if self.count % _TELL_EVERY_ROWS == 0:
                progress.report(self.count, 0)
            yield row


def _why(task: Task, error: Exception) -> str:
    if isinstance(error, SeekableError):
        return str(error)
    if is_damage(error):
        return f"{task.path} is damaged ({error})"
    if isinstance(error, apsw.FullError) or getattr(error, "errno", None) == errno.ENOSPC:
        return f"no space for rows in {task.rows.parent}: free some, or set TMPDIR to another disk"
    if isinstance(error, MemoryError):
        return "there is not enough memory for it: ask for less at once"
    if isinstance(error, apsw.IOError | apsw.BusyError | apsw.ReadOnlyError):
        return f"{task.path}: {error}"
    return sentence(error)
