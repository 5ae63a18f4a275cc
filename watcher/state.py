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
    Adopted,
    Archived,
    BackedUp,
    Compressed,
    Created,
    Drilled,
    Expired,
    Lost,
    Merged,
    Paths,
    Repaired,
    Restored,
    Sealed,
    Signature,
    Step,
    Verified,
)
from watcher.events import (
    Closed,
    Configured,
    Conflict,
    Corrupt,
    Deferred,
    DiskLow,
    Event,
    Failed,
    Held,
    Opened,
    Released,
    Reopened,
    Rotated,
    name_of,
)

_MAX_SUPERSEDED = 16
"""Older contents than so many are not remembered: a .zst of them is a conflict then, and is kept."""


class Files(Struct, frozen=True):
    """Which artefacts of one day are on disk. A None is a file that is not there."""

    database: Signature | None = None
    wal: Signature | None = None
    compressed: Signature | None = None
    backup: Signature | None = None
    backup_compressed: Signature | None = None
    archived: Signature | None = None
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
    def first(self) -> Signature | None:
        """The first copy in whatever form it is: uncompressed, compressed, archived."""
        return self.database or self.compressed or self.archived

    @property
    def any_copy(self) -> bool:
        """Whether there is a copy anywhere, the second ones included."""
        return self.present or self.backup is not None or self.backup_compressed is not None

    @property
    def present(self) -> bool:
        """Whether the first copy of this day is anywhere: in the root or in the archive."""
        return self.primary or self.archived is not None

    @property
    def evidence(self) -> str:
        """A short digest of all of the above: unchanged as long as nobody changes a file.

        An empty -wal does not count: it comes and goes with every reader.
        """
        files = self if self.wal_bytes else replace(self, wal=None)
        return hashlib.sha256(msgspec.json.encode(files)).hexdigest()[:16]


class Facts(Struct, frozen=True, omit_defaults=True):
    """What the journal knows of a database, of a stream, or of the daemon.

    Of a stream it is `rotated`, of the daemon `configured` and `disk_low`.
    """

    created: Created | None = None
    opened: bool = False
    closed: Closed | None = None
    sealed: Sealed | None = None
    previous: Sealed | None = None
    """The seal that a late tick broke."""
    superseded: tuple[str, ...] = ()
    """SHA-256 of the contents that broken seals stood for, the newest last."""
    backed_up: BackedUp | None = None
    compressed: Compressed | None = None
    archived: Archived | None = None
    expired: Expired | None = None
    restored: Restored | None = None
    """The uncompressed copy that was put back into the root."""
    hold: Held | None = None
    lost: Lost | None = None
    deferred: Deferred | None = None
    corrupt: Corrupt | None = None
    conflict: Conflict | None = None
    failed: dict[str, Failed] = {}
    rotated: Rotated | None = None
    configured: Configured | None = None
    disk_low: DiskLow | None = None
    times: dict[str, datetime] = {}
    """When each kind of event last happened to this database."""

    @property
    def existed(self) -> bool:
        """Whether there ever was such a database."""
        return bool(self.created or self.opened or self.closed or self.sealed or self.backed_up)

    @property
    def proofs(self) -> tuple[datetime, ...]:
        """When its content was read and compared; empty before it was sealed."""
        return tuple(self.times[name] for name in _PROOFS if name in self.times)

    @property
    def proven_at(self) -> datetime | None:
        """When its content was last read and compared; None before it was sealed."""
        return max(self.proofs, default=None)


_TAKEN_OVER = ("sealed", "backed_up", "compressed", "archived")
"""What an adoption records of a day."""
_PROOFS = ("sealed", "compressed", "archived", "verified", "repaired", "adopted")
"""Events before which the copies of a day have just been read and compared."""


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
    changes = _writers(facts, event) or _copies(facts, event) or _persons(event) or _setback(facts, event)
    names = (name_of(event), *_came_with(facts, event))
    return replace(facts, times={**facts.times, **dict.fromkeys(names, at)}, **changes)


Changes = dict[str, object]


def _came_with(facts: Facts, event: Event) -> list[str]:
    """What is known to have happened by then to a day that was taken over: nobody knows since when.

    What was known before (its files were made anew) keeps its time.
    """
    if not isinstance(event, Adopted):
        return []
    return [name for name in _TAKEN_OVER if getattr(event, name) and not getattr(facts, name)]


def _writers(facts: Facts, event: Event) -> Changes:
    """What the daemon and the writer did to the database itself."""
    match event:
        case Created():
            return {"created": event, **_succeeded(facts, Step.CREATE)}
        case Opened():
            return {"opened": True, **_succeeded(facts, Step.CREATE)}
        case Closed():
            return {"opened": False, "closed": event, **_succeeded(facts, Step.CREATE)}
        case Sealed():
            sound = {"deferred": None, "corrupt": None, "conflict": None, "lost": None}
            return {"sealed": event, "opened": False, **sound, **_succeeded(facts, Step.SEAL)}
        case Reopened():
            return _unsealed(facts)
        case Merged():
            gone = {"compressed": None, "archived": None, "restored": None, "conflict": None}
            return {**_unsealed(facts), **gone, **_succeeded(facts, Step.MERGE)}
        case Rotated():
            return {"rotated": event}
        case Configured():
            return {"configured": event}
        case DiskLow():
            return {"disk_low": event}
        case _:
            return {}


def _copies(facts: Facts, event: Event) -> Changes:
    """What became of the copies of a sealed day."""
    match event:
        case BackedUp():
            return {"backed_up": event, **_succeeded(facts, Step.BACKUP)}
        case Compressed():
            gone = {"conflict": None, "restored": None}
            return {"compressed": event, **gone, **_succeeded(facts, Step.COMPRESS)}
        case Archived():
            return {"archived": event, **_succeeded(facts, Step.ARCHIVE)}
        case Expired():
            gone = {"restored": None, "deferred": None, "corrupt": None, "conflict": None, "lost": None}
            return {"expired": event, "failed": {}, **gone}
        case Restored():
            return _restored(facts, event)
        case Verified():
            return {"corrupt": None, "lost": None, **_succeeded(facts, Step.VERIFY)}
        case Repaired():
            return _repaired(facts, event)
        case Drilled():
            return _succeeded(facts, Step.DRILL)
        case Adopted():
            return _adopted(facts, event)
        case _:
            return {}


def _persons(event: Event) -> Changes:
    match event:
        case Held():
            return {"hold": event}
        case Released():
            return {"hold": None}
        case _:
            return {}


def _unsealed(facts: Facts) -> Changes:
    seal = facts.sealed
    before = (*facts.superseded, seal.sha256) if seal else facts.superseded
    return {
        "sealed": None,
        "previous": seal or facts.previous,
        "superseded": tuple(dict.fromkeys(before))[-_MAX_SUPERSEDED:],
    }


def _restored(facts: Facts, event: Restored) -> Changes:
    if not event.in_tree:
        return _succeeded(facts, Step.RESTORE)
    # The same content in another file: only so is it told from one that was written to.
    sealed = replace(facts.sealed, signature=event.signature) if facts.sealed else None
    sound = {"corrupt": None, "conflict": None, "lost": None}
    return {"sealed": sealed, "restored": event, **sound, **_succeeded(facts, Step.RESTORE)}


def _repaired(facts: Facts, event: Repaired) -> Changes:
    sealed, packed = facts.sealed, facts.compressed
    if sealed and event.signature:
        sealed = replace(sealed, signature=event.signature)
    archived = facts.archived
    if event.compressed_sha256:
        anew = {
            "compressed_sha256": event.compressed_sha256,
            "compressed_bytes": event.compressed_bytes,
        }
        packed = replace(packed, **anew) if packed else None
        archived = replace(archived, **anew) if archived else None
    sound = {"corrupt": None, "lost": None}
    changed = {"sealed": sealed, "compressed": packed, "archived": archived}
    return {**changed, **sound, **_succeeded(facts, Step.VERIFY)}


def _adopted(facts: Facts, event: Adopted) -> Changes:
    """Whatever was known before: it was not sealed, or it is the same content."""
    sound: Changes = {"deferred": None, "corrupt": None, "lost": None}
    if not facts.sealed:
        sound["conflict"] = None  # else it may be of a file that was not looked at
    copies = {name: getattr(event, name) for name in _TAKEN_OVER}
    return {"opened": False, "failed": {}, **copies, **sound}


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
        case Lost():
            return {"lost": event}
        case Failed():
            return {"failed": {**facts.failed, event.step: event}}
        case _:
            return {}
