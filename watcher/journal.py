"""The journal: the facts of every database and the log of every event, in one SQLite file.

An event exists once it is in here (invariant 4). Its fact is written in the same transaction, so the two
never disagree; sequence numbers start at 1 and have no gaps; each row carries the hash of the row before it,
so that an edited, removed or re-ordered row shows.

The daemon's loop is the only writer. The publisher and the command line read through connections of their
own: a `Journal` belongs to the thread that opened it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import apsw
import msgspec
from msgspec import Raw

from watcher.errors import TickwardError
from watcher.events import EVENTS, Event, Record, name_of
from watcher.state import Facts, fold

_SCHEMA = """
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
PRAGMA user_version = 1;
"""
_VERSION = 1
_BUSY_MS = 5000


class Journal:
    """One open journal. Use `open_for_writing` in the daemon and `open_for_reading` elsewhere."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.epoch = int(self._meta("epoch"))
        """Names this journal: sequence numbers of another epoch mean other events."""

    @classmethod
    def open_for_writing(cls, file: Path) -> Journal:
        """Open the journal, made if it is not there. Raises `TickwardError` if it is damaged."""
        connection = _connect(file, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        with _closed_on_error(connection, file):
            is_new = _is_empty(connection)
            if not is_new:
                _require_version(connection, file)
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "full")
            if is_new:
                _begin(connection)
            _require_intact(connection, file)
            return cls(connection)

    @classmethod
    def open_for_reading(cls, file: Path) -> Journal | None:
        """Open the journal beside a running daemon or without one; None if there is none yet."""
        try:
            if not file.exists():
                return None
        except OSError as error:
            raise _unreadable(file, error) from error
        connection = _connect(file, apsw.SQLITE_OPEN_READONLY)
        with _closed_on_error(connection, file):
            if _is_empty(connection):
                connection.close()
                return None
            _require_version(connection, file)
            return cls(connection)

    def record(self, entries: Iterable[tuple[str, Event]], at: datetime) -> list[Record]:
        """Write events, each with the key it concerns, and the facts that follow: all or none.

        Raises `apsw.Error` (disk full, ...): then nothing was recorded and nothing may be announced.
        """
        records = []
        with self._connection:
            sequence, tail = self._tail()
            for key, event in entries:
                sequence += 1
                row = (sequence, at.isoformat(), name_of(event), key, msgspec.json.encode(event).decode())
                tail = _chain(tail, row)
                self._connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", (*row, tail))
                self._put_facts(key, fold(self.facts(key), event, at))
                records.append(_record(row))
        return records

    def head(self) -> int:
        """The sequence number of the newest event; 0 if there is none."""
        return self._tail()[0]

    def oldest(self) -> int:
        """The sequence number of the oldest event that is kept; 0 if there is none."""
        return int(self._connection.execute("SELECT ifnull(min(sequence), 0) FROM events").get)

    def since(self, sequence: int, limit: int = 1000) -> list[Record]:
        """The events after a sequence number, in order, at most ``limit``."""
        rows = self._connection.execute(
            "SELECT sequence, time, event, key, data FROM events"
            " WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (sequence, limit),
        )
        return [_record(row) for row in rows]

    def facts(self, key: str) -> Facts:
        """What is known of a database; nothing but defaults for one that is not known."""
        data = self._connection.execute("SELECT data FROM facts WHERE key = ?", (key,)).get
        return _decode_facts(data) if data else Facts()

    def all_facts(self) -> dict[str, Facts]:
        """What is known of every database and stream."""
        rows = self._connection.execute("SELECT key, data FROM facts")
        return {str(key): _decode_facts(str(data)) for key, data in rows}

    def first_broken(self) -> int | None:
        """The first sequence number whose row is not what was recorded; None if all hold."""
        tail, expected = b"", 1
        for *row, stored in self._connection.execute("SELECT * FROM events ORDER BY sequence"):
            tail = _chain(tail, row)
            if row[0] != expected or tail != stored:
                return int(row[0])
            expected += 1
        return None

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _meta(self, name: str) -> int:
        value = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).get
        return int(value)

    def _tail(self) -> tuple[int, bytes]:
        row = self._connection.execute(
            "SELECT sequence, hash FROM events ORDER BY sequence DESC LIMIT 1"
        ).fetchone()
        return (int(row[0]), bytes(row[1])) if row else (0, b"")

    def _put_facts(self, key: str, facts: Facts) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, msgspec.json.encode(facts).decode())
        )


_decode_facts = msgspec.json.Decoder(Facts).decode


def _connect(file: Path, flags: int) -> apsw.Connection:
    try:
        connection = apsw.Connection(str(file), flags=flags)
    except apsw.Error as error:
        raise _unreadable(file, error) from error
    connection.set_busy_timeout(_BUSY_MS)
    return connection


@contextmanager
def _closed_on_error(connection: apsw.Connection, file: Path) -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        connection.close()
        raise _unreadable(file, error) from error
    except TickwardError:
        connection.close()
        raise


def _begin(connection: apsw.Connection) -> None:
    with connection:
        connection.execute(_SCHEMA)
        epoch = secrets.randbits(62) | 1
        connection.execute("INSERT INTO meta VALUES ('epoch', ?)", (epoch,))


def _is_empty(connection: apsw.Connection) -> bool:
    """Whether the file has yet to become a journal. One that somebody else made is not taken over."""
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    return bool(connection.pragma("user_version") == 0 and tables == 0)


def _require_version(connection: apsw.Connection, file: Path) -> None:
    version = connection.pragma("user_version")
    if version != _VERSION:
        raise TickwardError(
            f"{file} was written by another version of tickward (journal format {version}); "
            "run the version that wrote it, or move it aside to begin a new one"
        )


def _require_intact(connection: apsw.Connection, file: Path) -> None:
    problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    if problems != ["ok"]:
        raise TickwardError(
            f"{file} is damaged ({problems[0]}); move it aside and start again: the files of the "
            "days are untouched, and what they prove is recorded anew"
        )


def _unreadable(file: Path, error: Exception) -> TickwardError:
    return TickwardError(
        f"the journal {file} cannot be opened ({error}); check the permissions of its directory, "
        "or move it aside to begin a new one: the files of the days are untouched"
    )


def _chain(tail: bytes, row: Sequence[object]) -> bytes:
    """The hash that binds a row, exactly as it is stored, to all before it."""
    return hashlib.sha256(tail + msgspec.json.encode(row)).digest()


def _record(row: Sequence[object]) -> Record:
    sequence, time, event, key, data = row
    assert isinstance(sequence, int)
    if event not in EVENTS:
        raise TickwardError(
            f"the journal holds an event {event!r} that this version does not know; update tickward"
        )
    return Record(sequence, datetime.fromisoformat(str(time)), str(event), str(key), Raw(str(data).encode()))
