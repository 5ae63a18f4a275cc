"""The live table of the demonstration: what a subscriber has learnt from the events, and nothing else."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from rich.table import Table

from watcher.demo.expected import COLD, EXPIRED, HOT, TIERS, WARM
from watcher.wire import Message
from watcher.wording import size

_ROWS = 12
"""Two hundred days fit in no terminal: those that changed last are shown."""

_TIERS = {"sealed": HOT, "backed_up": HOT, "compressed": WARM, "archived": COLD, "expired": EXPIRED}
"""Into which tier an event brings a day."""

_STYLES = {
    "created": "dim",
    "opened": "yellow",
    "closed": "yellow",
    "sealed": "cyan",
    "backed_up": "green",
    "compressed": "bold green",
    "archived": "bold blue",
    "expired": "dim strike",
    "verified": "cyan",
    "drilled": "cyan",
    "reopened": "magenta",
    "deferred": "magenta",
    "repaired": "bold magenta",
    "failed": "bold red",
    "corrupt": "bold red",
    "conflict": "bold red",
    "lost": "bold white on red",
}


class Row(Struct):
    """What is known of one day."""

    event: str = ""
    """The last one."""
    tier: str = ""
    ticks: int | None = None
    size_bytes: int | None = None
    bytes_now: int | None = None


class Live:
    """What a subscriber has learnt."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        """By key; the one that changed last is the last."""
        self.seen = 0

    def take(self, message: Message) -> None:
        """Draw one more event in."""
        self.seen += 1
        if "/" not in message.subject:
            return
        row = self.rows.pop(message.subject, None) or Row()
        self.rows[message.subject] = row
        row.event = message.event
        row.tier = _TIERS.get(message.event, row.tier)
        data = message.data
        if message.event == "sealed":
            row.ticks, row.size_bytes = data["ticks"], data["size_bytes"]
            row.bytes_now = row.size_bytes
        elif message.event == "compressed":
            row.bytes_now = data["compressed_bytes"]
        elif message.event == "expired":
            row.bytes_now = None

    def counts(self) -> dict[str, int]:
        """How many days are in each tier."""
        tiers = [row.tier for row in self.rows.values()]
        return {tier: tiers.count(tier) for tier in TIERS}

    def table(self, clock: datetime) -> Table:
        """Counts in the head, and the days that changed last, in their order."""
        tiers = "  ".join(f"{count} {tier}" for tier, count in self.counts().items())
        title = f"{clock:%A %Y-%m-%d %H:%M} UTC   {self.seen} events\n{tiers}"
        table = Table(title=title, min_width=70)
        for column in ("day", "tier", "event", "ticks", "bytes", "now"):
            table.add_column(column, justify="right" if column in ("ticks", "bytes", "now") else "left")
        for key, row in sorted(list(self.rows.items())[-_ROWS:]):
            table.add_row(
                key,
                row.tier,
                f"[{_STYLES.get(row.event, 'white')}]{row.event}[/]",
                f"{row.ticks:,}" if row.ticks is not None else "",
                size(row.size_bytes) if row.size_bytes else "",
                size(row.bytes_now) if row.bytes_now else "",
            )
        return table
