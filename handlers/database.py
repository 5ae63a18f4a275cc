"""Every SQLite open of the tick databases, through apsw.

The standard library's sqlite3 is never used: its SQLite can have the WAL-reset bug, and two SQLites
in one process break each other's POSIX locks. For the same reason nothing here reads a database
file directly while a connection to it is open.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import apsw

from handlers.contract import Sealed, Signature, StepError, Trouble
from handlers.files import SYNC_BYTES, give_owner, open_source, signature_of
from handlers.pages import HEADER_BYTES, Header, begins_a_database


class Ticks(NamedTuple):
    """What is in a day's table. Stamps are Unix milliseconds."""

    ticks: int = 0
    symbols: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    counted: bool = True
    """False: there is no table of that name, and so nothing to count."""

    @classmethod
    def of(cls, sealed: Sealed) -> Ticks:
        return cls(sealed.ticks, sealed.symbols, sealed.first_tick_ms, sealed.last_tick_ms)

    def lacks(self, earlier: Ticks) -> bool:
        """Whether something that ``earlier`` had is no longer there."""
        return (
            self.ticks < earlier.ticks
            or _lost(earlier.first_ms, self.first_ms, min)
            or _lost(earlier.last_ms, self.last_ms, max)
        )


def read_header(path: Path) -> Header:
    """Read the header without SQLite; StepError if this is no SQLite database.

    It also keeps SQLite away from files it would harm: opening an empty database deletes the -wal
    beside it. Not for a process that has a connection to the file open.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise _not_a_database(path, "it is not a regular file")
    with open_source(path) as file:
        raw = file.read(HEADER_BYTES)
    if not raw:
        raise _not_a_database(path, "it is empty")
    if len(raw) < HEADER_BYTES or not begins_a_database(raw):
        raise _not_a_database(path, "it does not begin as one")
    return Header.of(raw)


def create(path: Path, schema: str) -> None:
    """Make a new database in WAL mode from the SQL text ``schema``; one file, nothing beside it."""
    with opened(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) as connection:
        _run(connection, schema)
        if connection.pragma("journal_mode", "wal") != "wal":
            raise StepError(
                f"no WAL mode in {path.parent}",
                hint="keep active databases on a local filesystem",
                retryable=False,
            )
        if problems := integrity_problems(connection):
            raise corrupt(path, problems)


def fold_and_check(path: Path, table: str, earlier: Ticks | None) -> tuple[Ticks, Signature | None]:
    """Check a database, fold what is beside it into the file, and say what is in it.

    The signature was taken before the ticks were counted: as long as it holds, the count does.

    Nothing is changed unless the check is clean and ``earlier`` is still contained. Afterwards the
    database is in rollback mode: one file. Raises apsw.BusyError, with nothing changed, while any
    other process has a WAL database open.
    """
    with opened(path, apsw.SQLITE_OPEN_READWRITE) as connection:
        # The last one to close a WAL database folds the WAL in: not before it has been checked.
        # Without a WAL there is nothing to keep, and closing tidies up.
        if has_content(path, "-wal"):
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        if problems := integrity_problems(connection):
            raise corrupt(path, problems)
        if earlier is not None:
            require_contained(path, describe(connection, table), earlier)
        folded = has_content(path, "-wal")
        _leave_wal(connection, path)
        settled = signature_of(path)
        if folded and (problems := integrity_problems(connection, quick=True)):
            raise corrupt(path, problems)
        return describe(connection, table), settled


def copy_live(source: Path, temp: Path) -> None:
    """Copy a database that others have open into the new file ``temp``: one state of it, whole.

    The read transaction pins that state, so that commits made meanwhile neither show up nor make
    the backup start anew; it is what allows making the copy durable step by step. The source is
    opened for reading only. ``temp`` is made first and kept open because a descriptor of it must
    not be closed while SQLite has it open.
    """
    fd = os.open(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(fd, stat.S_IMODE(source.stat().st_mode) & 0o777)
        with suppress(PermissionError):  # a copy is as good in our own name
            give_owner(temp)
        with opened(source, apsw.SQLITE_OPEN_READONLY) as reader, opened(temp) as writer:
            _run(reader, "BEGIN; SELECT count(*) FROM sqlite_schema")
            _copy_pages(reader, writer, fd)
            _run(reader, "COMMIT")
            writer.pragma("journal_mode", "delete")
        os.fsync(fd)
    finally:
        os.close(fd)


def examine_copy(path: Path, table: str) -> Ticks:
    """Check one of our own copies and say what is in it. Takes no lock and leaves nothing behind.

    Only for files that nobody writes to: what is in a -wal beside it is not seen.
    """
    with opened_immutable(path) as connection:
        if problems := integrity_problems(connection):
            raise corrupt(path, problems)
        return describe(connection, table)


def count_in_copy(path: Path, table: str) -> int:
    """The ticks in one of our own copies; 0 if it is too damaged to tell. As `examine_copy`."""
    try:
        with opened_immutable(path) as connection:
            return describe(connection, table).ticks
    except apsw.Error:
        return 0


def integrity_problems(connection: apsw.Connection, *, quick: bool = False) -> tuple[str, ...]:
    """The first ten problems SQLite finds; empty if it finds none.

    The result is read from the rows: SQLite reports damage as data, not as an error, as long as it
    can read at all.
    """
    pragma = "quick_check" if quick else "integrity_check"
    found: list[str] = []
    try:
        # Of some damage SQLite tells on several lines; it ends up in logs and tables.
        found.extend(" ".join(str(text).split()) for (text,) in connection.execute(f"PRAGMA {pragma}(10)"))
    except (apsw.CorruptError, apsw.NotADBError) as error:
        found.append(str(error))
    return () if found == ["ok"] else tuple(found[:10]) or ("the check gave no answer",)


def describe(connection: apsw.Connection, table: str) -> Ticks:
    """Count the ticks; what the table or a missing column cannot tell is 0 or None."""
    name = '"' + table.replace('"', '""') + '"'
    columns = {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
    if not columns:
        return Ticks(counted=False)

    def ask(expression: str) -> object:
        # Separate queries: SQLite answers each from an index where there is one.
        return connection.execute(f"SELECT {expression} FROM {name}").get  # noqa: S608

    stamped = "timestamp" in columns
    return Ticks(
        ticks=_whole(ask("count(*)")) or 0,
        symbols=(_whole(ask("count(DISTINCT symbol)")) or 0) if "symbol" in columns else 0,
        first_ms=_whole(ask("min(timestamp)")) if stamped else None,
        last_ms=_whole(ask("max(timestamp)")) if stamped else None,
    )


def require_contained(path: Path, now: Ticks, earlier: Ticks) -> None:
    """A day may grow after it was sealed, never shrink: StepError CONFLICT if it did."""
    if now.lacks(earlier):
        raise StepError(
            f"{path} lost ticks since it was sealed: {earlier.ticks} -> {now.ticks}"
            f" ({earlier.first_ms}..{earlier.last_ms} -> {now.first_ms}..{now.last_ms})",
            hint="compare it with its backup, and keep the one that is right, or merge them",
            trouble=Trouble.CONFLICT,
            retryable=False,
        )


def sidecar(path: Path, suffix: str) -> Path:
    """The file SQLite keeps beside a database: suffix ``-wal``, ``-shm`` or ``-journal``."""
    return path.with_name(path.name + suffix)


def has_content(path: Path, suffix: str) -> bool:
    """Whether there is such a file beside the database, and it is not empty."""
    try:
        return sidecar(path, suffix).lstat().st_size > 0
    except FileNotFoundError:
        return False


def corrupt(path: Path, problems: tuple[str, ...]) -> StepError:
    return StepError(
        f"{path} is damaged: {problems[0]}",
        hint="nothing was changed; copy the file with its -wal before trying `.recover`,"
        " and compare it with its backup",
        trouble=Trouble.CORRUPT,
        retryable=False,
        problems=problems,
    )


@contextmanager
def opened(path: Path, flags: int = apsw.SQLITE_OPEN_READWRITE) -> Iterator[apsw.Connection]:
    """A connection that waits for nobody: if the database is busy, so it is reported."""
    connection = apsw.Connection(str(path), flags=flags)
    try:
        yield connection
    finally:
        connection.close()


def immutable(path: Path) -> apsw.Connection:
    """A connection to a file that nobody writes to: no locks, nothing made beside it."""
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    return apsw.Connection(f"file:{quote(str(path))}?immutable=1", flags=flags)


@contextmanager
def opened_immutable(path: Path) -> Iterator[apsw.Connection]:
    """A connection to a file that nobody writes to, for as long as this lasts."""
    connection = immutable(path)
    try:
        yield connection
    finally:
        connection.close()


def _leave_wal(connection: apsw.Connection, path: Path) -> None:
    if sidecar(path, "-journal").exists():
        # Left by a writer in PERSIST mode. SQLite removes it only when leaving that mode.
        connection.pragma("journal_mode", "persist")
    if connection.pragma("journal_mode", "delete") != "delete":
        raise apsw.BusyError(f"{path} stays in WAL mode")
    if sidecar(path, "-shm").exists():
        # An index whose -wal is gone. Only SQLite knows under lock that nobody uses it.
        connection.pragma("journal_mode", "wal")
        connection.pragma("journal_mode", "delete")


def _copy_pages(reader: apsw.Connection, writer: apsw.Connection, fd: int) -> None:
    # The copy is thrown away if anything goes wrong, so it needs no journal of its own.
    writer.pragma("journal_mode", "off")
    writer.pragma("synchronous", "off")
    page_bytes = reader.pragma("page_size")
    pages = max(SYNC_BYTES // int(page_bytes or 4096), 1)
    with writer.backup("main", reader, "main") as backup:
        while not backup.done:
            backup.step(pages)
            os.fdatasync(fd)


def _run(connection: apsw.Connection, sql: str) -> None:
    for _ in connection.execute(sql):
        pass


def _whole(value: object) -> int | None:
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else None
    return value if isinstance(value, int) else None


def _lost(earlier: int | None, now: int | None, outer: Callable[[int, int], int]) -> bool:
    """Whether the earlier first (``min``) or last (``max``) stamp is no longer covered."""
    return earlier is not None and (now is None or outer(earlier, now) != now)


def _not_a_database(path: Path, why: str) -> StepError:
    return StepError(
        f"{path} is not an SQLite database: {why}",
        hint="find out what wrote it, and move it out of the data directory",
        retryable=False,
    )
