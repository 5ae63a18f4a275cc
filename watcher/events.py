"""The lifecycle events: what happened, typed. How they look on the wire is in `watcher.wire`.

Each event is one frozen struct, its name one row of `EVENTS`. Many of them are what a step returns.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from handlers.contract import (
    Adopted,
    Archived,
    BackedUp,
    Compressed,
    Created,
    Drilled,
    Expired,
    Holder,
    Lost,
    Merged,
    Repaired,
    Restored,
    Sealed,
    Signature,
    Verified,
)

DAEMON_KEY = "-"
"""The key of events that concern the daemon and no database."""


class Started(Struct, frozen=True):
    """The daemon has begun its work."""

    version: str
    """Of Tickward."""
    pid: int
    """The daemon's process."""
    root: str
    """The directory of the databases (``data.root``)."""
    sqlite_version: str
    """Of the SQLite that Tickward brings along."""
    mode: str = "daemon"
    """``daemon``; ``once`` for a single pass; ``order`` for what one command asked for."""


class Stopped(Struct, frozen=True):
    """The daemon has ended its work, in order: jobs have ended or were ended.

    The last event before its sockets close.
    """

    reason: str
    """The signal's name, such as ``SIGTERM``, or ``done`` after ``tickward once``."""
    mode: str = "daemon"
    """``daemon``; ``once`` for a single pass; ``order`` for what one command asked for."""


class Rotated(Struct, frozen=True):
    """A stream's current day has changed.

    At midnight UTC, before anything else is done about it; sooner if the writer has begun the next day
    already. A writer may switch files on this event.
    """

    current: str
    """The day that has begun, ``YYYY-MM-DD``."""
    previous: str | None
    """The day before it; null at the very first start."""
    current_db: str
    """The database of the day that has begun."""
    previous_db: str | None
    """The database of the day before it."""
    cause: str
    """``clock`` at midnight, ``writer`` if the writer was first, ``start`` at the very first start."""


class Opened(Struct, frozen=True):
    """Somebody has the database open for writing, and it was not known before."""

    path: str
    """The database."""


class Closed(Struct, frozen=True):
    """Nobody has the database open for writing any more.

    It was written to, has been left alone for ``watch.settle_seconds``, and no process holds it. A writer
    that comes back on the same day is ``opened`` and ``closed`` again.
    """

    path: str
    """The database."""
    signature: Signature
    """Of the file as it was left."""
    wal_bytes: int
    """Bytes in the write-ahead log beside it: more than 0 after a crash of the writer."""


class Reopened(Struct, frozen=True):
    """A sealed day has been written to. It is sealed and backed up anew: another ``sealed`` follows."""

    path: str
    """The database."""
    reason: str
    """How that was seen."""


class Deferred(Struct, frozen=True):
    """Sealing waits: the day is over, and somebody holds the database.

    Published once, and again whenever the holders change; sealing goes on being tried.
    """

    path: str
    """The database."""
    holders: tuple[Holder, ...]
    """Who has it open, as far as that can be seen."""
    since: datetime
    """When sealing was first put off: RFC 3339, UTC."""

    @property
    def who(self) -> str:
        """The holders, for a sentence."""
        return ", ".join(map(str, self.holders)) or "an unknown process"


class Failed(Struct, frozen=True):
    """A step did not succeed: the disk is full, a permission is missing. Published for every attempt."""

    step: str
    """The step."""
    error: str
    """What went wrong."""
    hint: str
    """What to do about it."""
    attempt: int
    """1 for the first failure in a row."""
    retryable: bool
    """False: it is not tried again until the files change or the daemon is restarted."""
    next_try: datetime | None
    """When it is tried again; null: it is not."""
    evidence: str
    """A digest of the day's files at that time: it changes when somebody mends them."""


class Corrupt(Struct, frozen=True):
    """A database is damaged. It stays as it is; nothing touches it until a person acts."""

    step: str
    """The step that found it."""
    path: str
    """The database."""
    error: str
    """What is wrong."""
    problems: tuple[str, ...]
    """What the check said."""
    hint: str
    """What to do about it."""
    evidence: str
    """A digest of the day's files at that time: it changes when somebody mends them."""


class Conflict(Struct, frozen=True):
    """There are two versions of one day, such as a new file beside a compressed one.

    Nothing touches either until a person acts.
    """

    path: str
    """The database."""
    error: str
    """What stands against what."""
    hint: str
    """What to do about it."""
    evidence: str
    """A digest of the day's files at that time: it changes when somebody mends them."""


class Held(Struct, frozen=True):
    """A person has ordered that the day is kept.

    Until it is released nothing of it is compressed, archived or deleted.
    """

    reason: str
    """Why."""
    by: str
    """Who."""


class Released(Struct, frozen=True):
    """A person has ended the hold. What is due by then is done."""

    reason: str
    """That of the hold."""
    by: str
    """Who ended it."""


class Configured(Struct, frozen=True):
    """The policy that is in force from now on.

    Recorded at the first start, and whenever the settings have changed it. Every event after this one
    happened under it; ``tickward audit export`` puts it beside each.
    """

    policy: dict[str, str]
    """Each rule in words, by its name: ``"restore": "kept for 7 days"``."""


class Tier(Struct, frozen=True):
    """How many days are in one state, and what they take."""

    days: int
    """How many."""
    bytes: int
    """Uncompressed."""
    bytes_now: int
    """Of the first copies, as they are."""


class Health(Struct, frozen=True):
    """How things stand: by default once an hour (``health.schedule``)."""

    tiers: dict[str, Tier]
    """By state, such as ``compressed``."""
    oldest: str | None
    """The oldest day that is not expired, ``YYYY-MM-DD``."""
    newest: str | None
    """The newest."""
    free_bytes: dict[str, int]
    """Free bytes by directory of ``[data]``: ``root``, ``backup``, ``archive``, ``state``."""
    due: int
    """Steps that are due and not done."""
    blocked: int
    """Days that wait for a person."""
    held: int
    """Days on hold."""
    last: dict[str, datetime]
    """When each step last succeeded, by the name of its event: RFC 3339, UTC."""


class DiskLow(Struct, frozen=True):
    """Free space has fallen below ``health.free_min`` on a directory's volume, or is above it again.

    Until then what needs space there is paused: backups, moves to another disk, drills.
    """

    low: dict[str, int]
    """Free bytes by directory of ``[data]`` where there is too little; empty: nowhere any more."""
    free_min_bytes: int
    """How much there should be."""
    hint: str
    """What to do about it."""


class Progress(Struct, frozen=True):
    """How far a long step is. Published about once a second while it runs, never recorded."""

    step: str
    """The step."""
    done_bytes: int
    """So far."""
    total_bytes: int
    """In all."""


class Pruned(Struct, frozen=True):
    """The anchor.

    Events older than ``journal.keep_days`` have left the journal; what they had come to is kept in their
    place, in the table ``anchor_facts``. From here ``tickward audit verify`` proves the rest. Whoever asks
    for a replay of what is gone gets what is kept, and is told so.
    """

    through: int
    """The number of the last event that was removed."""
    hash: str
    """Its link of the chain, in hexadecimal: the next event's link follows from it."""
    facts_sha256: str
    """SHA-256 of ``anchor_facts``: of one line for each key in the order of its bytes, a JSON array without
    spaces of the key and of the stored text, and a line feed."""
    before: datetime
    """Older events than this were removed: RFC 3339, UTC."""


Event = (
    Started
    | Stopped
    | Configured
    | Created
    | Rotated
    | Opened
    | Closed
    | Sealed
    | Reopened
    | BackedUp
    | Compressed
    | Archived
    | Expired
    | Restored
    | Merged
    | Held
    | Released
    | Verified
    | Repaired
    | Lost
    | Drilled
    | Adopted
    | Deferred
    | Failed
    | Corrupt
    | Conflict
    | Health
    | DiskLow
    | Pruned
)

EVENTS: dict[str, type[Event]] = {
    "started": Started,
    "stopped": Stopped,
    "configured": Configured,
    "created": Created,
    "rotated": Rotated,
    "opened": Opened,
    "closed": Closed,
    "sealed": Sealed,
    "reopened": Reopened,
    "backed_up": BackedUp,
    "compressed": Compressed,
    "archived": Archived,
    "expired": Expired,
    "restored": Restored,
    "merged": Merged,
    "held": Held,
    "released": Released,
    "verified": Verified,
    "repaired": Repaired,
    "lost": Lost,
    "drilled": Drilled,
    "adopted": Adopted,
    "deferred": Deferred,
    "failed": Failed,
    "corrupt": Corrupt,
    "conflict": Conflict,
    "health": Health,
    "disk_low": DiskLow,
    "pruned": Pruned,
}
"""Every event that the journal records, by its name."""
UNRECORDED: dict[str, type[Progress]] = {"progress": Progress}
"""What is published and not recorded: it has no number, and nobody can ask for it again."""
_NAMES = {kind: name for name, kind in EVENTS.items()}


def name_of(event: Event) -> str:
    """The name under which an event is published."""
    return _NAMES[type(event)]


class Record(Struct, frozen=True):
    """An event as the journal holds it: it exists, it has a number, it will not change."""

    sequence: int
    time: datetime
    event: str
    key: str
    data: Raw

    def decode(self) -> Event:
        """The typed event. Raises `msgspec.ValidationError` if the data is not of its type."""
        return msgspec.json.decode(self.data, type=EVENTS[self.event])
