"""How far each hook is, and what could not be delivered: ``hooks.db``, beside the journal.

A file of its own, because the journal has one writer. A `Store` belongs to the thread that opened it; as many
may be open as there are hooks, and that of a command.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import apsw
from loguru import logger
from msgspec import Raw, Struct

from watcher.errors import TickwardError
from watcher.journal_format import is_empty
from watcher.wire import Position

FILE = "hooks.db"
MOST_LETTERS = 1000
"""Dead letters that are kept for one hook."""
_VERSION = 1
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE positions (
    hook TEXT PRIMARY KEY, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE letters (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    hook TEXT NOT NULL,
    runs TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    event TEXT NOT NULL,
    subject TEXT NOT NULL,
    message TEXT NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    at TEXT NOT NULL
);
CREATE INDEX letters_by_hook ON letters (hook, number);
PRAGMA user_version = {_VERSION};
COMMIT;
"""
# Beside the others and by itself: a file that was made before there were such still serves.
_TRIES = """
CREATE TABLE IF NOT EXISTS tries (
    hook TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due REAL NOT NULL
) WITHOUT ROWID
"""
_COLUMNS = "hook, runs, epoch, sequence, event, subject, message, error, attempts, at"
_BUSY_MS = 5000
_MAKING = threading.Lock()
"""What is damaged is set aside once, and not also what another hook has just begun anew."""


class Tried(NamedTuple):
    """An event that a hook was given in vain so far."""

    position: Position
    attempts: int
    """How often."""
    due: float
    """When it is tried again, in seconds since 1970."""


class Letter(Struct, frozen=True):
    """A dead letter: an event that a hook could not be given."""

    hook: str
    """The hook's key: the event, and a digest of what was run."""
    runs: str
    """What was run, as people may read it."""
    epoch: int
    """The journal that the event is from."""
    sequence: int
    """The event's number."""
    event: str
    """Its name."""
    subject: str
    """What it is about: ``stream/YYYY-MM-DD``, a stream, or ``-``."""
    message: Raw
    """The event, as it was to be delivered."""
    error: str
    """What went wrong at last."""
    attempts: int
    """How often it was tried."""
    at: datetime
    """When it was given up."""
    number: int = 0
    """By which a person names it; 0 as long as it is not kept."""


class Store:
    """One connection to ``hooks.db``. Every method raises `apsw.Error` if the file cannot be used."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    @classmethod
    def make(cls, file: Path) -> Store:
        """Open it, made if it is not there. What is damaged is set aside, with a warning, and begun anew."""
        with _MAKING:
            try:
                return cls._opened(file, apsw.SQLITE_OPEN_CREATE)
            except (apsw.NotADBError, apsw.CorruptError, _StrangeError) as error:
                aside = _set_aside(file)
                logger.bind(error=str(error)).warning(
                    "{} was damaged ({}) and is set aside as {}: each hook goes on with the newest event, "
                    "and what could not be delivered before is listed only there",
                    file,
                    error,
                    aside.name,
                )
            return cls._opened(file, apsw.SQLITE_OPEN_CREATE)

    @classmethod
    def open(cls, file: Path) -> Store | None:
        """Open what a daemon has made; None if there is none. Raises `TickwardError` if it cannot be used."""
        if not file.exists():
            return None
        try:
            return cls._opened(file)
        except (apsw.Error, _StrangeError) as error:
            raise TickwardError(
                f"{file} cannot be used ({error}); check its permissions. If it is damaged, the daemon sets "
                "it aside at its next start"
            ) from error

    @classmethod
    def _opened(cls, file: Path, create: int = 0) -> Store:
        connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE | create)
        try:
            connection.set_busy_timeout(_BUSY_MS)
            if create and is_empty(connection):
                connection.execute(_SCHEMA)
            _require_ours(connection)
            if create:
                connection.execute(_TRIES)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    def positions(self) -> dict[str, Position]:
        """How far each hook is, by its key: the last event that it needs no more."""
        rows = self._connection.execute("SELECT hook, epoch, sequence FROM positions")
        return {str(hook): Position(epoch, sequence) for hook, epoch, sequence in rows}

    def begin(self, hook: str, position: Position) -> None:
        """A hook goes on from here, wherever it was: what was tried after that is another event by now."""
        with self._connection as connection:
            self.note(hook, position)
            connection.execute("DELETE FROM tries WHERE hook = ?", (hook,))

    def note(self, hook: str, position: Position) -> None:
        """A hook has got so far."""
        with self._connection as connection:
            connection.execute("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", (hook, *position))
            connection.execute(
                "DELETE FROM tries WHERE hook = ? AND NOT (epoch = ? AND sequence > ?)", (hook, *position)
            )

    def tried(self, hook: str) -> Tried | None:
        """The event that a hook is about to be given again."""
        rows = self._connection.execute(
            "SELECT epoch, sequence, attempts, due FROM tries WHERE hook = ?", (hook,)
        )
        return next((Tried(Position(epoch, number), count, due) for epoch, number, count, due in rows), None)

    def note_tried(self, hook: str, tried: Tried) -> None:
        """A hook could not be given an event."""
        row = (hook, *tried.position, tried.attempts, tried.due)
        self._connection.execute("INSERT OR REPLACE INTO tries VALUES (?, ?, ?, ?, ?)", row)

    def keep_only(self, hooks: Collection[str]) -> None:
        """Forget how far all other hooks were."""
        marks = ", ".join("?" * len(hooks))
        for table in ("positions", "tries"):
            self._connection.execute(f"DELETE FROM {table} WHERE hook NOT IN ({marks})", tuple(hooks))  # noqa: S608

    def bury(self, letter: Letter) -> int:
        """Keep a dead letter; its hook has got past it. Returns how many old ones were dropped for it."""
        with self._connection as connection:
            connection.execute(
                f"INSERT INTO letters ({_COLUMNS}) VALUES ({', '.join('?' * 10)})",  # noqa: S608
                _row_of(letter),
            )
            self.note(letter.hook, Position(letter.epoch, letter.sequence))
            connection.execute(
                "DELETE FROM letters WHERE hook = ?1 AND number <= "
                "(SELECT number FROM letters WHERE hook = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
                (letter.hook, MOST_LETTERS),
            )
        return self._connection.changes()

    def letters(self) -> list[Letter]:
        """All dead letters, the oldest first."""
        rows = self._connection.execute(f"SELECT {_COLUMNS}, number FROM letters ORDER BY number")  # noqa: S608
        return [_letter_of(row) for row in rows]

    def counts(self) -> dict[str, tuple[str, int]]:
        """By the hook's key, what it runs and how many dead letters there are."""
        rows = self._connection.execute("SELECT hook, max(runs), count(*) FROM letters GROUP BY hook")
        return {str(hook): (str(runs), count) for hook, runs, count in rows}

    def drop(self, number: int) -> None:
        """Remove a dead letter."""
        self._connection.execute("DELETE FROM letters WHERE number = ?", (number,))

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _StrangeError(Exception):
    """It is a database, and not ours."""


def _require_ours(connection: apsw.Connection) -> None:
    said = connection.execute("PRAGMA quick_check(1)").get
    if said != "ok":
        raise _StrangeError(str(said))
    version = connection.pragma("user_version")
    if version != _VERSION:
        raise _StrangeError(f"its format is {version}, not {_VERSION}")


def _row_of(letter: Letter) -> tuple[str | int, ...]:
    return (
        letter.hook,
        letter.runs,
        letter.epoch,
        letter.sequence,
        letter.event,
        letter.subject,
        bytes(letter.message).decode(),
        letter.error,
        letter.attempts,
        letter.at.isoformat(),
    )


def _letter_of(row: tuple[Any, ...]) -> Letter:
    hook, runs, epoch, sequence, event, subject, message, error, attempts, at, number = row
    return Letter(
        hook=hook,
        runs=runs,
        epoch=epoch,
        sequence=sequence,
        event=event,
        subject=subject,
        message=Raw(message.encode()),
        error=error,
        attempts=attempts,
        at=datetime.fromisoformat(at),
        number=number,
    )


def _set_aside(file: Path) -> Path:
    aside = file.with_name(f"{file.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    file.replace(aside)
    with suppress(FileNotFoundError):  # of a transaction that was under way: it belongs to the damaged one
        file.with_name(f"{file.name}-journal").replace(aside.with_name(f"{aside.name}-journal"))
    return aside
