"""What the planner says of a database: a step that is due, what it waits for, or why a person must act."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from handlers.contract import SCHEDULE, Step
from watcher.state import Database

TAKE_AWAY = (Step.COMPRESS, Step.ARCHIVE, Step.EXPIRE)
"""Steps that remove something: what a hold forbids."""

NO_SUCH_DAY = "there is no such day: `tickward plan` lists those that there are"


class Action(Struct, frozen=True):
    """A step that is due."""

    key: str
    step: Step
    reason: str
    due: datetime
    live: bool = False
    """Backup only: copy the day although somebody holds it."""
    proven_at: datetime | None = None
    """Verify only: when its copies were last read, the longest ago first."""
    policy: str = ""
    """Expire only: the rule in words, for the certificate."""
    by: str = SCHEDULE
    """Who ordered it."""


class Wait(Struct, frozen=True):
    """Nothing to do now."""

    key: str
    reason: str
    until: datetime | None = None
    step: Step | None = None
    """What will be done then."""
    verify_at: datetime | None = None
    """When its copies are read again, if that is sooner."""
    passing: bool = False
    """Something is under way with it: there is another answer in a moment."""
    paused: bool = False
    """The step is due, but the volume that it needs has too little space: it goes on when there is more."""


class Block(Struct, frozen=True):
    """Nothing will be done until a person acts."""

    key: str
    reason: str
    failed: bool = True
    """False for what was only set aside: it is no day of ours, or not yet, or a rail asks first."""
    step: Step | None = None
    """What would be done, if it was that which is blocked."""


Entry = Action | Wait | Block


class Doubts(Struct, frozen=True):
    """Why some steps are better not done now, although they are due."""

    backup: str = ""
    """The backup directory may not be what it was: nothing may be written or missed there."""
    archive: str = ""
    """The same of the archive."""
    journal: str = ""
    """It may not be the journal that it was: what it does not know may have been on hold."""
    clock_until: datetime | None = None
    """The clock jumped forward: what only depends on the date waits until then."""
    low: Mapping[str, str] = {}
    """Which directories of ``[data]`` are on a volume with too little space, each in a sentence."""


_NEED_BACKUP = (Step.BACKUP, Step.COMPRESS, Step.EXPIRE, Step.VERIFY, Step.ADOPT)
_NEED_ARCHIVE = (Step.ARCHIVE, Step.EXPIRE, Step.DRILL, Step.ADOPT)
_GO_BY_DATE = (Step.CREATE, Step.COMPRESS, Step.ARCHIVE, Step.EXPIRE, Step.VERIFY, Step.DRILL)


def in_doubt(entry: Entry, database: Database, doubts: Doubts, now: datetime) -> Entry:
    """The same entry, unless what it would touch may not be what it was, or has no room for it."""
    if not isinstance(entry, Action):
        return entry
    if doubts.journal and entry.step in (*TAKE_AWAY, Step.VERIFY):  # it knows of no later merge or deletion
        return Block(entry.key, doubts.journal, step=entry.step)
    if doubts.backup and entry.step in _NEED_BACKUP:
        return Block(entry.key, doubts.backup, step=entry.step)
    # An archive that is not mounted shows no copies: they must not be taken for lost, or made anew there.
    in_archive = database.facts.archived is not None and entry.step in (Step.VERIFY, Step.COMPRESS)
    if doubts.archive and (entry.step in _NEED_ARCHIVE or in_archive):
        return Block(entry.key, doubts.archive, step=entry.step)
    if doubts.clock_until and doubts.clock_until > now and entry.step in _GO_BY_DATE:
        reason = "the clock has jumped forward: waiting whether it stays"
        return Wait(entry.key, reason, doubts.clock_until, entry.step)
    if too_little := doubts.low.get(_fills(entry.step, database), ""):
        return Wait(entry.key, f"paused: {too_little}", None, entry.step, paused=True)
    return entry


def is_paused(entry: Entry) -> bool:
    """Whether it would be done now, if there were room for it."""
    return isinstance(entry, Wait) and entry.paused


def _fills(step: Step, database: Database) -> str:
    """The directory on whose volume a step leaves less space than it found; empty: on none to speak of.

    A database that is made is tiny, and its writer waits for it. What is compressed takes a fraction of what
    goes away for it. Sealing and reading are proofs: they write next to nothing, unless there is damage.
    """
    files = database.files
    if step is Step.COMPRESS:
        frees = files.database is not None or files.retired or files.backup is not None
        return "" if frees else "backup"  # a lost second copy is made again
    return _FILLED.get(step, "")


_FILLED = {
    Step.BACKUP: "backup",
    Step.ARCHIVE: "archive",
    Step.RESTORE: "root",
    Step.MERGE: "root",
    Step.DRILL: "state",
    Step.ADOPT: "state",
}
