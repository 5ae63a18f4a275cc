"""All that a report is made from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from msgspec import Struct

from watcher.audit import Finding, Proof
from watcher.journal import Witness
from watcher.overview import Day
from watcher.report.chronicle import Chronicle, Range
from watcher.settings import Settings


class Contents(Struct, frozen=True):
    """What is reported of."""

    at: datetime
    version: str
    settings: Settings
    within: Range
    days: Sequence[Day]
    """Those within."""
    chronicle: Chronicle
    audit: Proof | Finding
    head: Witness | None
    """The newest event of the journal; None: it has none."""
    journal: str
    """Its file."""


def default_range(days: Sequence[Day], today: date) -> Range:
    """From the first day that is known to today."""
    first = min((day.day for day in days if day.tier is not None), default=today)
    return Range(min(first, today), today)
