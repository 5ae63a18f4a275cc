"""What is to be recorded and published before anything is done: days that changed, files that tell something.

Pure, as the planner is: nothing here looks at a disk or a clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from msgspec import Struct

from handlers.pattern import Pattern
from watcher.events import Closed, Conflict, Event, Opened, Reopened, Rotated
from watcher.settings import Settings
from watcher.state import Database, Facts


class Notice(Struct, frozen=True):
    """Something that was observed, to be recorded before anything is done."""

    key: str
    event: Event


def rotations(
    known: Mapping[str, Facts], early: Iterable[str], settings: Settings, now: datetime
) -> list[Notice]:
    """The streams whose current day has changed.

    Args:
        known: what the journal knows of each stream, by its name.
        early: streams whose writer already writes into the day after the current one.
    """
    found = []
    early = set(early)
    for stream, options in settings.data.streams.items():
        last = known.get(stream, Facts()).rotated
        today = now.date()
        ahead = stream in early and last is not None and last.current == today.isoformat()
        target = today + timedelta(days=1) if ahead else today
        if last is not None and not _day_changed(date.fromisoformat(last.current), target, today):
            continue
        pattern = Pattern(options.pattern)
        cause = "start" if last is None else "writer" if ahead else "clock"
        event = Rotated(
            current=target.isoformat(),
            previous=last.current if last else None,
            current_db=f"{settings.data.root}/{pattern.path_of(target)}",
            previous_db=last.current_db if last else None,
            cause=cause,
        )
        found.append(Notice(stream, event))
    return found


def _day_changed(current: date, target: date, today: date) -> bool:
    # A clock that went back a little says nothing until it is past the last rotation again. One that had
    # been more than a day ahead was wrong then: waiting for it could silence a year of rotations.
    return target > current or current > today + timedelta(days=1)


def observe(database: Database, now: datetime) -> Event | None:
    """What the files tell that the facts do not know yet."""
    files, facts = database.files, database.facts
    if database.running or files.anomaly or files.database is None or facts.expired or facts.lost:
        return None  # what comes back to a lost day is read and compared before anything is said of it
    if facts.compressed:
        return _observe_late(database)
    if facts.sealed:
        # A file that took the name while the original was being retired is for that step to judge.
        return None if files.retired else _observe_reopened(database)
    if database.held and not facts.opened:
        return Opened(database.paths.database)
    if database.held is False and _was_written(database) and database.day <= now.date():
        return Closed(database.paths.database, files.database, files.wal_bytes)
    return None


def has_late_file(database: Database) -> bool:
    """Whether a database stands beside the day's compressed copies that is not a restored one."""
    return bool(database.facts.compressed and database.files.database and not _is_restored(database))


def _observe_late(database: Database) -> Event | None:
    """Said once of each file, however often its writer comes back to it."""
    known, late = database.facts.conflict, database.files.database
    assert late is not None
    evidence = hashlib.sha256(f"late file {late.inode}".encode()).hexdigest()[:16]
    if not has_late_file(database) or (known and known.evidence in (evidence, database.files.evidence)):
        return None
    return Conflict(
        path=database.paths.database,
        error=f"a new {database.paths.database} stands beside the compressed day",
        hint=f"`tickward merge {database.key}` brings its ticks into the day; or move it away. "
        "Both are left untouched until then",
        evidence=evidence,
    )


def _is_restored(database: Database) -> bool:
    """Whether it is the uncompressed copy that was put there for a person, and nobody wrote to it."""
    facts, files = database.facts, database.files
    if facts.restored is None or facts.sealed is None or files.wal_bytes:
        return False
    return files.database == facts.sealed.signature


def _observe_reopened(database: Database) -> Event | None:
    files, sealed = database.files, database.facts.sealed
    assert sealed is not None
    if files.wal_bytes:
        return Reopened(database.paths.database, "a write-ahead log stands beside the sealed file")
    if files.database != sealed.signature:
        return Reopened(database.paths.database, "the file is not as it was when it was sealed")
    return None


def _was_written(database: Database) -> bool:
    """Whether the file is another than when it was last closed, or made."""
    files, facts = database.files, database.facts
    if facts.opened:
        return True
    if facts.closed is not None:
        return (facts.closed.signature, facts.closed.wal_bytes) != (files.database, files.wal_bytes)
    return facts.created is None or facts.created.signature != files.database
