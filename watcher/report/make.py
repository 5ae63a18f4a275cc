"""A report of what there is: the tree and the journal are read, and nothing is changed."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from watcher.audit import Finding, Proof, examine
from watcher.errors import ConfigError
from watcher.journal import Journal, Witness, reading_one
from watcher.metadata import read_witness
from watcher.overview import Overview, overview
from watcher.paths import journal_file
from watcher.report.chronicle import Range, chronicle
from watcher.report.contents import Contents, default_range
from watcher.settings import Settings
from watcher.state import Facts
from watcher.version import installed

_TRIES = 3
"""How often it is looked again if something was recorded meanwhile."""


def contents(settings: Settings, now: datetime, first: date | None, last: date | None) -> Contents:
    """All that the report is of.

    A journal that is not what was recorded is reported as such, if it can be read at all.

    Args:
        first, last: the days that are wanted; None: from the first that is known, to today.

    Raises:
        ConfigError: these are no range.
        TickwardError: there is no journal, or it cannot be read.
    """
    witness = read_witness(
        Path(settings.data.root)
    )  # first: what is recorded meanwhile must not be behind it
    tries = 0
    while True:
        tries += 1
        found = overview(settings, now)  # it may fork: with no journal open
        with reading_one(journal_file(settings.data)) as journal, journal.snapshot():
            if journal.head() == found.head or tries == _TRIES:
                return _contents(found, journal, witness, now, first, last)


def _contents(
    found: Overview,
    journal: Journal,
    witness: Witness | None,
    now: datetime,
    first: date | None,
    last: date | None,
) -> Contents:
    whole = default_range(found.days, now.date())
    within = Range(first or whole.first, min(last or whole.last, now.date()))
    if within.first > within.last:
        raise ConfigError(
            f"--from {within.first} is after --to {within.last}: name an earlier day, or a later"
        )
    audit: Proof | Finding = examine(journal, witness)
    return Contents(
        at=now,
        version=installed(),
        settings=found.settings,
        within=within,
        days=[day for day in found.days if within.first <= day.day <= within.last],
        chronicle=chronicle(journal.rows(), _anchor(journal), within),
        audit=audit,
        head=None if isinstance(audit, Finding) else journal.witness(),
        journal=str(journal_file(found.settings.data)),
    )


def _anchor(journal: Journal) -> dict[str, Facts]:
    try:
        return journal.anchor_facts()
    except ValueError:  # the audit says so
        return {}
