"""What a person can ask of the daemon, and what is answered: the words that the command line speaks."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from handlers.contract import Step
from watcher.errors import EXIT_DONE, EXIT_STEP_FAILED
from watcher.plan import Entry, Order
from watcher.vitals import Vitals


class Hold(Struct, frozen=True, tag="hold", forbid_unknown_fields=True):
    """Keep these days as they are: a legal hold."""

    keys: tuple[str, ...]
    reason: str
    by: str


class Release(Struct, frozen=True, tag="release", forbid_unknown_fields=True):
    """End the hold on these days."""

    keys: tuple[str, ...]
    by: str


class Ask(Struct, frozen=True, tag="ask", forbid_unknown_fields=True):
    """How is the daemon? Answered at once, by `Vitals`, whatever it is doing."""


Request = Order | Hold | Release
"""What the loop sees to."""


class Intention(Struct, frozen=True):
    """What will be done about one day, or why nothing will."""

    database: str
    """``stream/YYYY-MM-DD``."""
    entry: str
    """``action``, ``wait`` or ``block``."""
    step: Step | None
    """What is to be done; null: nothing."""
    reason: str
    """Why, in a sentence."""

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
    """``stream/YYYY-MM-DD``."""
    step: Step | None
    """What was done; null: a hold, or a release."""
    ok: bool
    """Whether it was."""
    event: str = ""
    """The name of the event that was recorded; empty: there was nothing left to do, or it was not begun."""
    sequence: int = 0
    """That event's sequence number; 0: none was recorded."""
    data: Any = None
    """That event's data."""
    message: str = ""
    """What is to be said of it, or what went wrong."""
    hint: str = ""
    """What to do about that."""
    seconds: float = 0.0
    """How long it took."""


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


Reply = Planned | Progress | Delayed | Ended | Finished | Refused | Vitals
LAST = (Finished, Refused, Vitals)
"""After one of these nothing more is said."""
