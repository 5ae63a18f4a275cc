"""What is known of one database: the files that are there, and the facts that the journal recorded.

`Facts` is the fold of a database's events and of nothing else: replaying its event log from the first to
the last gives the same facts. So a fact and its event can never disagree.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from handlers.contract import (
    BackedUp,
    Compressed,
    Created,
    Paths,
    Sealed,
    Signature,
    Step,
)
from watcher.events import (
    Closed,
    Conflict,
    Corrupt,
    Deferred,
    Event,
    Failed,
    Opened,
    Reopened,
    Rotated,
    name_of,
)


class Files(Struct, frozen=True):
    """Which artefacts of one day are on disk. A None is a file that is not there."""

    database: Signature | None = None
    wal: Signature | None = None
    compressed: Signature | None = None
    backup: Signature | None = None
    backup_compressed: Signature | None = None
    retired: bool = False
    """An original whose removal was interrupted: still under its retired name."""
    beside: tuple[str, ...] = ()
    """What else SQLite left beside them: a ``-journal``, an orphaned ``-shm``, a ``-wal`` of the backup."""
    anomaly: str = ""
    """Why the name cannot be a database at all: a directory, a link that leaves the root, ..."""

    @property
    def wal_bytes(self) -> int:
        """Bytes in the write-ahead log; 0 without one, or with one that a reader made and left empty."""
        return self.wal.size_bytes if self.wal else 0

    @property
    def primary(self) -> bool:
        """Whether the root holds this day in any form."""
        return self.database is not None or self.compressed is not None or self.retired

    @property
    def evidence(self) -> str:
        """A short digest of all of the above: unchanged as long as nobody changes a file.

        An empty -wal does not count: it comes and goes with every reader.
        """
        files = self if self.wal_bytes else replace(self, wal=None)
        return hashlib.sha256(msgspec.json.encode(files)).hexdigest()[:16]


class Facts(Struct, frozen=True, omit_defaults=True):
    """What the journal knows of a database, or of a stream (`rotated` only)."""

    created: Created | None = None
    opened: bool = False
    closed: Closed | None = None
    sealed: Sealed | None = None
    previous: Sealed | None = None
    """The seal that a late tick broke."""
    backed_up: BackedUp | None = None
    compressed: Compressed | None = None
    deferred: Deferred | None = None
    corrupt: Corrupt | None = None
    conflict: Conflict | None = None
    failed: dict[str, Failed] = {}
    rotated: Rotated | None = None
    times: dict[str, datetime] = {}
    """When each kind of event last happened to this database."""

    @property
    def existed(self) -> bool:
        """Whether there ever was such a database."""
        return bool(self.created or self.opened or self.closed or self.sealed or self.backed_up)


class Database(Struct, frozen=True):
    """One stream's day: everything that the planner may look at."""

    key: str
    stream: str
    day: date
    paths: Paths
    files: Files = Files()
    facts: Facts = Facts()
    touched_at: datetime | None = None
    """When a file event last named it."""
    unsettled_since: datetime | None = None
    """The first of the file events since it was last probed."""
    held: bool | None = None
    """Whether somebody has it open for writing; None: not probed since it was touched."""
    probed_at: datetime | None = None
    attempted_at: datetime | None = None
    """When sealing was last tried while somebody held it."""
    running: Step | None = None


def fold(facts: Facts, event: Event, at: datetime) -> Facts:
    """The facts after one more event. Pure."""
    changes: Changes
    match event:
        case Created():
            changes = {"created": event, **_succeeded(facts, Step.CREATE)}
        case Opened():
            changes = {"opened": True, **_succeeded(facts, Step.CREATE)}
        case Closed():
            changes = {"opened": False, "closed": event, **_succeeded(facts, Step.CREATE)}
        case Sealed():
            changes = {"sealed": event, "opened": False, "deferred": None, "corrupt": None, "conflict": None}
            changes |= _succeeded(facts, Step.SEAL)
        case Reopened():
            changes = {"sealed": None, "previous": facts.sealed or facts.previous}
        case BackedUp():
            changes = {"backed_up": event, **_succeeded(facts, Step.BACKUP)}
        case Compressed():
            changes = {"compressed": event, "conflict": None, **_succeeded(facts, Step.COMPRESS)}
        case Rotated():
            changes = {"rotated": event}
        case _:
            changes = _setback(facts, event)
    return replace(facts, times={**facts.times, name_of(event): at}, **changes)


Changes = dict[str, object]


def _succeeded(facts: Facts, step: Step) -> Changes:
    return {"failed": {name: failed for name, failed in facts.failed.items() if name != step}}


def _setback(facts: Facts, event: Event) -> Changes:
    match event:
        case Deferred():
            return {"deferred": event}
        case Corrupt():
            return {"corrupt": event}
        case Conflict():
            return {"conflict": event}
        case Failed():
            return {"failed": {**facts.failed, event.step: event}}
        case _:
            return {}
