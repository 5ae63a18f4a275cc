"""What a person can ask of the daemon, and what is answered: the words that the command line speaks."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from handlers.contract import Step
from watcher.errors import EXIT_DONE, EXIT_STEP_FAILED
from watcher.plan import Entry, Order


class Hold(Struct, frozen=True, tag="hold", forbid_unknown_fields=True):
    """Keep these days as they are: a legal hold."""

    keys: tuple[str, ...]
    reason: str
    by: str


class Release(Struct, frozen=True, tag="release", forbid_unknown_fields=True):
    """End the hold on these days."""

    keys: tuple[str, ...]
    by: str


Request = Order | Hold | Release


class Intention(Struct, frozen=True):
    """What will be done about one day, or why nothing will."""

    database: str
    entry: str
    """``action``, ``wait`` or ``block``."""
    step: Step | None
    reason: str

    @classmethod
    def of(cls, entry: Entry) -> Intention:
        return cls(entry.key, type(entry).__name__.lower(), entry.step, entry.reason)

    @property
    def is_refusal(self) -> bool:
        return self.entry == "block"


class Planned(Struct, frozen=True, tag="planned"):
    """The first answer to an order."""

    intentions: tuple[Intention, ...]


class Progress(Struct, frozen=True, tag="progress"):
    """How far a step is. Sent a few times a second."""

    database: str
    step: Step
    done_bytes: int
    total_bytes: int


class Delayed(Struct, frozen=True, tag="delayed"):
    """The daemon cannot go on for now, and tries again: why."""

    why: str


class Ended(Struct, frozen=True, tag="ended"):
    """What became of one day."""

    database: str
    step: Step | None
    ok: bool
    event: str = ""
    """The name of the event that was recorded; empty: there was nothing left to do, or it was not begun."""
    sequence: int = 0
    data: Any = None
    """That event's data."""
    message: str = ""
    hint: str = ""
    seconds: float = 0.0


class Finished(Struct, frozen=True, tag="finished"):
    """The last answer."""

    done: int
    failed: int

    @property
    def exit_code(self) -> int:
        return EXIT_STEP_FAILED if self.failed else EXIT_DONE


class Refused(Struct, frozen=True, tag="refused"):
    """The only answer to what cannot be meant."""

    why: str


Reply = Planned | Progress | Delayed | Ended | Finished | Refused
