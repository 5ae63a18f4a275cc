"""Compact: seal a day, and give it a file without the room that its pages have to spare.

An index whose newest entries come first leaves its pages half empty; `VACUUM INTO` fills them. The
new file takes the place of the day only when it holds the same, as proven by a hash of everything
that a query can see. It is a saving, and so never a reason to fail: whatever speaks against it is
recorded, and the day stays as it was sealed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import msgspec
from msgspec import structs

from handlers.contract import Job, Sealed, StepError, Trouble
from handlers.database import corrupt, integrity_problems, opened_immutable
from handlers.files import SYNC_BYTES, require_space, sha256_of, signature_of, temporary
from handlers.progress import report
from handlers.repair import keep_access, require_writer_away
from handlers.rows import quoted
from handlers.seal import seal
from handlers.takeover import finish_takeover, take_over

_LEAST_SAVING_PERCENT = 2
_PRAGMAS = ("encoding", "user_version", "application_id")
_ROW_NUMBERS = ("rowid", "_rowid_", "oid")
_CACHE_KIB = 64 * 1024
_STEPS_BETWEEN_SYNCS = 10_000
_CHUNK_BYTES = 64 * 1024


def seal_compactly(job: Job) -> Sealed:
    """Seal the day, and make its file smaller if the options say so and nothing speaks against it.

    StepError as `seal`; BUSY, CHANGED or CONFLICT also if the writer comes back meanwhile.
    """
    path = Path(job.paths.database)
    finish_takeover(path)
    sealed = seal(job)
    if not job.options.compact:
        return sealed
    try:
        return _compacted(path, sealed, job.options.quiet_seconds)
    except (StepError, OSError, apsw.Error) as error:
        if _of_the_day(error) or not _is_in_place(path, sealed):
            raise
        require_writer_away(path, sealed)  # or it could be the reason
        return structs.replace(sealed, not_compacted=str(error))


def content_hash(connection: apsw.Connection, *, with_row_numbers: bool = False) -> str:
    """The SHA-256, in hex, of everything that a query can see of a database.

    It is taken of MessagePack values: some pragmas, the schema, and each table in the order of the
    names: its name, its rows as arrays in the order they are stored in, and their number. So values
    count with their type and their last bit. Numbers of rows that no column bears count only
    ``with_row_numbers``: SQLite may give others when it writes a table anew, but another table may
    refer to them. Needs memory for one row. StepError if there is something that cannot be compared.
    """
    digest = hashlib.sha256()
    encoder = msgspec.msgpack.Encoder()
    try:
        digest.update(encoder.encode([connection.pragma(name) for name in _PRAGMAS]))
        schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2, 3"
        digest.update(encoder.encode(list(connection.execute(schema))))
        for name in _tables(connection, "table", "shadow"):
            digest.update(encoder.encode(name))
            columns = f"{_row_number(connection, name)}*" if with_row_numbers else "*"
            # Or a smaller index with all columns would be read in the place of the table, in its order.
            rows = connection.execute(f"SELECT {columns} FROM main.{quoted(name)} NOT INDEXED")  # noqa: S608
            digest.update(encoder.encode(_add(rows, digest.update, encoder)))
    except UnicodeDecodeError as error:
        raise _unfit("it has text that is not UTF-8") from error
    return digest.hexdigest()


def _add(rows: apsw.Cursor, update: Callable[[bytearray], None], encoder: msgspec.msgpack.Encoder) -> int:
    """Hash rows, one after the other; returns how many there were."""
    count, chunk, append = 0, bytearray(), encoder.encode_into
    for row in rows:
        append(row, chunk, -1)
        count += 1
        if len(chunk) >= _CHUNK_BYTES:
            update(chunk)
            chunk.clear()
    update(chunk)
    return count


def _row_number(connection: apsw.Connection, table: str) -> str:
    """How the numbers of a table's rows are asked for, with a comma; empty: its rows have none."""
    listed = connection.execute(
        "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table,)
    )
    if any(without for (without,) in listed):
        return ""
    columns = {row[1].lower() for row in connection.execute(f"PRAGMA main.table_xinfo({quoted(table)})")}
    for name in _ROW_NUMBERS:
        if name not in columns:
            return f"{name}, "
    raise _unfit(f"the rows of its table {table} have numbers that no name leads to")


def _tables(connection: apsw.Connection, *kinds: str) -> list[str]:
    listed = list(connection.execute("PRAGMA main.table_list"))
    return sorted(name for _, name, kind, *_ in listed if kind in kinds and name != "sqlite_schema")


def _of_the_day(error: Exception) -> bool:
    return isinstance(error, StepError) and error.trouble is not Trouble.FAILED


def _is_in_place(path: Path, sealed: Sealed) -> bool:
    there = signature_of(path)
    return there is not None and there.inode == sealed.signature.inode


def _compacted(path: Path, sealed: Sealed, quiet_seconds: float) -> Sealed:
    require_space(path.parent, sealed.size_bytes)
    with temporary(path) as temp:
        with _original(path, sealed) as connection:
            require_comparable(connection)
            _rewrite(connection, temp, sealed.size_bytes)
        keep_access(temp, path)
        compacted = _described(temp, sealed)
        _require_saving(compacted)
        with _original(path, sealed) as connection:
            content = content_hash(connection)
        _require_same(temp, content)
        take_over(temp, path, sealed, quiet_seconds, "compacted")
    require_writer_away(path, compacted)
    return structs.replace(compacted, content_sha256=content)


@contextmanager
def _original(path: Path, sealed: Sealed) -> Iterator[apsw.Connection]:
    """The day that was found to be sound a moment ago: what is wrong with it now is damage.

    It is read without a lock, so that nobody waits for us: a writer that came back is no damage.
    """
    try:
        with opened_immutable(path) as connection:
            yield connection
    except (apsw.CorruptError, apsw.NotADBError) as error:
        require_writer_away(path, sealed)
        raise corrupt(path, (str(error),)) from error


def require_comparable(connection: apsw.Connection) -> None:
    """StepError if what is in the database cannot be compared."""
    if names := _tables(connection, "virtual"):
        raise _unfit(f"it has virtual tables: {', '.join(names)}")
    if (encoding := connection.pragma("encoding")) != "UTF-8":
        raise _unfit(f"its text is {encoding}, not UTF-8")


def _rewrite(connection: apsw.Connection, temp: Path, size_bytes: int) -> None:
    """Write everything into the new file ``temp``, durably. SQLite itself would not sync it."""
    # Made first: nobody else may read it before it has the mode of the original.
    fd = os.open(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        connection.set_progress_handler(_syncing(fd, size_bytes), _STEPS_BETWEEN_SYNCS)
        connection.execute("VACUUM main INTO ?", (str(temp),))
        connection.set_progress_handler(None)
        os.fsync(fd)
    finally:
        os.close(fd)


def _syncing(fd: int, size_bytes: int) -> Callable[[], bool]:
    """Make what is written durable a few MiB at a time: one large flush would stall the tick writer."""
    synced = 0

    def go_on() -> bool:
        nonlocal synced
        written = os.fstat(fd).st_size
        if written >= synced + SYNC_BYTES:
            os.fdatasync(fd)
            synced = written
            report(written, max(size_bytes, written))
        return False

    return go_on


def _described(temp: Path, sealed: Sealed) -> Sealed:
    """The seal of the new file, by what the medium holds of it: what is proven after that is the same."""
    digest, signature = sha256_of(temp), signature_of(temp)
    assert signature is not None, "it has just been read"
    return structs.replace(
        sealed,
        sha256=digest,
        size_bytes=signature.size_bytes,
        signature=signature,
        uncompacted_bytes=sealed.size_bytes,
    )


def _require_saving(compacted: Sealed) -> None:
    before = compacted.uncompacted_bytes
    if (before - compacted.size_bytes) * 100 < before * _LEAST_SAVING_PERCENT:
        raise _unfit(f"it would not be {_LEAST_SAVING_PERCENT} % smaller")


def _require_same(temp: Path, content: str) -> None:
    with opened_immutable(temp) as connection:
        connection.pragma("cache_size", -_CACHE_KIB)
        if problems := integrity_problems(connection):
            raise _unfit(f"the smaller file came out damaged: {problems[0]}")
        if content_hash(connection) != content:
            raise _unfit("the smaller file does not hold the same")


def _unfit(why: str) -> StepError:
    return StepError(why, hint="the day stays as it was sealed")
