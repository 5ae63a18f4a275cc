"""The lifecycle events: what happened, typed. How they look on the wire is in `watcher.wire`.

Each event is one frozen struct, its name one row of `EVENTS`. Many of them are what a step returns.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from handlers.contract import (
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
    pid: int
    root: str
    sqlite_version: str


class Stopped(Struct, frozen=True):
    """The daemon has ended its work, in order."""

    reason: str


class Rotated(Struct, frozen=True):
    """A stream's current day has changed. Published before anything else is done about it."""

    current: str
    """The day that has begun, YYYY-MM-DD."""
    previous: str | None
    """The day that was current before; None at the very first start."""
    current_db: str
    previous_db: str | None
    cause: str
    """``clock`` at midnight UTC, ``writer`` when the writer was first, ``start`` at the first start."""


class Opened(Struct, frozen=True):
    """Somebody has the database open for writing."""

    path: str


class Closed(Struct, frozen=True):
    """Nobody has the database open for writing any more."""

    path: str
    signature: Signature
    wal_bytes: int
    """Bytes left in the write-ahead log: more than 0 after a crash of the writer."""


class Reopened(Struct, frozen=True):
    """A sealed day was written to; it will be sealed and backed up anew."""

    path: str
    reason: str


class Deferred(Struct, frozen=True):
    """Sealing waits for whoever holds the database; it goes on being tried."""

    path: str
    holders: tuple[Holder, ...]
    since: datetime

    @property
    def who(self) -> str:
        """The holders, for a sentence."""
        return ", ".join(map(str, self.holders)) or "an unknown process"


class Failed(Struct, frozen=True):
    """A step failed."""

    step: str
    error: str
    hint: str
    attempt: int
    retryable: bool
    """False: it is not tried again until the files change or the daemon is restarted."""
    next_try: datetime | None
    evidence: str
    """Digest of the day's files at that time: it changes when somebody mends them."""


class Corrupt(Struct, frozen=True):
    """A database is damaged. It stays as it is; nothing touches it until a person acts."""

    step: str
    path: str
    error: str
    problems: tuple[str, ...]
    hint: str
    evidence: str


class Conflict(Struct, frozen=True):
    """There are two versions of one day. Nothing touches either until a person acts."""

    path: str
    error: str
    hint: str
    evidence: str


class Held(Struct, frozen=True):
    """A person has ordered that a day is kept: it is not compressed, archived or deleted until released."""

    reason: str
    by: str


class Released(Struct, frozen=True):
    """A person has ended a hold."""

    reason: str
    """That of the hold."""
    by: str


class Configured(Struct, frozen=True):
    """The policy that is in force from now on. Recorded at the first start, and whenever it has changed."""

    policy: dict[str, str]
    """Each rule in words, by its name, e.g. ``restore``: ``kept for 7 days``."""


class Tier(Struct, frozen=True):
    """How many days are in one state, and what they take."""

    days: int
    bytes: int
    """Uncompressed."""
    bytes_now: int
    """Of the first copies, as they are."""


class Health(Struct, frozen=True):
    """How things stand: by default once an hour."""

    tiers: dict[str, Tier]
    """By state, e.g. ``compressed``."""
    oldest: str | None
    """The oldest day that is not expired, YYYY-MM-DD."""
    newest: str | None
    free_bytes: dict[str, int]
    """By directory of ``[data]``: ``root``, ``backup``, ``archive``."""
    due: int
    """Steps that are due and not done."""
    blocked: int
    """Days that wait for a person."""
    held: int
    """Days on hold."""
    last: dict[str, datetime]
    """When each step last succeeded, by the name of its event."""


class Pruned(Struct, frozen=True):
    """The anchor: old events have left the journal, and this is what the rest is proven from."""

    through: int
    """The number of the last event that was removed."""
    hash: str
    """Its link of the chain, in hexadecimal: the next event's link follows from it."""
    facts_sha256: str
    """Of what had become of every database by then, which is kept in the place of the events."""
    before: datetime
    """Older events than this were removed (``journal.keep_days``)."""


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
    | Deferred
    | Failed
    | Corrupt
    | Conflict
    | Health
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
    "deferred": Deferred,
    "failed": Failed,
    "corrupt": Corrupt,
    "conflict": Conflict,
    "health": Health,
    "pruned": Pruned,
}
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
