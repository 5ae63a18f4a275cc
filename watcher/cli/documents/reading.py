"""What is in days."""

from __future__ import annotations

from datetime import date

from msgspec import UNSET, Struct, UnsetType

from handlers.analyze import Analysis


class AnalyzedDay(Analysis, frozen=True):
    """What is in a day, or in a file that was named. Stamps are Unix milliseconds, UTC."""

    database: str
    """``stream/YYYY-MM-DD``, or the name of the file."""
    path: str
    """The file that was read."""
    tier: str
    """``hot``, ``warm`` or ``cold``; ``file`` for one that was named."""
    note: str
    """What there is to know about that choice; empty: nothing."""


class Row(Struct, frozen=True):
    """A row of the answer: an object with its columns by their names, as the statement has them."""

    day: date | UnsetType = UNSET
    """The day that the row is of; missing with ``--merge``, unless the second statement selects it."""
