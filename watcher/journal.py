"""The journal: the facts of every database and the log of every event, in one SQLite file.

An event exists once it is in here (invariant 4). Its fact is written in the same transaction, so the two
never disagree; sequence numbers start at 1 and have no gaps; each row carries the hash of the row before it,
and the newest is noted apart, so that an edited, added, removed or re-ordered row shows (`watcher.audit`).

Old events can be pruned. What they had come to is kept in ``anchor_facts``, and the event `Pruned`, which is
in the chain like any other, says from where the rest is proven.

The daemon's loop is the only writer. The publisher and the command line read through connections of their
own: a `Journal` belongs to the thread that opened it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Literal, TypeVar

import apsw
import msgspec
from msgspec import Struct

from watcher import journal_format as form
from watcher.errors import TickwardError
from watcher.events import DAEMON_KEY, Event, Pruned, Record, name_of
from watcher.journal_format import BEGINNING, BrokenError, Link, Row
from watcher.state import Facts, fold
from watcher.summary import Recorded, Summary
from watcher.wire import Position

T = TypeVar("T")
_COLUMNS = "sequence, time, event, key, data, hash"
_BUSY_MS = 5000


class Witness(Struct, frozen=True):
    """Which event was the newest at some time, noted outside of the journal: it must not change any more."""

    epoch: str
    """Of the journal, in hexadecimal."""
    sequence: int
    """The event's number."""
    hash: str
    """Its link of the chain, in hexadecimal: it vouches for all events before it."""
    at: datetime
    """When that event was recorded."""


class Start(Struct, frozen=True):
    """From where the events that are kept are proven."""

    sequence: int
    """The number of the `Pruned` event that says so; 0: nothing was ever pruned."""
    link: Link
    """What the oldest event that is kept follows."""
    facts_sha256: str
    """Of what the events before it had come to (`journal_format.facts_digest`)."""


class Journal:
    """One open journal. Use `open_for_writing` in the daemon and `open_for_reading` elsewhere."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.epoch = self._meta("epoch", int)
        """Names this journal: sequence numbers of another epoch mean other events."""

    @classmethod
    def open_for_writing(cls, file: Path) -> Journal:
        """Open the journal, made if it is not there and brought up to date if it is of an older format.

        Raises `TickwardError` if it is damaged.
        """
        connection = form.connect(file, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE, _BUSY_MS)
        with form.closed_on_error(connection, file):
            is_new = form.is_empty(connection)
            if not is_new:
                form.require_version(connection, file, *range(1, form.VERSION + 1))
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "full")
            if is_new:
                form.begin(connection)
            form.require_intact(connection, file)
            form.migrate(connection, file)
            return cls(connection)

    @classmethod
    def open_for_reading(cls, file: Path) -> Journal | None:
        """Open the journal beside a running daemon or without one; None if there is none yet."""
        try:
            if not file.exists():
                return None
        except OSError as error:
            raise form.unreadable(file, error) from error
        connection = form.connect_to_read(file, _BUSY_MS)
        with form.closed_on_error(connection, file):
            if form.is_empty(connection):
                connection.close()
                return None
            form.require_version(connection, file, form.VERSION)
            return cls(connection)

    def record(self, entries: Iterable[tuple[str, Event]], at: datetime) -> list[Record]:
        """Write events, each with the key it concerns, and the facts that follow: all or none.

        Raises `apsw.Error` (disk full, ...): then nothing was recorded and nothing may be announced.
        """
        records: list[Record] = []
        with self._connection:
            records += self._append(entries, at)
        return records

    def prune(self, before: datetime, at: datetime, limit: int = 5000, least: int = 100) -> Record | None:
        """Remove the oldest events with a time before ``before``, at most ``limit`` and never the newest.

        What they had come to is kept, and a `Pruned` event is recorded: all or nothing. Returns that event,
        or None if nothing was removed. Fewer than ``least`` stay for now: each pruning adds an event that is
        to be pruned in its turn, and however often it is tried, this is never more than one in so many.

        Raises `BrokenError` if what is to be removed is not what was recorded: it stays, as evidence. Raises
        `apsw.Error` as `record` does.
        """
        old = self._older_than(before, limit)
        if len(old) < least:
            return None
        last = old[-1]
        with self._connection:
            self._fold_into_anchor(old)
            self._connection.execute("DELETE FROM events WHERE sequence <= ?", (last.sequence,))
            digest = form.facts_digest(self.rows_of("anchor_facts"))
            pruned = Pruned(last.sequence, last.hash.hex(), digest, before)
            (record,) = self._append([(DAEMON_KEY, pruned)], at)
            self._connection.execute("UPDATE meta SET value = ? WHERE name = 'anchor'", (record.sequence,))
        return record

    def head(self) -> int:
        """The sequence number of the newest event; 0 if there is none."""
        return self._meta("head", int)

    def head_link(self) -> Link:
        """The newest event that was recorded, whether or not it is still there."""
        return Link(self._meta("head", int), self._meta("head_hash", bytes))

    def oldest(self) -> int:
        """The sequence number of the oldest event that is kept; 0 if there is none."""
        return int(self._connection.execute("SELECT ifnull(min(sequence), 0) FROM events").get)

    def where_to_go_on(self, position: Position) -> Position:
        """A position in this journal: from another one, its beginning."""
        if position.epoch != self.epoch:
            return Position(self.epoch, 0)
        return Position(
            self.epoch, min(position.sequence, self.head())
        )  # an older copy may have been put back

    def since(self, sequence: int, limit: int = 1000) -> list[Record]:
        """The events after a sequence number, in order, at most ``limit``."""
        return [form.record_of(row) for row in self._rows("sequence > ?", sequence, limit=limit)]

    def facts(self, key: str) -> Facts:
        """What is known of a database; nothing but defaults for one that is not known."""
        data = self._connection.execute("SELECT data FROM facts WHERE key = ?", (key,)).get
        return form.decode_facts(data) if data else Facts()

    def databases(self, after: str, limit: int, since: int = 0) -> dict[str, Facts]:
        """What is known of the databases whose keys follow ``after``, in the order of the keys' bytes.

        At most ``limit`` of them; of those only to which something has happened after the event ``since``.
        """
        statement = """
            SELECT key, data FROM facts
            WHERE key > ? AND instr(key, '/')  -- a stream has no such key
            AND (? = 0 OR EXISTS (SELECT 1 FROM events WHERE events.key = facts.key AND sequence > ?))
            ORDER BY key LIMIT ?
        """
        return _decoded(self._connection.execute(statement, (after, since, since, limit)))

    def all_facts(self) -> dict[str, Facts]:
        """What is known of every database and stream."""
        return _decoded(self.rows_of("facts"))

    def facts_of(self, keys: Iterable[str]) -> dict[str, Facts]:
        """What is known of these databases; nothing of those that are not known."""
        wanted = msgspec.json.encode(list(keys)).decode()
        statement = "SELECT key, data FROM facts WHERE key IN (SELECT value FROM json_each(?))"
        return _decoded(self._connection.execute(statement, (wanted,)))

    def stream_facts(self) -> dict[str, Facts]:
        """What is known of the streams, and of the daemon."""
        return _decoded(self._connection.execute("SELECT key, data FROM facts WHERE NOT instr(key, '/')"))

    def summaries(self, deleted_since: datetime | None = None) -> list[Summary]:
        """Every day in one row, in the order of the keys' bytes.

        ``deleted_since``: leave out those that were deleted before, but for the one that was deleted last and
        the one that was restored on trial last. None: leave out none.
        """
        statement = """
            SELECT * FROM summaries WHERE state <> 'expired' OR expired_at >= ? OR key IN (?, ?) ORDER BY key
        """
        since = deleted_since.isoformat() if deleted_since else ""
        rows = self._connection.execute(statement, (since, *self._last_deleted())).fetchall()
        return msgspec.convert(rows, list[Summary], strict=False)

    def plain_days(self) -> list[Recorded]:
        """What files there should be of the days of which there is nothing out of the ordinary to say."""
        columns = ", ".join(Recorded.__struct_fields__)
        statement = f"SELECT {columns} FROM summaries WHERE plain AND state <> 'expired'"  # noqa: S608
        return msgspec.convert(self._connection.execute(statement).fetchall(), list[Recorded], strict=False)

    def deleted(self, before: datetime) -> dict[str, int]:
        """The days that were deleted before a moment: their uncompressed bytes, by key."""
        statement = """
            SELECT key, bytes FROM summaries WHERE state = 'expired' AND expired_at < ? ORDER BY key
        """
        rows = self._connection.execute(statement, (before.isoformat(),)).fetchall()
        return dict(msgspec.convert(rows, list[tuple[str, int]]))

    def _last_deleted(self) -> list[str]:
        newest = "SELECT key FROM summaries WHERE state = 'expired' AND {0} <> '' ORDER BY {0} DESC LIMIT 1"
        return [str(self._connection.execute(newest.format(by)).get) for by in ("expired_at", "drilled_at")]

    def anchor_facts(self) -> dict[str, Facts]:
        """What was known of them when the oldest event that is kept had yet to happen."""
        return _decoded(self.rows_of("anchor_facts"))

    def rows_of(self, table: Literal["facts", "anchor_facts"]) -> Iterator[tuple[str, str]]:
        """Facts as they are stored: keys, in the order of their bytes, and JSON."""
        yield from self._connection.execute(f"SELECT key, data FROM {table} ORDER BY key")  # noqa: S608

    def rows(self) -> Iterator[Row]:
        """All events as they are stored, in order. Inside of `snapshot` they are those of one moment."""
        return self._rows()

    def events_of(self, key: str, limit: int = 10_000, event: str = "") -> list[Row]:
        """The newest events of a database, a stream or the daemon, as they are stored, in order.

        ``event``: only those of this name; empty: all.
        """
        statement = f"""
            SELECT {_COLUMNS} FROM events WHERE key = ? AND (? = '' OR event = ?)
            ORDER BY sequence DESC LIMIT ?
        """  # noqa: S608
        rows = self._connection.execute(statement, (key, event, event, limit))
        return [*map(Row._make, rows)][::-1]

    def row(self, sequence: int) -> Row | None:
        """An event as it is stored; None if it is not there (any more)."""
        return next(self._rows("sequence = ?", sequence), None)

    def link(self, sequence: int) -> bytes | None:
        """The hash of an event, also of the last one that was pruned; None if it is not there (any more)."""
        start = self.start()
        row = self.row(sequence)
        return row.hash if row else start.link.hash if start.link.sequence == sequence else None

    def start(self) -> Start:
        """From where the events that are kept are proven. Raises `BrokenError` if that cannot be read."""
        number = self._meta("anchor", int)
        if number == 0:
            return Start(0, BEGINNING, form.facts_digest(()))
        try:
            row = self.row(number)
            if row is None:
                raise BrokenError(f"event {number} is missing, which the rest is proven from", number)
            pruned = msgspec.json.decode(row.data, type=Pruned)
            return Start(number, Link(pruned.through, bytes.fromhex(pruned.hash)), pruned.facts_sha256)
        except (ValueError, TypeError) as error:  # also what msgspec raises
            raise BrokenError(f"event {number} does not say what the rest is proven from", number) from error

    def witness(self) -> Witness | None:
        """What to note outside of the journal: its newest event now; None if there is none."""
        with self.snapshot():  # number, hash and time of one event, whatever is recorded meanwhile
            head = self.head_link()
            row = self.row(head.sequence)
        at = datetime.fromisoformat(row.time) if row else None
        return Witness(f"{self.epoch:x}", head.sequence, head.hash.hex(), at) if at else None

    def first_broken(self) -> int | None:
        """The first event that does not follow from the one before it; None if all do.

        `watcher.audit` checks this and all else that can be checked.
        """
        try:
            for _ in form.linked(self.rows(), self.start().link):
                pass
        except BrokenError as broken:
            return broken.sequence
        return None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """As long as this lasts, everything is read as it was at one moment, whatever others record."""
        with self._connection:
            yield

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _meta(self, name: str, kind: type[T]) -> T:
        value = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).get
        if not isinstance(value, kind):
            raise BrokenError(f"its note of the {name} is gone")
        return value

    def _rows(self, where: str = "true", *values: int, limit: int = -1) -> Iterator[Row]:
        statement = f"SELECT {_COLUMNS} FROM events WHERE {where} ORDER BY sequence LIMIT {limit}"  # noqa: S608
        return map(Row._make, self._connection.execute(statement, values))

    def _append(self, entries: Iterable[tuple[str, Event]], at: datetime) -> list[Record]:
        records = []
        sequence, tail = self.head_link()
        for key, event in entries:
            sequence += 1
            row = (sequence, at.isoformat(), name_of(event), key, msgspec.json.encode(event).decode())
            tail = form.chain(tail, row)
            self._connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", (*row, tail))
            known = {key: fold(self.facts(key), event, at)}
            form.put_facts(self._connection, "facts", known)
            form.put_summaries(self._connection, known)
            records.append(form.record_of(row))
        form.put_head(self._connection, Link(sequence, tail))
        return records

    def _older_than(self, before: datetime, limit: int) -> list[Row]:
        """The oldest events, each proven."""
        rows = self._rows("sequence < ?", self.head(), limit=limit)
        proven = form.linked(rows, self.start().link)
        return list(takewhile(lambda row: datetime.fromisoformat(row.time) < before, proven))

    def _fold_into_anchor(self, rows: Sequence[Row]) -> None:
        start = self.start()
        if form.facts_digest(self.rows_of("anchor_facts")) != start.facts_sha256:
            raise BrokenError("what pruned events had come to was edited", start.sequence or None)
        facts = self.anchor_facts()
        for row in rows:
            try:
                form.fold_row(facts, row)
            except ValueError as error:  # also what msgspec raises
                raise BrokenError(
                    f"event {row.sequence} is none of its kind ({error})", row.sequence
                ) from error
        form.put_facts(self._connection, "anchor_facts", {row.key: facts[row.key] for row in rows})


@contextmanager
def reading(file: Path) -> Iterator[Journal | None]:
    """A journal, open for reading; None if there is none yet.

    Raises `TickwardError` for whatever of it cannot be read as long as this lasts.
    """
    try:
        journal = Journal.open_for_reading(file)
        if journal is None:
            yield None
            return
        with journal:
            yield journal
    except (apsw.Error, ValueError) as error:
        raise TickwardError(
            f"the journal {file} cannot be read ({error}); `tickward audit verify` says what to do next"
        ) from error


@contextmanager
def reading_one(file: Path) -> Iterator[Journal]:
    """The same for whoever needs one: that there is none is a `TickwardError` too."""
    with reading(file) as journal:
        if journal is None:
            raise TickwardError(
                f"there is no journal {file}: the daemon makes it at its first start; "
                "is data.state of the configuration the one that you mean?"
            )
        yield journal


def _decoded(rows: Iterable[tuple[str, str]]) -> dict[str, Facts]:
    return {str(key): form.decode_facts(str(data)) for key, data in rows}
