"""What ``tickward adopt`` prints with ``--json``."""

from __future__ import annotations

from msgspec import Struct

from watcher.adopt.finding import Findings
from watcher.requests import Ended, Intention


class Copied(Struct, frozen=True):
    """A file from elsewhere, and whether its day is in the tree now."""

    path: str
    """The file: it is left as it is."""
    target: str
    """Where its copy is."""
    database: str
    """``stream/YYYY-MM-DD``."""
    problem: str
    """Why it was not copied; empty: it was, or just that was there already."""


class Uneven(Struct, frozen=True):
    """A copy of a day that was taken over, that is not to the last byte what it should be."""

    database: str
    """``stream/YYYY-MM-DD``."""
    path: str
    """The copy."""
    problem: str
    """How it is other than the first good one: most hold the same in other bytes."""
    mend: str
    """What becomes of it, or what makes it the same."""


class Adoption(Struct, frozen=True):
    """What was, or would be, taken over."""

    dry_run: bool
    """True: nothing was done, only looked at; ``--yes`` does it."""
    found: Findings
    """What there was to be taken over."""
    copied: tuple[Copied, ...]
    """What came from elsewhere."""
    planned: tuple[Intention, ...]
    """What was to be done about each day."""
    ended: tuple[Ended, ...]
    """What became of each, in the order in which they ended."""
    uneven: tuple[Uneven, ...]
    """Copies of those that were taken over, that are not to the last byte what they should be."""
    remarks: dict[str, str]
    """What else is to be said of days that were taken over, by their names: that their ticks are of other
    dates than the names of their files say."""
    done: int
    """How many steps were done: days taken over, sealed, backed up."""
    failed: int
    """How many were not, and files that a person has to see to: the exit status is 1 if there is one."""
    not_proven: tuple[str, ...]
    """What no file can prove; empty where nothing is taken over."""


class Accepted(Struct, frozen=True):
    """The journal is the one that counts from now on."""

    set_aside: str
    """What was noted of the other one."""
    restart: bool
    """Whether a daemon runs, that goes by what it saw at its start: start it anew."""
