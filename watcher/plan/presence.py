"""Whether the files of a day are where they should be: not there yet, not there any more, or there again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from handlers.contract import Step
from watcher.plan.entries import Action, Block, Doubts, Entry, Wait
from watcher.plan.setbacks import unless_failed
from watcher.schedule import start_of
from watcher.settings import Settings
from watcher.state import Database


class Rooted(NamedTuple):
    """How many of some days are known to be in the root."""

    known: int
    has_sealed: bool
    is_there: bool
    """Whether one of them is."""


def rooted(databases: Iterable[Database]) -> Rooted:
    """Count."""
    known = [database for database in databases if database.facts.existed and _belongs_in_root(database)]
    is_there = any(database.files.primary for database in known)
    return Rooted(len(known), any(database.facts.sealed for database in known), is_there)


def empty_root(databases: Iterable[Database]) -> str:
    """A root without any of the days that are known to be in it is not a root to work in."""
    return why_empty([rooted(databases)])


def why_empty(parts: Iterable[Rooted]) -> str:
    """The same, of days that have been counted."""
    parts = list(parts)
    if not any(part.has_sealed for part in parts) or any(part.is_there for part in parts):
        return ""
    return (
        f"the root holds none of the {sum(part.known for part in parts)} days that are known to be there: "
        "is it mounted? Nothing is done until they are back; on a new disk `tickward restore` brings them"
    )


def decide_absent(database: Database, settings: Settings, doubts: Doubts, now: datetime) -> Entry:
    """What is to be done about a day of which no first copy is where it should be."""
    key, facts = database.key, database.facts
    if database.files.wal_bytes:
        log = f"{database.paths.database}-wal"
        return Block(key, f"{log} is there without its database: it may hold ticks; put the two together")
    if database.day < now.date() and not facts.existed and not database.files.backup:
        return Wait(key, "nobody made a database that day")
    if facts.archived:
        return gone(database, database.paths.archived, settings, now, doubts.archive)
    if facts.sealed or facts.closed or facts.opened or database.day < now.date():
        return gone(database, database.paths.database, settings, now)
    if not settings.create.enabled:
        return Wait(key, "its writer makes it (create.enabled is false)")
    begins = start_of(database.day)
    first = begins - timedelta(days=settings.create.ahead_days)
    if first > now:
        return Wait(key, "its day has not begun, and nobody has made it", first, Step.CREATE)
    reason = "today's database is missing" if begins <= now else "made ahead of its day"
    return unless_failed(database, Action(key, Step.CREATE, reason, first), settings, now)


def decide_future(database: Database, settings: Settings, now: datetime) -> Entry:
    """What is to be done about a day that has yet to begin."""
    begins = start_of(database.day)
    created = database.facts.created
    ours = created is not None and created.signature == database.files.database
    if not ours and database.day - now.date() > timedelta(days=max(settings.create.ahead_days, 1)):
        return Block(
            database.key,
            f"dated in the future ({database.day}): set aside until {database.day}; "
            "check the clock of whoever made it",
            failed=False,
        )
    return Wait(database.key, "its day has not begun", begins)


def decide_expired(database: Database) -> Entry:
    """What there is to say of a day that was deleted."""
    expired = database.facts.expired
    assert expired is not None
    when = database.facts.times["expired"]
    if database.files.any_copy:
        again = "but a file of that day is there again: it is left alone; move it out of the way"
        return Block(database.key, f"{_deleted(when, expired.by)}, {again}", failed=False)
    return Wait(database.key, why_gone(when, expired.by, expired.reason))


def why_gone(when: datetime, by: str, reason: str) -> str:
    """What there is to say of a day that was deleted."""
    return f"{_deleted(when, by)}: {reason}; its certificate is in the journal"


def _deleted(when: datetime, by: str) -> str:
    return f"deleted on {when.date()} by {by}"


def gone(database: Database, path: str, settings: Settings, now: datetime, doubt: str = "") -> Entry:
    """Its first copy is not where it should be: made anew only if a person says so."""
    if doubt:
        return Block(database.key, doubt)
    if database.facts.sealed and not database.files.any_copy:
        reason = "every copy of it is gone: looked for once more before it is called lost"
        return unless_failed(database, Action(database.key, Step.VERIFY, reason, now), settings, now)
    reason = f"its file is gone from {path}"
    if database.facts.sealed is None and database.day >= now.date():
        reason += ": what was written to it is there only as long as its writer has it open; have its writer "
        reason += "make another, or put a copy back"
    if database.files.backup_compressed or database.files.backup:
        reason += f"; its backup is still in {settings.data.backup}"
        if database.facts.sealed:
            reason += f": `tickward verify {database.key}` puts it back"
    return Block(database.key, reason)


def _belongs_in_root(database: Database) -> bool:
    facts = database.facts
    # A file in the archive: an archiving that was interrupted before its record has emptied the root.
    return not (facts.archived or database.files.archived or facts.expired or facts.lost)
