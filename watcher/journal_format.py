"""The journal's format: its tables, the chain that binds its rows, and how an older file becomes a newer one.

Each row of ``events`` carries the hash of itself, exactly as it is stored, and of the row before it. So
whoever knows the hash of one row knows every row before it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import apsw
import msgspec
from msgspec import Raw
from msgspec.structs import fields

from handlers.database import has_content, immutable
from handlers.files import is_read_only
from watcher.errors import TickwardError
from watcher.events import EVENTS, Record
from watcher.state import Facts, fold
from watcher.summary import Summary, summary_of

VERSION = 3
_ANCHOR_FACTS = "CREATE TABLE anchor_facts (key TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;"
_SUMMARIES = """
CREATE TABLE summaries (
    key TEXT PRIMARY KEY, state TEXT NOT NULL, plain INTEGER NOT NULL, troubled INTEGER NOT NULL,
    on_hold INTEGER NOT NULL, bytes INTEGER, mtime_ns INTEGER, inode INTEGER, packed_bytes INTEGER,
    ticks INTEGER, symbols INTEGER, sha256 TEXT NOT NULL, backup TEXT NOT NULL,
    sealed_at TEXT, backed_up_at TEXT, compressed_at TEXT, archived_at TEXT, expired_at TEXT,
    proven_at TEXT, drilled_at TEXT, gone_why TEXT NOT NULL, gone_by TEXT NOT NULL
) WITHOUT ROWID;
"""
_SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    event TEXT NOT NULL,
    key TEXT NOT NULL,
    data TEXT NOT NULL,
    hash BLOB NOT NULL
);
CREATE INDEX events_by_key ON events (key, sequence);
CREATE TABLE facts (key TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
{_ANCHOR_FACTS}
{_SUMMARIES}
PRAGMA user_version = {VERSION};
"""

_PLACES = ", ".join("?" * len(fields(Summary)))

encode_facts = msgspec.json.Encoder().encode
decode_facts = msgspec.json.Decoder(Facts).decode


class Row(NamedTuple):
    """An event as it is stored. Whoever edits a row may put anything into any column."""

    sequence: int
    time: str
    event: str
    key: str
    data: str
    hash: bytes


class Link(NamedTuple):
    """A place in the chain: an event's number, and its hash. Before the first event: 0, and no bytes."""

    sequence: int
    hash: bytes


BEGINNING = Link(0, b"")


class BrokenError(TickwardError):
    """The journal is not what was recorded: ``problem`` says how, ``sequence`` where if it is one event."""

    def __init__(self, problem: str, sequence: int | None = None) -> None:
        super().__init__(
            f"the journal is not what was recorded: {problem}; `tickward audit verify` says what to do next"
        )
        self.problem = problem
        self.sequence = sequence


def chain(tail: bytes, row: Sequence[object]) -> bytes:
    """The hash that binds a row to all before it: SHA-256 of the hash of the row before, and of the row.

    The row as a JSON array without spaces of its ``sequence``, ``time``, ``event``, ``key`` and ``data``.
    """
    return hashlib.sha256(tail + msgspec.json.encode(tuple(row[:5]))).digest()


def linked(rows: Iterable[Row], before: Link) -> Iterator[Row]:
    """The rows as long as each follows from the one before. Raises `BrokenError` where one does not."""
    try:
        for row in rows:
            _require_link(row, before)
            yield row
            before = Link(row.sequence, row.hash)
    except UnicodeDecodeError as error:
        number = before.sequence + 1
        raise BrokenError(f"event {number} is not what was recorded: it is no text", number) from error


def _require_link(row: Row, before: Link) -> None:
    expected = before.sequence + 1
    if row.sequence < expected:
        raise BrokenError(f"event {row.sequence} was put in: {expected} is the oldest", row.sequence)
    if row.sequence > expected:
        raise BrokenError(f"{events_are(expected, row.sequence - 1)} missing", expected)
    if row.hash != chain(before.hash, row):
        raise BrokenError(
            f"event {expected} is not what was recorded: it was edited, moved or put in", expected
        )


def events_are(first: int, last: int) -> str:
    """``event 5 is`` or ``events 5 to 7 are``: for a sentence."""
    return f"event {first} is" if first == last else f"events {first} to {last} are"


def facts_digest(rows: Iterable[Sequence[object]]) -> str:
    """SHA-256, in hexadecimal, of facts as they are stored.

    Of one line for each key, in the order of the keys' UTF-8 bytes: a JSON array without spaces of the key
    and of the stored text, and a line feed.
    """
    digest = hashlib.sha256()
    for row in rows:
        digest.update(msgspec.json.encode(tuple(row)) + b"\n")
    return digest.hexdigest()


def record_of(row: Sequence[object]) -> Record:
    """The event in a row. Raises `TickwardError` if this version does not know its kind."""
    sequence, time, event, key, data = row[:5]
    assert isinstance(sequence, int)
    if event not in EVENTS:
        raise TickwardError(
            f"the journal holds an event {event!r} that this version does not know; update tickward"
        )
    return Record(sequence, datetime.fromisoformat(str(time)), str(event), str(key), Raw(str(data).encode()))


def fold_row(facts: dict[str, Facts], row: Sequence[object]) -> None:
    """Put into ``facts`` what a stored event makes of its key."""
    record = record_of(row)
    facts[record.key] = fold(facts.get(record.key, Facts()), record.decode(), record.time)


def connect_to_read(file: Path, busy_ms: int) -> apsw.Connection:
    """Where nothing can be written SQLite cannot open a log beside it; without one nothing is missed."""
    if not is_read_only(file.parent) or has_content(file, "-wal"):
        return connect(file, apsw.SQLITE_OPEN_READONLY, busy_ms)
    try:
        return immutable(file)
    except apsw.Error as error:
        raise unreadable(file, error) from error


def connect(file: Path, flags: int, busy_ms: int) -> apsw.Connection:
    try:
        connection = apsw.Connection(str(file), flags=flags)
    except apsw.Error as error:
        raise unreadable(file, error) from error
    connection.set_busy_timeout(busy_ms)
    return connection


@contextmanager
def closed_on_error(connection: apsw.Connection, file: Path) -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        connection.close()
        raise unreadable(file, error) from error
    except TickwardError:
        connection.close()
        raise


def begin(connection: apsw.Connection) -> None:
    """Make an empty file a journal."""
    with connection:
        connection.execute(_SCHEMA)
        epoch = secrets.randbits(62) | 1
        connection.execute("INSERT INTO meta VALUES ('epoch', ?), ('anchor', 0)", (epoch,))
        put_head(connection, BEGINNING)


def put_head(connection: apsw.Connection, head: Link) -> None:
    """Note which event is the newest: only so does it show when the newest ones are removed."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('head', ?), ('head_hash', ?)", head)


def put_facts(connection: apsw.Connection, table: str, facts: dict[str, Facts]) -> None:
    rows = ((key, encode_facts(known).decode()) for key, known in facts.items())
    connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", rows)  # noqa: S608


def put_summaries(connection: apsw.Connection, facts: dict[str, Facts]) -> None:
    """Of the databases among them: streams have none."""
    rows = (msgspec.to_builtins(summary_of(key, known)) for key, known in facts.items() if "/" in key)
    connection.executemany(f"INSERT OR REPLACE INTO summaries VALUES ({_PLACES})", rows)  # noqa: S608


def is_empty(connection: apsw.Connection) -> bool:
    """Whether the file has yet to become a journal. One that somebody else made is not taken over."""
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    return bool(connection.pragma("user_version") == 0 and tables == 0)


def require_version(connection: apsw.Connection, file: Path, *known: int) -> None:
    version = connection.pragma("user_version")
    if version in known:
        return
    if version in range(1, VERSION):
        raise TickwardError(
            f"{file} is of an older version of tickward; start the daemon, which brings it up to date, "
            "or move it aside to begin a new one"
        )
    raise TickwardError(
        f"{file} was written by another version of tickward (journal format {version}); "
        "run the version that wrote it, or move it aside to begin a new one"
    )


def require_intact(connection: apsw.Connection, file: Path) -> None:
    problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    if problems != ["ok"]:
        raise _damaged(file, problems[0])


def migrate(connection: apsw.Connection, file: Path) -> None:
    """Bring a journal of an older format up to date, all or nothing.

    Raises `TickwardError` if it cannot be read.
    """
    version = connection.pragma("user_version")
    if version == VERSION:
        return
    with connection:
        if version == 1:
            _note_head_and_anchor(connection, file)
        _summarize(connection, file)
        connection.pragma("user_version", VERSION)


def _note_head_and_anchor(connection: apsw.Connection, file: Path) -> None:
    """Format 2 notes the head and keeps what pruned events had come to.

    The facts are folded anew: what events mean has been extended since. A later change of `fold` needs a
    format of its own for the same reason.
    """
    facts, head = _fold_all(connection, file)
    connection.execute("DELETE FROM facts")
    put_facts(connection, "facts", facts)
    connection.execute(_ANCHOR_FACTS)
    connection.execute("INSERT INTO meta VALUES ('anchor', 0)")
    put_head(connection, head)


def _summarize(connection: apsw.Connection, file: Path) -> None:
    """Format 3 has a row for each day."""
    connection.execute(_SUMMARIES)
    try:
        for key, data in list(connection.execute("SELECT key, data FROM facts")):
            put_summaries(connection, {key: decode_facts(data)})
    except ValueError as error:  # also what msgspec raises
        raise _damaged(file, f"its facts: {error}") from error


def _fold_all(connection: apsw.Connection, file: Path) -> tuple[dict[str, Facts], Link]:
    facts: dict[str, Facts] = {}
    head = BEGINNING
    try:
        for row in connection.execute("SELECT * FROM events ORDER BY sequence"):
            fold_row(facts, row)
            head = Link(row[0], row[5])
    except ValueError as error:  # also what msgspec raises
        raise _damaged(file, f"after event {head.sequence}: {error}") from error
    return facts, head


def _damaged(file: Path, problem: str) -> TickwardError:
    return TickwardError(
        f"{file} is damaged ({problem}); move it aside and start again: the files of the "
        "days are untouched, and what they prove is recorded anew"
    )


def unreadable(file: Path, error: Exception) -> TickwardError:
    """To throw it away is advised only where it is none: it knows what is on hold."""
    if isinstance(error, apsw.NotADBError | apsw.CorruptError):
        remedy = "put its newest copy back, or move it aside to begin a new one: the days are untouched"
    elif is_read_only(file.parent):
        remedy = f"{file.parent} is mounted read-only: find out why (`dmesg`), and mount it for writing"
    else:
        remedy = "check who may read and write in its directory, and whether its disk is well (`dmesg`)"
    return TickwardError(f"the journal {file} cannot be opened ({error}); {remedy}")
