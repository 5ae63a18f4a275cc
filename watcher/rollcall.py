"""Which days have just the files that they should have: a look at very many days at once.

Most days are so. A directory is listed once, and each of its days crossed off; a day that is not as recorded
is left for a closer look.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import astuple

from handlers.pattern import Pattern
from watcher.beside import Beside
from watcher.journal import Journal
from watcher.lifecycle import State
from watcher.paths import journal_file
from watcher.settings import Data
from watcher.summary import Recorded, Summary
from watcher.tree import Listing, signature

_MANY_BYTES = 64 << 20
"""A journal that is larger may know so many days that a process of its own is worth it."""


class Roll(Struct, frozen=True):
    """What a look at all files has shown."""

    head: int
    """The newest event when the journal was asked which days there are."""
    present: set[str]
    """The keys of the days that are as recorded. Their files are accounted for."""
    listing: Listing
    """All other files: of days that are not as recorded, of days that nobody asked for, of nobody."""


def call_the_roll(data: Data, days: Iterable[Recorded | Summary], head: int) -> Roll:
    """See which days have the files that a day in their state has, and an unchanged database.

    Args:
        data: where they are; `root`, `backup` and `archive` are absolute and free of symbolic links.
        days: those of which there is nothing out of the ordinary to say. What else there is of one stays in
            the listing.
        head: see `Roll`.
    """
    listing = Listing.of((data.root, data.backup, data.archive))
    names: defaultdict[str, dict[date, _Name]] = defaultdict(dict)
    streams = {
        name: _Stream(Pattern(stream.pattern), data, listing, names) for name, stream in data.streams.items()
    }
    present = set()
    for day in days:
        stream, _, text = day.key.partition("/")
        if stream in streams and streams[stream].is_as_recorded(day, date.fromisoformat(text)):
            present.add(day.key)
    return Roll(head, present, listing)


class RollCall:
    """The same, begun at once: beside this process, if that is worth it."""

    def __init__(self, data: Data) -> None:
        self._data = data
        file = journal_file(data)
        is_large = file.exists() and file.stat().st_size > _MANY_BYTES
        self._beside = Beside(lambda: _called(data, file), Roll) if is_large else None

    def __enter__(self) -> RollCall:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._beside is not None:
            self._beside.end()

    def result(self, days: Iterable[Summary], head: int) -> Roll:
        """What it has shown, of these days, as the journal has them at its event ``head``."""
        roll = self._beside.result() if self._beside is not None else None
        if roll is not None and roll.head == head:
            return roll
        # Not done beside; or something was recorded in the meantime, and the days may not be the same.
        return call_the_roll(self._data, (day for day in days if day.plain), head)


def _called(data: Data, file: Path) -> Roll:
    journal = Journal.open_for_reading(file)
    assert journal is not None
    with journal, journal.snapshot():
        head = journal.head()
        return call_the_roll(data, journal.plain_days(), head)


class _Name(NamedTuple):
    """What the files of one day are called."""

    database: str
    compressed: str


class _Place:
    """The same directory in root, backup and archive: the names in it that are not accounted for."""

    __slots__ = ("archive", "backup", "below", "root")

    def __init__(self, directory: str, data: Data, listing: Listing) -> None:
        self.below = f"{directory}/" if directory else ""
        self.root, self.backup, self.archive = (
            listing.names.get(f"{top}/{directory}" if directory else top, set())
            for top in (data.root, data.backup, data.archive)
        )


class _Stream:
    """Where the days of one stream are.

    Args:
        names: those that are known already, by how they are formed: most streams have the same ones.
    """

    def __init__(
        self, pattern: Pattern, data: Data, listing: Listing, names: Mapping[str, dict[date, _Name]]
    ) -> None:
        self._pattern, self._data, self._listing = pattern, data, listing
        self._names = names[pattern.name]
        self._places: dict[tuple[int, int] | date, _Place] = {}

    def is_as_recorded(self, recorded: Recorded | Summary, day: date) -> bool:
        """Whether there are the files of a day in this state. Those are accounted for."""
        name, place = self._of(day)
        state = recorded.state
        if state is State.COMPRESSED:
            return _crossed_off(name.compressed, place.root, place.backup)
        if state is State.ARCHIVED:
            return _crossed_off(name.compressed, place.archive, place.backup)
        return state is State.BACKED_UP and self._is_as_sealed(recorded, name.database, place)

    def _is_as_sealed(self, recorded: Recorded | Summary, name: str, place: _Place) -> bool:
        if name not in place.root or name not in place.backup:
            return False
        raw = signature(f"{self._data.root}/{place.below}{name}")
        if raw is None or astuple(raw) != (recorded.bytes, recorded.mtime_ns, recorded.inode):
            return False
        copy = signature(f"{self._data.backup}/{place.below}{name}")
        if copy is None or copy.size_bytes != raw.size_bytes:
            return False
        return _crossed_off(name, place.root, place.backup)

    def _of(self, day: date) -> tuple[_Name, _Place]:
        """What the files of a day are called, and where they are."""
        which = day if self._pattern.has_daily_directories else (day.year, day.month)
        place = self._places.get(which)
        if place is None:
            place = _Place(self._pattern.directory_of(day), self._data, self._listing)
            self._places[which] = place
        name = self._names.get(day)
        if name is None:
            database = self._pattern.name_of(day)
            name = self._names[day] = _Name(database, f"{database}.zst")
        return name, place


def _crossed_off(name: str, first: set[str], second: set[str]) -> bool:
    """Whether it is in both. If so, it is accounted for in both."""
    if name not in first or name not in second:
        return False
    first.remove(name)
    second.remove(name)
    return True
