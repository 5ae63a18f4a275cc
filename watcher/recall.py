"""One day in full: what the journal and the disks tell of it, beside the row that it has in an overview."""

from __future__ import annotations

from datetime import datetime

from watcher.inventory import Inventory
from watcher.journal import reading
from watcher.overview import Day
from watcher.paths import journal_file
from watcher.settings import Settings
from watcher.state import Facts
from watcher.view.history import MOST_EVENTS, History, history_of


def recall(settings: Settings, day: Day, now: datetime) -> History:
    """What is known of a day. Raises `TickwardError` if its events cannot be read."""
    rows, facts, pruned_through = [], Facts(), 0
    with reading(journal_file(settings.data)) as journal:
        if journal is not None:
            with journal.snapshot():
                rows = journal.events_of(day.key, MOST_EVENTS + 1)
                facts, pruned_through = journal.facts(day.key), journal.start().link.sequence
        inventory = Inventory(settings.data, lambda _: False)  # who has it open the overview has asked
        inventory.add_known({day.key: facts})
        return history_of(day, inventory.look_at(day.key), rows, pruned_through, now)
