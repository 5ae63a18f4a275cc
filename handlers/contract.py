"""The vocabulary that both packages speak: what a step is given and what it gives back.

A step is a function ``Job -> Result`` that runs in a child process. It either returns one of the
result structs below, which become the facts of that database and the data of the event that
announces them, or raises `StepError`. Everything here crosses a process boundary or goes into the
journal, so everything is a frozen, typed value.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Step(StrEnum):
    """What can be done to one day's database."""

    CREATE = "create"
    SEAL = "seal"
    BACKUP = "backup"
    COMPRESS = "compress"


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


Result = Created | Sealed | BackedUp | Compressed


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
