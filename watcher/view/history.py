"""One day: what it is, where its copies are, and everything that ever happened to it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from handlers.contract import Expired
from watcher.events import Held
from watcher.journal_format import Row
from watcher.overview import Day
from watcher.state import Database, Facts
from watcher.view.inventory import note_of
from watcher.wording import details, moment, printable

MOST_EVENTS = 10_000
"""Older ones than so many are left out."""


class DayCopy(Struct, frozen=True):
    """A copy of the day that is there."""

    path: str
    """Where it is."""
    top: Literal["root", "backup", "archive"]
    """In which directory of ``[data]``."""
    bytes: int
    """Its size."""
    sha256: str
    """What the SHA-256 of this file was when it was last recorded; empty: it was not."""


class DayEvent(Struct, frozen=True):
    """Something that happened to the day."""

    sequence: int
    """Its number in the journal."""
    time: datetime
    """When it was recorded: RFC 3339, UTC."""
    event: str
    """Its name."""
    says: str
    """What of its data matters to a person."""
    digests: dict[str, str]
    """The SHA-256 that are in its data, in hexadecimal, by the names of their fields."""
    data: Raw
    """The event's data as it is stored: its form is what the catalogue of events says."""
    link: str
    """Its link of the chain, in hexadecimal: the SHA-256 of the link before it and of this event."""


class History(Struct, frozen=True):
    """What a day is, and everything that ever happened to it."""

    at: datetime
    """When it was looked at: RFC 3339, UTC."""
    day: Day
    """How it stands, what is done next, when and why."""
    note: str
    """What is wrong, or who has put it on hold; empty: nothing."""
    hold: Held | None
    """The hold that it is on; null: it is on none."""
    copies: tuple[DayCopy, ...]
    """Those that are there."""
    certificate: Expired | None
    """Of its deletion; null: it was not deleted."""
    events: tuple[DayEvent, ...]
    """Those that the journal keeps of it, in order."""
    left_out: bool
    """Whether there are still older ones, which are left out because they are too many."""
    pruned_through: int
    """Events up to this number have left the journal, of whatever day; 0: none has."""
    pruned: dict[str, datetime]
    """What else happened to it, in events that were pruned: the last of each name, and when."""


def history_of(
    day: Day, database: Database, rows: Sequence[Row], pruned_through: int, at: datetime
) -> History:
    """Put together what is known of a day.

    Raises `ValueError` if a row is not what was recorded: `tickward audit verify` says which.

    Args:
        day: how it stands.
        database: its files, and the facts as they were when the rows were read.
        rows: its newest events in order; one more than `MOST_EVENTS` if there are more.
        pruned_through: the number of the last event that was pruned, of whatever key.
        at: when all this was read.
    """
    facts, left_out = database.facts, len(rows) > MOST_EVENTS
    events = tuple(map(_event, rows[-MOST_EVENTS:]))
    told = {(event.event, event.time) for event in events}
    # What came with a day that was taken over is told by that.
    adopted = facts.times.get("adopted")
    times = {name: time for name, time in facts.times.items() if name == "adopted" or time != adopted}
    untold = {name: time for name, time in times.items() if (name, time) not in told}
    return History(
        at=at,
        day=day,
        note=note_of(day, database),
        hold=facts.hold,
        copies=tuple(_copies(database)),
        certificate=facts.expired,
        events=events,
        left_out=left_out,
        pruned_through=pruned_through,
        pruned=untold if pruned_through and not left_out else {},
    )


def _event(row: Row) -> DayEvent:
    data: dict[str, Any] = msgspec.json.decode(row.data, type=dict[str, Any])
    return DayEvent(
        sequence=row.sequence,
        time=datetime.fromisoformat(row.time),
        event=row.event,
        says=details(data),
        digests={name: value for name, value in data.items() if name.endswith("sha256") and value},
        data=Raw(row.data.encode()),
        link=row.hash.hex(),
    )


def _copies(database: Database) -> Iterator[DayCopy]:
    paths, files, facts = database.paths, database.files, database.facts
    if files.database:
        yield DayCopy(paths.database, "root", files.database.size_bytes, _sha256_of_original(facts))
    packed = facts.compressed.compressed_sha256 if facts.compressed else ""
    if files.compressed:
        yield DayCopy(paths.compressed, "root", files.compressed.size_bytes, packed)
    if files.archived:
        yield DayCopy(paths.archived, "archive", files.archived.size_bytes, packed)
    if files.backup:
        sha256 = facts.backed_up.sha256 if facts.backed_up else ""
        yield DayCopy(paths.backup, "backup", files.backup.size_bytes, sha256)
    if files.backup_compressed:
        yield DayCopy(paths.backup_compressed, "backup", files.backup_compressed.size_bytes, packed)


def _sha256_of_original(facts: Facts) -> str:
    # Beside a compressed day it is one that was restored, or a late writer's: of that nothing is known.
    is_late = facts.compressed is not None and facts.restored is None
    return facts.sealed.sha256 if facts.sealed and not is_late else ""


def lines(history: History) -> Iterator[str]:
    """The same for people."""
    day = history.day
    yield f"{day.key}  {', '.join(each for each in (day.tier, day.state) if each)}"
    yield from _labelled(_standing(history))
    if history.certificate is not None:
        yield ""
        yield from _labelled(_certificate(history.certificate, day.expired_at))
    yield ""
    yield from _told(history)


def _standing(history: History) -> Iterator[tuple[str, str]]:
    day = history.day
    yield "next", f"{_next(day)}{day.reason}"
    if history.note and history.note != day.reason:
        yield day.trouble or "note", history.note
    if day.bytes is not None:
        yield "content", f"{day.ticks or 0:,} ticks, {day.symbols or 0:,} symbols, {day.bytes:,} bytes"
        yield "", f"sha256 {day.sha256}"
    for number, copy in enumerate(history.copies):
        yield "" if number else "copies", f"{copy.path}  {copy.bytes:,} bytes"
        if copy.sha256:
            yield "", f"sha256 {copy.sha256}"
    if not history.copies:
        yield "copies", "none"
    if day.verified_at is not None:
        yield "verified", moment(day.verified_at)
        yield "drilled", moment(day.drilled_at)


def _next(day: Day) -> str:
    if day.entry == "block":
        return "blocked: "
    when = "now" if day.entry == "action" else moment(day.due) if day.due else ""
    what = f"{day.step or ''} {when}".strip()
    return f"{what}: " if what else ""


def _certificate(expired: Expired, at: datetime | None) -> Iterator[tuple[str, str]]:
    yield "certificate", f"deleted {moment(at)} by {expired.by}: {expired.reason}"
    yield "", f"policy: {expired.policy}; due {moment(expired.due)}"
    yield "", f"{expired.ticks:,} ticks, {expired.symbols:,} symbols, {expired.size_bytes:,} bytes"
    yield "", f"sha256 {expired.sha256}"
    if expired.compressed_sha256:
        yield "", f"compressed_sha256 {expired.compressed_sha256}, {expired.compressed_bytes:,} bytes"
    yield "", f"{expired.freed_bytes:,} bytes freed; there was no copy at the end at:"
    for path in expired.paths:
        yield "", path
    for path in expired.left:
        yield "", f"left, because it is no copy: {path}"


def _told(history: History) -> Iterator[str]:
    if history.left_out:
        where = f"`tickward audit export --key {history.day.key}` has all"
        yield f"only the newest {MOST_EVENTS:,} events: {where}"
    if history.pruned:
        yield f"pruned (events to #{history.pruned_through} have left the journal), the last of each kind:"
        for name, time in sorted(history.pruned.items(), key=lambda item: item[1]):
            yield f"  {time:%Y-%m-%d %H:%M:%S} {name}"
    if not (history.events or history.pruned):
        yield "nothing has happened to it yet"
        return
    for event in history.events:
        head = f"#{event.sequence} {event.time:%Y-%m-%d %H:%M:%S} {event.event}"
        yield printable(f"{head} {event.says}".rstrip())
        yield from _labelled(_hashes(event.digests, event.link), indent="    ")
    yield "`tickward audit verify` proves that these links, and all others, follow from each other"


def _hashes(digests: Mapping[str, str], link: str) -> Iterator[tuple[str, str]]:
    yield from digests.items()
    yield "link", link


def _labelled(pairs: Iterator[tuple[str, str]], indent: str = "") -> Iterator[str]:
    both = list(pairs)
    width = max(len(label) for label, _ in both)
    for label, text in both:
        yield printable(f"{indent}{label:{width}}  {text}")
