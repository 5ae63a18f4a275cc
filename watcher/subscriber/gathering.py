"""A snapshot that is true at one number, made of pages that are each true at their own. Pure."""

from __future__ import annotations

from msgspec import Struct

from watcher import wire
from watcher.events import Rotated
from watcher.subscriber.place import id_of
from watcher.subscriber.questions import Question
from watcher.wire import DatabaseState, Position


class Snapshot(Struct, frozen=True):
    """What had become of every database when the event of this number had been recorded."""

    epoch: int
    sequence: int
    streams: dict[str, Rotated]
    """The last rotation of each stream, by its name: its current day."""
    databases: dict[str, DatabaseState]
    """By their subjects, such as ``ticks/2026-01-20``."""

    @property
    def id(self) -> str:
        """The id of that event: what follows it is had with ``since``."""
        return id_of(Position(self.epoch, self.sequence))


class Gathering:
    """Asks for all pages, then for what has changed since the first of them, until nothing has."""

    def __init__(self) -> None:
        self._epoch = wire.ANY_EPOCH
        self._databases: dict[str, DatabaseState] = {}
        self._since = 0
        self._after = ""
        self._first: int | None = None
        """The number at which the first page of this round is true."""

    def question(self) -> Question:
        return Question(wire.SNAPSHOT, self._epoch, self._since, self._after)

    def take(self, position: Position, page: wire.Snapshot) -> Snapshot | None:
        """The whole, once this page makes it one.

        Another journal, or one that does not tell any more what has changed, makes it begin anew.
        """
        if page.status != "ok" or self._epoch not in (wire.ANY_EPOCH, position.epoch):
            self._begin_anew()
            return None
        self._epoch = position.epoch
        self._first = position.sequence if self._first is None else self._first
        self._databases.update((each.subject, each) for each in page.databases)
        if page.more and page.databases:
            self._after = page.databases[-1].subject
        elif position.sequence == self._first:
            return Snapshot(*position, page.streams, dict(sorted(self._databases.items())))
        else:
            self._begin_round(self._first)
        return None

    def _begin_anew(self) -> None:
        self._epoch = wire.ANY_EPOCH
        self._databases = {}
        self._begin_round(0)

    def _begin_round(self, since: int) -> None:
        self._since, self._after, self._first = since, "", None
