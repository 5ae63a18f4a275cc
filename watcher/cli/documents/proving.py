"""Whether the journal is what was recorded."""

from __future__ import annotations

from msgspec import Struct

from watcher.audit import Finding, Proof
from watcher.journal import Witness


class Audited(Struct, frozen=True):
    """Whether the journal is what was recorded."""

    sound: bool
    """False: it is not; the exit status is 1."""
    journal: str
    """The file."""
    finding: Finding | None
    """What is not what was recorded; null: all is."""
    proof: Proof | None
    """What was proven; null: it is not sound."""
    outside: Witness | None
    """The event that was noted outside of the journal; null: none was."""
