"""What of the journal's events belongs into the report, found in one pass over them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime

import msgspec
from msgspec import Struct

from handlers.contract import Expired, Repaired
from watcher.events import DAEMON_KEY, Configured
from watcher.journal_format import Row
from watcher.state import Facts
from watcher.wording import details

INCIDENTS = (
    *("held", "released", "failed", "deferred", "corrupt", "conflict", "lost", "repaired"),
    *("reopened", "merged", "restored"),
)
"""What does not happen in the life of a day that all goes well with."""
_READ = ("verified", "repaired", "lost", "drilled")


class Range(Struct, frozen=True):
    """From one day to another, both included."""

    first: date
    last: date

    def has(self, key: str) -> bool:
        """Whether this is the key of one of these days."""
        try:
            return self.first <= date.fromisoformat(key.rpartition("/")[2]) <= self.last
        except ValueError:  # a stream's, or the daemon's
            return False


class Certificate(Struct, frozen=True):
    """A deletion."""

    key: str
    expired: Expired
    at: datetime
    sequence: int | None
    """Of the event; None: that was pruned, and the certificate is kept without it."""


class Incident(Struct, frozen=True):
    """Something out of the ordinary, or the same thing again and again."""

    key: str
    event: str
    words: str
    sequence: int
    """Of the first."""
    at: datetime
    """When the first was."""
    last: datetime
    """When the last was."""
    count: int


class Mended(Struct, frozen=True):
    """A copy that was bad or missing and was made again."""

    key: str
    path: str
    problem: str
    source: str
    sequence: int
    at: datetime


class Policy(Struct, frozen=True):
    """What was in force from then on."""

    rules: dict[str, str]
    changed: tuple[str, ...]
    """The names of the rules that are not as they were before; of the first all."""
    sequence: int | None
    at: datetime


class Month(Struct, frozen=True):
    """What was read in a month, by the name of its event."""

    month: str
    """``2026-07``."""
    counts: dict[str, int]
    bytes_read: int


class Chronicle(Struct, frozen=True):
    """What the journal says."""

    certificates: tuple[Certificate, ...]
    incidents: tuple[Incident, ...]
    mended: tuple[Mended, ...]
    policies: tuple[Policy, ...]
    months: tuple[Month, ...]
    last: dict[str, datetime]
    """When something was last read, by the name of its event."""
    unread: tuple[int, ...]
    """Numbers of events whose data cannot be read."""


class _Read(Struct):
    """What of an event's data says how much was read."""

    bytes_read: int = 0


def chronicle(rows: Iterable[Row], anchor: Mapping[str, Facts], within: Range) -> Chronicle:
    """Gather.

    Args:
        rows: every event that is kept, in order.
        anchor: what those before it had come to.
        within: the days that are asked for. Policies are those of all times.
    """
    found = _Gathering(within)
    found.take_anchor(anchor)
    for row in rows:
        found.take(row)
    return Chronicle(
        certificates=tuple(found.certificates),
        incidents=tuple(found.incidents()),
        mended=tuple(found.mended),
        policies=tuple(found.policies),
        months=tuple(
            Month(month, counts, found.bytes_read.get(month, 0))
            for month, counts in sorted(found.counts.items())
        ),
        last=found.last,
        unread=tuple(found.unread),
    )


class _Gathering:
    def __init__(self, within: Range) -> None:
        self._within = within
        self.certificates: list[Certificate] = []
        self.mended: list[Mended] = []
        self.policies: list[Policy] = []
        self.counts: dict[str, dict[str, int]] = {}
        self.bytes_read: dict[str, int] = {}
        self.last: dict[str, datetime] = {}
        self.unread: list[int] = []
        self._incidents: dict[tuple[str, str, str], Incident] = {}

    def take_anchor(self, anchor: Mapping[str, Facts]) -> None:
        daemon = anchor.get(DAEMON_KEY, Facts())
        if daemon.configured is not None:
            self._configured(daemon.configured, None, daemon.times["configured"])
        for key, facts in sorted(anchor.items()):
            if facts.expired is not None and self._within.has(key):
                self.certificates.append(Certificate(key, facts.expired, facts.times["expired"], None))

    def take(self, row: Row) -> None:
        try:
            if row.event == "configured":
                configured = msgspec.json.decode(row.data, type=Configured)
                self._configured(configured, row.sequence, datetime.fromisoformat(row.time))
            elif self._within.has(row.key):
                self._of_a_day(row)
        except (ValueError, TypeError):  # also what msgspec raises: the audit has said so already
            self.unread.append(row.sequence)

    def incidents(self) -> Iterator[Incident]:
        yield from sorted(self._incidents.values(), key=lambda incident: incident.sequence)

    def _configured(self, configured: Configured, sequence: int | None, at: datetime) -> None:
        rules = configured.policy
        before = self.policies[-1].rules if self.policies else {}
        changed = (name for name in (*rules, *before) if rules.get(name) != before.get(name))
        self.policies.append(Policy(rules, tuple(dict.fromkeys(changed)), sequence, at))

    def _of_a_day(self, row: Row) -> None:
        event, key = row.event, row.key
        if event == "expired":
            expired = msgspec.json.decode(row.data, type=Expired)
            self.certificates.append(
                Certificate(key, expired, datetime.fromisoformat(row.time), row.sequence)
            )
        if event in _READ:
            self._read(row)
        if event == "repaired":
            repaired, at = msgspec.json.decode(row.data, type=Repaired), datetime.fromisoformat(row.time)
            self.mended += [
                Mended(key, each.path, each.problem, each.source, row.sequence, at)
                for each in repaired.repairs
            ]
        if event in INCIDENTS:
            self._incident(row)

    def _read(self, row: Row) -> None:
        month, at = row.time[:7], datetime.fromisoformat(row.time)
        counts = self.counts.setdefault(month, {})
        counts[row.event] = counts.get(row.event, 0) + 1
        read = msgspec.json.decode(row.data, type=_Read).bytes_read
        self.bytes_read[month] = self.bytes_read.get(month, 0) + read
        self.last[row.event] = max(at, self.last.get(row.event, at))

    def _incident(self, row: Row) -> None:
        """The same failure of the same day is told once, with how often it was."""
        data, at = msgspec.json.decode(row.data), datetime.fromisoformat(row.time)
        for name in ("attempt", "next_try"):
            data.pop(name, None)
        words = details(data)
        what = row.key, row.event, words
        before = self._incidents.get(what) if row.event == "failed" else None
        if before is None:
            # Beside a failure nothing is told twice: each has a number of its own.
            what = what if row.event == "failed" else (*what[:2], f"{row.sequence}")
            self._incidents[what] = Incident(row.key, row.event, words, row.sequence, at, at, 1)
        else:
            self._incidents[what] = msgspec.structs.replace(before, last=at, count=before.count + 1)
