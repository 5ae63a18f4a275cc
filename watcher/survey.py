"""A look at everything from outside the daemon: what `tickward plan` and `tickward status` show.

It only reads, works with the daemon running or not, and decides nothing: the planner is the daemon's own.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from msgspec import Struct

from handlers.holders import held_for_writing
from watcher.events import DAEMON_KEY
from watcher.health import disk_low, short_of_space
from watcher.inventory import Inventory
from watcher.journal import Journal
from watcher.lock import Lock
from watcher.metadata import doubt
from watcher.paths import journal_file, resolved
from watcher.plan import Doubts, Plan, plan, wanted
from watcher.settings import Settings
from watcher.state import Database, Facts, fold


class Survey(Struct, frozen=True):
    """What is there, what is known, and what the planner makes of it."""

    plan: Plan
    databases: dict[str, Database]
    streams: dict[str, Facts]
    daemon_pid: int | None
    head: int
    """Sequence number of the newest event."""
    doubts: Doubts
    settings: Settings
    """With the symbolic links in its directories resolved."""


def survey(settings: Settings, now: datetime) -> Survey:
    """Look at the tree and the journal, and plan for ``now``."""
    settings = resolved(settings)
    facts, head, journal_doubt = _recorded(settings)
    inventory = Inventory(settings.data, lambda path: held_for_writing(Path(path)))
    inventory.add_known(facts)
    inventory.scan()
    known = journal_doubt if head or journal_doubt else None
    doubts = doubts_of(inventory, settings, known, facts.get(DAEMON_KEY, Facts()))
    return Survey(
        plan=assess(inventory, settings, now, doubts),
        doubts=doubts,
        settings=settings,
        databases={database.key: database for database in inventory.databases()},
        streams={key: known for key, known in facts.items() if "/" not in key},
        daemon_pid=Lock(Path(settings.data.state)).holder(),
        head=head,
    )


def doubts_of(inventory: Inventory, settings: Settings, journal_doubt: str | None, daemon: Facts) -> Doubts:
    """What is better not done now. ``journal_doubt``: None before the first start.

    Then there are no sentinels yet; the daemon is about to make them.
    """
    low = _short_of_space(inventory, settings, daemon)
    if journal_doubt is None:
        return Doubts(low=low)
    return Doubts(inventory.backup_doubt(), inventory.archive_doubt(), journal_doubt, low=low)


def assess(inventory: Inventory, settings: Settings, now: datetime, doubts: Doubts) -> Plan:
    """Plan for databases that have just been looked at, and for those that are to be created."""
    for stream, day in wanted(settings, now):
        inventory.add(stream, day)
    inventory.probe_settled(now, settings)
    inventory.forget_unknown(now.date())
    return _plan(inventory, settings, now, doubts)


def _short_of_space(inventory: Inventory, settings: Settings, daemon: Facts) -> dict[str, str]:
    """By what will have been said of free space at the daemon's next look."""
    told, health = daemon.disk_low, settings.health
    told = disk_low(inventory.free_bytes(), health.free_min_bytes, told) or told
    return short_of_space(told, health.free_min, one_volume=inventory.one_volume())


def _plan(inventory: Inventory, settings: Settings, now: datetime, doubts: Doubts) -> Plan:
    """Plan as if what there is to notice had been recorded, as the daemon will at its next look."""
    for database in inventory.databases():
        if database.facts.deferred is not None:
            # When it was last tried only the daemon knows; that it waits is what there is to show.
            inventory.change(database.key, attempted_at=now)
    while True:
        found = plan(inventory.databases(), settings, now, doubts)
        if not found.notices:
            return found
        for key, event in ((notice.key, notice.event) for notice in found.notices):
            noticed = inventory.get(key)
            assert noticed is not None
            inventory.change(key, facts=fold(noticed.facts, event, now))


def _recorded(settings: Settings) -> tuple[dict[str, Facts], int, str]:
    """The facts, the number of the newest event, and why it may not be the journal that it was."""
    journal = Journal.open_for_reading(journal_file(settings.data))
    if journal is None:
        return {}, 0, doubt(Path(settings.data.root), None)
    with journal:
        return journal.all_facts(), journal.head(), doubt(Path(settings.data.root), journal)
