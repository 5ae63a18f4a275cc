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
    ADOPT = "adopt"


SCHEDULE = "schedule"
"""Who ordered what nobody ordered: the policy in the settings, at the time that is in them."""


class Signature(Struct, frozen=True):
    """What the file system says of a file: another signature means that somebody wrote."""

    size_bytes: int
    """Its size."""
    mtime_ns: int
    """When it was last modified, Unix nanoseconds."""
    inode: int
    """Which file it is."""


class Holder(Struct, frozen=True, order=True):
    """A process that has a database open."""

    pid: int
    """Its number."""
    name: str
    """What it is called."""

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
    """A day's database has been made, empty but for its schema; usually a day ahead.

    Not published for one that its writer made.
    """

    path: str
    """The database."""
    signature: Signature
    """Of the file as it was made."""


class Sealed(Struct, frozen=True):
    """The day is over, its writer has gone, its content has been checked.

    From now on it is one file that does not change, and every later copy is compared with this digest.
    The time to start what needs the whole day.
    """

    path: str
    """The database."""
    sha256: str
    """Of the file, in hexadecimal."""
    size_bytes: int
    """Of the file."""
    ticks: int
    """Rows in the stream's table."""
    symbols: int
    """Different symbols among them."""
    first_tick_ms: int | None
    """The earliest time stamp, Unix milliseconds; null without ticks."""
    last_tick_ms: int | None
    """The latest time stamp."""
    sqlite_version: int
    """Of the SQLite that wrote last (header offset 96), as in ``3054000``."""
    signature: Signature
    """Of the file as it was sealed."""
    counted: bool = True
    """False: there is no table of the name in the settings (``data.streams.*.table``): not counted."""
    table: str = ""
    """The table whose rows were counted; empty in records of earlier versions."""
    uncompacted_bytes: int = 0
    """Its size before it was compacted (``seal.compact``); 0: it was not."""
    content_sha256: str = ""
    """Of all that a query can see, proven to be the same before and after; empty: it was not compacted."""
    not_compacted: str = ""
    """Why it was not, although the settings say so: it would hardly be smaller, for one; empty otherwise."""


class BackedUp(Struct, frozen=True):
    """A second copy has been written and read back."""

    path: str
    """The copy."""
    sha256: str
    """Of the copy, in hexadecimal; that of ``sealed``, unless it is a live one."""
    size_bytes: int
    """Of the copy."""
    ticks: int
    """Rows in it."""
    live: bool = False
    """True: a consistent copy, taken while somebody held the database; replaced after sealing."""
    wal: Signature | None = None
    """Live only: of the write-ahead log just before the copy; another one since: the copy is stale."""
    set_aside: str = ""
    """The new path of what bore the backup's name and was not a backup of ours; empty: nothing did."""


class Compressed(Struct, frozen=True):
    """Both copies are Zstandard files, read back and compared; the uncompressed ones are gone."""

    path: str
    """The compressed database."""
    sha256: str
    """Of the uncompressed content: that of ``sealed``."""
    compressed_sha256: str
    """Of the compressed file."""
    size_bytes: int
    """Of the uncompressed content."""
    compressed_bytes: int
    """Of the compressed file."""
    level: int
    """Of the compression, 1 to 22; 0: it was compressed by others."""
    frame_bytes: int
    """Uncompressed bytes in each frame that can be read on its own; 0: only as a whole, in an adopted day."""
    backup_path: str
    """The second copy, compressed as well."""


class Archived(Struct, frozen=True):
    """The verified compressed file has moved to the archive.

    In the root there is nothing left of the day; the second copy is where it was.
    """

    path: str
    """The compressed database in the archive."""
    sha256: str
    """Of the uncompressed content: that of ``sealed``."""
    compressed_sha256: str
    """Of the compressed file."""
    compressed_bytes: int
    """Of the compressed file."""
    moved_by: str
    """``rename`` within one filesystem, ``reflink`` or ``copy`` to another; ``adopted``: it was there."""


class Expired(Struct, frozen=True):
    """The deletion certificate.

    The day has reached the age at which the policy wants it gone, nobody has put it on hold, and no copy of
    it is left. What it was is kept for good, also when this event is pruned.
    """

    sha256: str
    """Of the uncompressed content: that of ``sealed``."""
    compressed_sha256: str
    """Of the compressed file; empty: it was never compressed."""
    size_bytes: int
    """Of the uncompressed content."""
    compressed_bytes: int
    """Of the compressed file; 0: it was never compressed."""
    ticks: int
    """Rows in the stream's table."""
    symbols: int
    """Different symbols among them."""
    first_tick_ms: int | None
    """The earliest time stamp, Unix milliseconds; null without ticks."""
    last_tick_ms: int | None
    """The latest time stamp."""
    paths: tuple[str, ...]
    """Every place where a copy could be: there was none at the end."""
    freed_bytes: int
    """Of the files that were removed; fewer than there were if an earlier try was interrupted."""
    left: tuple[str, ...]
    """Files with the day's name that are no copies of it and were left: set aside, quarantined."""
    policy: str
    """The rule in words: age and schedule."""
    due: datetime
    """When the policy wanted it gone: RFC 3339, UTC."""
    reason: str
    """Why it was removed."""
    by: str
    """Who ordered it: ``schedule``, or a person."""


class Restored(Struct, frozen=True):
    """The uncompressed database is there again, and is what was sealed, byte for byte.

    In the root it stays until ``keep_until`` and is then compressed away again; to a file of the caller's
    choice it is the caller's.
    """

    path: str
    """The uncompressed database."""
    source: str
    """The copy that it was made from."""
    sha256: str
    """Of it: that of ``sealed``."""
    size_bytes: int
    """Of it."""
    ticks: int
    """Rows in it."""
    signature: Signature
    """Of the file as it was made."""
    in_tree: bool
    """True: in the root, in its own place; false: to a file of the caller's choice."""
    keep_until: datetime | None
    """In the root only: it is not compressed away before."""
    set_aside: str
    """The new path of what bore the name before; empty: nothing did."""
    rejected: tuple[str, ...]
    """Copies that were tried first and are bad, each with what is wrong with it."""
    by: str
    """Who ordered it."""


class Merged(Struct, frozen=True):
    """A late file's ticks and those of the compressed day are one database now, in the root.

    It is sealed, backed up and compressed anew: another ``sealed`` follows.
    """

    path: str
    """The database."""
    previous_sha256: str
    """Of the sealed content that the late ticks were added to."""
    late_sha256: str
    """Of the late file, with its write-ahead log folded in."""
    ticks_before: int
    """Rows in the day."""
    ticks_late: int
    """Rows in the late file."""
    added: int
    """Late ticks that the day did not have."""
    already_there: int
    """Late ticks that the day had, value for value."""
    rejected: int
    """Late ticks that the table's constraints refused beside those it has: kept in ``set_aside``."""
    ticks_after: int
    """Rows in the day now."""
    set_aside: str
    """Where the late file is kept, because it holds what the day does not; empty: all of it is in the day."""
    by: str
    """Who ordered it."""


class Copy(Struct, frozen=True):
    """One copy of a day, as it was found."""

    path: str
    """Where it is."""
    size_bytes: int
    """Its size."""
    problem: str = ""
    """What is wrong with it; empty: it is what was recorded, byte for byte."""


class Repair(Struct, frozen=True):
    """A bad or missing copy that was replaced."""

    path: str
    """Where it is."""
    problem: str
    """What was wrong with it."""
    source: str
    """The good copy that it was made from."""


class Verified(Struct, frozen=True):
    """Every copy of the day was read again, from the medium, and is what was recorded."""

    sha256: str
    """Of the uncompressed content."""
    copies: tuple[Copy, ...]
    """Those that were read."""
    bytes_read: int
    """Of all of them."""


class Repaired(Struct, frozen=True):
    """Every copy of the day was read again.

    At least one was bad or missing, and was replaced from one that is good.
    """

    sha256: str
    """Of the uncompressed content."""
    copies: tuple[Copy, ...]
    """As they were found."""
    repairs: tuple[Repair, ...]
    """What was replaced, and from what."""
    bytes_read: int
    """Of all of them."""
    signature: Signature | None = None
    """Of the database in the root, if it was among the repaired."""
    compressed_sha256: str = ""
    """Of the compressed copies, if they had to be made anew; empty: it is as it was."""
    compressed_bytes: int = 0
    """Of one of them; 0: as it was."""


class Lost(Struct, frozen=True):
    """No good copy of the day is left.

    The bad ones are kept, under names that nobody reads. A person must act: look for another copy, on other
    media or with whoever has received the data.
    """

    sha256: str
    """Of the content that is lost: how a copy of it is known."""
    ticks: int
    """Rows in it."""
    copies: tuple[Copy, ...]
    """As they were found."""
    quarantined: tuple[str, ...]
    """The new paths of those that were there."""
    error: str
    """What is wrong."""
    hint: str
    """What to do about it."""
    evidence: str = ""
    """A digest of the day's files after that: it changes when somebody brings a copy back."""


class Drilled(Struct, frozen=True):
    """A rehearsal: a cold day was restored to a temporary place, opened, counted, and removed again."""

    source: str
    """The copy that it was made from."""
    sha256: str
    """Of the uncompressed content: that of ``sealed``."""
    size_bytes: int
    """Of it."""
    ticks: int
    """Rows in it."""


class Adopted(Struct, frozen=True):
    """A day that others have looked after, or whose journal is lost, is taken over.

    Its copies were read, its content was checked and counted. From now on it is known as if it had been
    sealed here. When it really was sealed, compressed or archived nobody can tell any more.
    """

    path: str
    """The copy that it was known by: the first one that is good."""
    sealed: Sealed
    """What its content is."""
    backed_up: BackedUp | None
    """Its second copy, if that is uncompressed; null: it is not, or there is none."""
    compressed: Compressed | None
    """Its compressed copies; null: there are none."""
    archived: Archived | None
    """Its copy in the archive, if that is the first one; null: it is not."""
    copies: tuple[Copy, ...]
    """All that were read, as they were found."""
    reencoded: bool
    """Whether its compressed copies were made anew, so that parts of them can be read alone."""
    by: str
    """Who ordered it."""


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
    | Adopted
)


class Restoring(Struct, frozen=True):
    """Restore only: where to, and what may give way."""

    target: str = ""
    """A file of the caller's choice; empty: the database's own place in the root."""
    force: bool = False
    """Put what bears that name aside (in the root), or replace it (elsewhere), instead of refusing."""
    keep_until: datetime | None = None


class Adopting(Struct, frozen=True):
    """Adopt only: where there is room for the content, and what may be made anew."""

    scratch: str
    """A file that nobody else uses."""
    spare_bytes: int = 0
    """What is left free on its volume at the least."""
    reencode: bool = False
    """Whether compressed copies of which no part can be read alone are replaced."""


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
    adopting: Adopting | None = None
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
