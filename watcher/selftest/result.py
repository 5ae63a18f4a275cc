"""What a self-test found: a proof a line, and what the machine is like."""

from __future__ import annotations

from msgspec import Struct


class NotProvenError(Exception):
    """A proof that does not hold: what was not so, and what to do about it."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


class Figure(Struct, frozen=True):
    """One number that was measured."""

    name: str
    """What it is of, such as ``compressed``."""
    value: float
    """How much."""
    unit: str
    """``ms``, ``MB/s``, ``bytes``, ``1/s``; empty: a count, or a ratio."""


class Proof(Struct, frozen=True):
    """One thing that must work, and whether it does."""

    name: str
    """``rotation``, ``restore``, ..."""
    ok: bool
    """Whether it does."""
    said: str
    """What was proven, with its figures; else what was not so. A sentence."""
    hint: str
    """What to do about that; empty if it holds."""
    seconds: float
    """How long it took."""
    figures: tuple[Figure, ...]
    """What was measured."""


class Machine(Struct, frozen=True):
    """What the days stood on."""

    system: str
    """The operating system and the processor."""
    cpus: int
    """How many of them this process may use."""
    versions: str
    """Of Tickward, Python, SQLite, zstd and ZeroMQ."""
    filesystem: str
    """The kind of the file system, such as ``ext4``; empty: it cannot be told."""
    mounted_on: str
    """Where that is mounted; empty: it cannot be told."""
    free_bytes: int
    """What is free there."""
    lease_us: float | None
    """How long the kernel takes to say whether somebody writes to a file, in microseconds; null: it does not
    say it there."""
    event_ms: float | None
    """How long after a write the kernel tells of it (inotify), in milliseconds; null: it does not tell."""
    fsync_ms: float
    """How long it takes to have 4 KiB on the disk: the median, in milliseconds."""
    fsync_worst_ms: float
    """The longest of those."""
    notes: tuple[str, ...]
    """What is worth a thought, each with what to do: a sentence each."""


class Selftest(Struct, frozen=True):
    """What came of a self-test."""

    ok: bool
    """Whether every proof holds; else the exit status is 1."""
    days: int
    """How many were lived through."""
    ticks: int
    """How many were written in them."""
    seconds: float
    """How long it took."""
    folder: str
    """Where it was."""
    kept: bool
    """Whether that is still there: only after a failure, or with ``--keep``."""
    machine: Machine
    """What the days stood on."""
    proofs: tuple[Proof, ...]
    """In the order in which they were made."""
