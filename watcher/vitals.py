"""What only a running daemon knows: what it is doing, how far that is, whether events still come."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from handlers.contract import Step


class Running(Struct, frozen=True):
    """A job that is under way."""

    database: str
    """The day: ``stream/YYYY-MM-DD``."""
    step: Step
    """What is done to it."""
    since: datetime
    """When it began: RFC 3339, UTC."""
    done_bytes: int
    """So far; 0 as long as it does not say."""
    total_bytes: int
    """In all; 0 as long as it does not say."""


class Watching(Struct, frozen=True):
    """How it comes to know of changes."""

    kind: str
    """``inotify``, ``polling``, or what another operating system offers."""
    trouble: str
    """Why events do not come, or not all of them; empty: they do."""
    swaps: int
    """How often a fresh observer had to take over since the start."""


class Vitals(Struct, frozen=True, tag="vitals"):
    """How the daemon is."""

    pid: int
    """Its process."""
    version: str
    """Of Tickward."""
    sqlite_version: str
    """Of the SQLite that it brings along."""
    started: datetime
    """When it began its work: RFC 3339, UTC."""
    stepped: datetime
    """When it last looked at everything that was to be done, and did it."""
    step_seconds: float
    """How long that took."""
    running: tuple[Running, ...]
    """What is under way."""
    waiting: int
    """Steps that are due and wait for a worker."""
    orders: int
    """What people have asked for and is not done yet."""
    next_wake: datetime | None
    """When the clock will wake it next."""
    error: str
    """Why it cannot go on for now; empty: it can."""
    watching: Watching
    """How it comes to know of changes."""
    unserved: tuple[str, ...]
    """Addresses that could not be had so far, each in a sentence: nobody hears what is said there."""
    publisher_restarts: int
    """How often the process that publishes had to be started again."""
    sequence: int
    """The number of the newest event."""
