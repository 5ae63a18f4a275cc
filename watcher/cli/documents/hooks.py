"""What is run on which event."""

from __future__ import annotations

from msgspec import Struct

from watcher.hooks.store import Letter


class Standing(Struct, frozen=True):
    """How far one hook is."""

    event: str
    """The name of the event that it is run on."""
    runs: str
    """What is run, as people may read it."""
    configured: bool
    """False: it is not in the settings any more, and only its dead letters are left."""
    sequence: int | None
    """The last event that it needs no more; null: no daemon has started it yet."""
    head: int
    """The newest event."""
    waiting: int | None
    """Events that it is to be given; null: no daemon has started it yet."""
    failed: int
    """Events that could not be delivered."""


class Hooks(Struct, frozen=True):
    """What is run on which event, and how far that is."""

    hooks: tuple[Standing, ...]
    """In the order of the settings; those that are not in them any more come last."""


class Letters(Struct, frozen=True):
    """Events that could not be delivered: all of them, or those that were taken off the list."""

    letters: tuple[Letter, ...]
    """In the order of their numbers."""


class Delivery(Struct, frozen=True):
    """What came of running one hook."""

    number: int | None
    """In the list of what could not be delivered; null: it was a test."""
    sequence: int
    """The sequence number of the event."""
    event: str
    """Its name."""
    subject: str
    """What it is about: ``stream/YYYY-MM-DD``."""
    runs: str
    """What was run, as people may read it."""
    ok: bool
    """Whether it was delivered; what was is not listed any more."""
    error: str
    """Why not; empty: it was."""
    output: str
    """What the hook said, its end if that is much."""
    seconds: float
    """How long it took."""


class Deliveries(Struct, frozen=True):
    """What came of running hooks now. The exit status is 1 if one failed."""

    deliveries: tuple[Delivery, ...]
    """In the order in which they were run."""
