"""What is to be done, and what came of it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from handlers.contract import Step
from watcher.requests import Ended, Intention


class PlannedDay(Struct, frozen=True):
    """What the planner says of one day."""

    database: str
    """``stream/YYYY-MM-DD``."""
    state: str
    """What it is now, such as ``sealed``; ``absent``: there is nothing of it."""
    entry: str
    """``action``: a step is due; ``wait``: nothing is to be done for now; ``block``: nothing will be done
    until a person acts."""
    step: Step | None
    """What is done next; null: nothing, or it is not known yet."""
    reason: str
    """Why, in a sentence."""
    when: datetime | None
    """Since when it is due, or when it will be; null: it waits for something to happen."""
    verify_at: datetime | None
    """When its copies are read again, if that is sooner."""


class PlanAt(Struct, frozen=True):
    """The plan at one time."""

    at: datetime
    """The time that it is for."""
    next_due: datetime | None
    """When something is due next; null: nothing is."""
    drill_at: datetime | None
    """When a day is restored on trial next; null: never."""
    databases: tuple[PlannedDay, ...]
    """By stream and date; also those that are still to be created."""


class Ordered(Struct, frozen=True):
    """What came of an order: a step, a hold, a release."""

    dry_run: bool
    """True: nothing was done, only planned."""
    planned: tuple[Intention, ...]
    """What was to be done about each day; empty for a hold and a release."""
    ended: tuple[Ended, ...]
    """What became of each, in the order in which they ended."""
    done: int
    """How many days it was done to."""
    failed: int
    """How many it was not done to, or refused for: the exit status is 1 if there is one."""


class Pass(Struct, frozen=True):
    """What came of `tickward once`."""

    ok: bool
    """False: a step failed, or a person must act; the exit status is 1."""
    since: int
    """The sequence number of the newest event before it: ``tickward events --since`` shows the rest."""
    sequence: int
    """The sequence number of the newest event after it."""
    events: dict[str, int]
    """How many of each kind were recorded, by the name of the event."""
