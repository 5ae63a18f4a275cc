"""What the journal says at the end of the demonstration: seals, certificates, counts, and its own chain."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from pathlib import Path

from msgspec import Struct

from handlers.contract import Expired, Repaired, Sealed, Verified
from watcher.events import Record
from watcher.journal import Journal

_READ = ("sealed", "compressed", "archived", "verified", "repaired")
"""Steps that read and compare the copies of a day."""


class Ledger(Struct):
    """Read from the events, one after the other, and not from the facts that the daemon goes by."""

    seals: dict[date, Sealed]
    """The last one of each day."""
    certificates: dict[date, Expired]
    counts: Counter[str]
    """Events, by name."""
    first: dict[str, datetime]
    """When each kind of event happened first."""
    last_read: dict[date, datetime]
    """When the copies of each day were last read and compared, for whatever reason."""
    copies_read: int = 0
    """By verifications."""
    broken: int | None = None
    """The first event that does not follow from the one before it."""


def read(file: Path) -> Ledger:
    """Read the journal in ``file`` from its first event; an empty ledger if there is none."""
    ledger = Ledger({}, {}, Counter(), {}, {})
    journal = Journal.open_for_reading(file)
    if journal is None:
        return ledger
    with journal:
        position = 0
        while records := journal.since(position):
            for record in records:
                _enter(ledger, record)
            position = records[-1].sequence
        ledger.broken = journal.first_broken()
    return ledger


def _enter(ledger: Ledger, record: Record) -> None:
    ledger.counts[record.event] += 1
    ledger.first.setdefault(record.event, record.time)
    if record.event not in (*_READ, "expired"):
        return
    day = date.fromisoformat(record.key.rpartition("/")[2])
    if record.event in _READ:
        ledger.last_read[day] = record.time
    match record.decode():
        case Sealed() as sealed:
            ledger.seals[day] = sealed
        case Expired() as certificate:
            ledger.certificates[day] = certificate
        case Verified() | Repaired() as event:
            ledger.copies_read += len(event.copies)
        case _:
            pass
