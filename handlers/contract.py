"""The vocabulary that both packages speak: what a step is given and what it gives back.

A step is a function ``Job -> Result`` that runs in a child process. It either returns one of the
result structs below, which become the facts of that database and the data of the event that
announces them, or raises `StepError`. Everything here crosses a process boundary or goes into the
journal, so everything is a frozen, typed value.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Step(StrEnum):
    """What can be done to one day's database: the most urgent first."""

    CREATE = "create"
    SEAL = "seal"
    BACKUP = "backup"
    COMPRESS = "compress"
    ARCHIVE = "archive"
    EXPIRE = "expire"
    RESTORE = "restore"
    MERGE = "merge"
    VERIFY = "verify"
    DRILL = "drill"


SCHEDULE = "schedule"
"""Who ordered what nobody ordered: the policy in the settings, at the time that is in them."""


class Signature(Struct, frozen=True):
    """What `stat` says of a file's content: a different signature means somebody wrote."""

    size_bytes: int
    mtime_ns: int
    inode: int


class Holder(Struct, frozen=True, order=True):
    """A process that has a database open, and what it is called."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


class Paths(Struct, frozen=True):
    """Where each artefact of one day is, or would be. Absolute paths."""

    database: str
    compressed: str
    backup: str
    backup_compressed: str
    archived: str

    @classmethod
    def of(cls, root: str, backup: str, archive: str, below: str) -> Paths:
        """Those of the database that is at ``below`` in the tree of each directory."""
        database, second = f"{root}/{below}", f"{backup}/{below}"
        return cls(database, f"{database}.zst", second, f"{second}.zst", f"{archive}/{below}.zst")


class Options(Struct, frozen=True):
    """The settings that steps need, and nothing else of the configuration."""

    schema: str = ""
    """Path of the SQL file a new database is made from; empty: the built-in schema."""
    table: str = "ticks"
    """The table whose rows are counted as ticks (columns ``symbol`` and ``timestamp``, Unix ms)."""
    level: int = 19
    """zstd compression level, 1-22."""
    frame_bytes: int = 4 * 1024 * 1024
    """Uncompressed bytes in each independently readable frame."""
    threads: int = 1
    """Compression threads within one job."""
    quiet_seconds: float = 0.25
    """How long a renamed original is left alone before the last look at who has it open."""
    managed: tuple[str, ...] = ()
    """The daemon's own directories: what is restored for a person never goes into them by another name."""
    bytes_per_second: float = 0.0
    """Verify only: how fast copies are read at the most; 0: as fast as they can be."""
    compact: bool = False
    """Seal only: whether the file is made smaller where that is possible."""


class Created(Struct, frozen=True):
    """A day's database exists, empty but for its schema."""

    path: str
    signature: Signature


class Sealed(Struct, frozen=True):
    """The writer has gone; this is the content that every later copy is compared with."""

    path: str
    sha256: str
    size_bytes: int
    ticks: int
    symbols: int
    first_tick_ms: int | None
    last_tick_ms: int | None
    sqlite_version: int
    """The SQLite that wrote last (header offset 96), as ``SQLITE_VERSION_NUMBER``."""
    signature: Signature
    counted: bool = True
    """False: the database has no table of the name in the settings; its ticks were not counted."""
    table: str = ""
    """The table whose rows were counted; empty in records of earlier versions."""
    uncompacted_bytes: int = 0
    """Its size before it was compacted; 0: it was not."""
    content_sha256: str = ""
    """Of everything that a query can see, the same before and after compacting; empty: not compacted."""
    not_compacted: str = ""
    """Why it was not compacted, although the settings say so; empty otherwise."""


class BackedUp(Struct, frozen=True):
    """A second copy has been written and read back.

    ``live`` marks a consistent copy that was taken while somebody still held the database open: it
    is better than nothing and is replaced by the byte-exact one after sealing.
    """

    path: str
    sha256: str
    size_bytes: int
    ticks: int
    live: bool = False
    wal: Signature | None = None
    """Live only: the write-ahead log just before the copy. Another one since: the copy is stale."""
    set_aside: str = ""
    """The new path of what bore the backup's name and was not a backup of ours; empty: nothing did."""


class Compressed(Struct, frozen=True):
    """Both copies are verified zstd files; the uncompressed ones are gone."""

    path: str
    sha256: str
    """Of the uncompressed content: always the one recorded at sealing."""
    compressed_sha256: str
    size_bytes: int
    compressed_bytes: int
    level: int
    frame_bytes: int
    backup_path: str


class Archived(Struct, frozen=True):
    """The verified .zst has moved to the archive; in the root there is nothing left of the day."""

    path: str
    sha256: str
    """Of the uncompressed content: always the one recorded at sealing."""
    compressed_sha256: str
    compressed_bytes: int
    moved_by: str
    """``rename`` within one filesystem, ``reflink`` or ``copy`` to another."""


class Expired(Struct, frozen=True):
    """The deletion certificate: what the day was, that no copy of it is left, why and by whom."""

    sha256: str
    compressed_sha256: str
    """Empty: it was never compressed."""
    size_bytes: int
    compressed_bytes: int
    ticks: int
    symbols: int
    first_tick_ms: int | None
    last_tick_ms: int | None
    paths: tuple[str, ...]
    """Every place where a copy could be: at the end of the step there was none."""
    freed_bytes: int
    """Bytes of the files that this step removed; fewer than there were if an earlier try was interrupted."""
    left: tuple[str, ...]
    """Files beside those that are no copies of ours and bear the day's name: set aside, quarantined."""
    policy: str
    """The rule in words: age and schedule."""
    due: datetime
    """When the policy wanted it gone."""
    reason: str
    by: str
    """`SCHEDULE`, or the person who ordered it."""


class Restored(Struct, frozen=True):
    """The uncompressed database is there again, proven by its SHA-256."""

    path: str
    source: str
    """The copy that it was made from."""
    sha256: str
    size_bytes: int
    ticks: int
    signature: Signature
    in_tree: bool
    """False: to a file of the caller's choice, which is the caller's."""
    keep_until: datetime | None
    """In the tree only: not compressed away before."""
    set_aside: str
    """The new path of what bore the name before; empty: nothing did."""
    rejected: tuple[str, ...]
    """Copies that were tried first and are bad, each with what is wrong with it."""
    by: str


class Merged(Struct, frozen=True):
    """A late file's ticks and those of the compressed day are one database now, to be sealed anew."""

    path: str
    previous_sha256: str
    """Of the sealed content that the late ticks were added to."""
    late_sha256: str
    """Of the late file, with its write-ahead log folded in."""
    ticks_before: int
    ticks_late: int
    added: int
    already_there: int
    """Late ticks that the day had, value for value."""
    rejected: int
    """Late ticks that the table's constraints refused beside those it has: kept in ``set_aside``."""
    ticks_after: int
    set_aside: str
    """Where the late file is kept, because it holds what the day does not; empty: all of it is in the day."""
    by: str


class Copy(Struct, frozen=True):
    """One copy of a day, as it was found."""

    path: str
    size_bytes: int
    problem: str = ""
    """Empty: it is what was recorded, byte for byte."""


class Repair(Struct, frozen=True):
    """A bad or missing copy that was replaced, and the good one that it was made from."""

    path: str
    problem: str
    source: str


class Verified(Struct, frozen=True):
    """Every copy of the day was read again, and is what was recorded."""

    sha256: str
    copies: tuple[Copy, ...]
    bytes_read: int


class Repaired(Struct, frozen=True):
    """Every copy of the day was read again; what was bad was replaced from what is good."""

    sha256: str
    copies: tuple[Copy, ...]
    """As they were found."""
    repairs: tuple[Repair, ...]
    bytes_read: int
    signature: Signature | None = None
    """Of the database in the root, if it was among the repaired."""
    compressed_sha256: str = ""
    """Of the compressed copies, if they had to be made anew; empty: it is as it was."""
    compressed_bytes: int = 0


class Lost(Struct, frozen=True):
    """No good copy of the day is left. The bad ones are kept, under names that nobody reads."""

    sha256: str
    ticks: int
    copies: tuple[Copy, ...]
    """As they were found."""
    quarantined: tuple[str, ...]
    """The new paths of those that were there."""
    error: str
    hint: str
    evidence: str = ""
    """Digest of the day's files after that: it changes when somebody brings a copy back."""


class Drilled(Struct, frozen=True):
    """A cold day was restored to a temporary place, opened, counted, and removed again."""

    source: str
    sha256: str
    size_bytes: int
    ticks: int


Result = (
    Created
    | Sealed
    | BackedUp
    | Compressed
    | Archived
    | Expired
    | Restored
    | Merged
    | Verified
    | Repaired
    | Lost
    | Drilled
)


class Restoring(Struct, frozen=True):
    """Restore only: where to, and what may give way."""

    target: str = ""
    """A file of the caller's choice; empty: the database's own place in the root."""
    force: bool = False
    """Put what bears that name aside (in the root), or replace it (elsewhere), instead of refusing."""
    keep_until: datetime | None = None


class Expiry(Struct, frozen=True):
    """Expire only: what the certificate says of the why."""

    policy: str
    due: datetime
    reason: str


class Job(Struct, frozen=True):
    """One step for one database: all that a worker is told."""

    step: Step
    key: str
    """``stream/YYYY-MM-DD``: the name of this database for life."""
    paths: Paths
    options: Options = Options()
    sealed: Sealed | None = None
    """What the journal recorded at sealing; None before that."""
    previous: Sealed | None = None
    """The last seal before a late tick re-opened the day: it may grow, never shrink."""
    backup_sha256: str = ""
    """Of the last backup, sealed or live, as the journal recorded it: that one may be replaced."""
    live: bool = False
    """Backup only: copy although the database is still held open."""
    compressed: Compressed | None = None
    """What the journal recorded at compression; None before that, and after a merge."""
    archived: Archived | None = None
    """What the journal recorded at archiving; None before that, and after a merge."""
    superseded: tuple[str, ...] = ()
    """SHA-256 of contents that ``sealed`` has taken the place of: their .zst may be replaced."""
    restoring: Restoring = Restoring()
    expiry: Expiry | None = None
    by: str = SCHEDULE
    """Who ordered it."""


class Trouble(StrEnum):
    """Why a step did not succeed, as far as the answer differs."""

    BUSY = "busy"  # somebody holds the database; try again when they leave
    CHANGED = "changed"  # it was written to since it was sealed; seal it anew
    CORRUPT = "corrupt"  # its content is damaged; nobody touches it but a person
    CONFLICT = "conflict"  # two versions of one day; nobody touches it but a person
    FAILED = "failed"  # anything else: disk full, permission, ...


class StepError(Exception):
    """A step could not be done: one sentence of what, one of what to do next."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        trouble: Trouble = Trouble.FAILED,
        retryable: bool = True,
        holders: tuple[Holder, ...] = (),
        problems: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.trouble = trouble
        self.retryable = retryable
        self.holders = holders
        self.problems = problems


class Done(Struct, frozen=True):
    """A job that ended well. ``result`` is None where there was nothing left to do."""

    job: Job
    result: Result | None
    seconds: float


class Failure(Struct, frozen=True):
    """A job that did not: a `StepError`, made into a value that crosses processes."""

    job: Job
    trouble: Trouble
    message: str
    hint: str
    retryable: bool
    holders: tuple[Holder, ...] = ()
    problems: tuple[str, ...] = ()
    seconds: float = 0.0
    traceback: str = ""
    """Only for errors nobody foresaw: a defect to report."""


Outcome = Done | Failure
