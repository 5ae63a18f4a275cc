"""The audit: is the journal what was recorded, all of it and nothing else?

Proven is, in this order: each event follows from the one before it; the newest is the one that was recorded
last; the one that was noted outside of the journal is still the same; what pruned events had come to is what
their anchor says; the facts are what all this makes of every database. The first that is not so is told.
Whoever can rewrite the whole journal and also what was noted outside of it is beyond this proof: keep copies
of ``rotation_metadata.json``, or of the published events, where nobody but you can reach.

It only reads, works with the daemon running or not, and needs memory for the facts, not for the events.

The trail is for auditors who read for themselves: every event with its hash and the policy in force.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import apsw
import msgspec
from msgspec import Raw, Struct

from watcher import journal_format as form
from watcher.events import DAEMON_KEY, Configured
from watcher.journal import Journal, Start, Witness
from watcher.journal_format import BrokenError, Link
from watcher.state import Facts
from watcher.summary import Summary, summary_of

_CONFIGURED = "configured"


class Finding(Struct, frozen=True):
    """The first thing in the journal that is not what was recorded."""

    sequence: int | None
    """The event's number; None if it is no single event."""
    problem: str
    """What is wrong, in a sentence."""


class Proof(Struct, frozen=True):
    """What was proven of a journal that is what was recorded."""

    events: int
    """How many were proven."""
    first: int
    """The number of the oldest event that is kept; 0 if there is none."""
    last: int
    """The number of the newest event; 0 if there is none."""
    since: datetime | None
    """When the oldest was recorded."""
    until: datetime | None
    """When the newest was recorded."""
    pruned_by: int
    """The number of the event that vouches for what was pruned; 0 if nothing was."""
    keys: int
    """How many databases, streams and others there are facts of."""
    outside: int | None
    """The number of the event that was noted outside of the journal; None: none that is still kept."""


class Entry(Struct, frozen=True):
    """One event of the trail."""

    sequence: int
    """Its number."""
    time: str
    """ISO 8601, as it is stored."""
    event: str
    """Its name."""
    key: str
    """The database, ``stream/YYYY-MM-DD``; the stream for ``rotated``; ``-`` for the daemon."""
    data: Raw
    """Its fields."""
    hash: str
    """Its link of the chain, in hexadecimal."""
    policy: dict[str, str] | None
    """The rules in force from this event on, by name; None: none were recorded yet."""


def check(journal: Journal, witness: Witness | None) -> Finding | None:
    """The first thing that is not what was recorded; None if all is.

    Args:
        witness: what was noted outside of the journal, before it was opened; None if nothing was.
    """
    found = examine(journal, witness)
    return found if isinstance(found, Finding) else None


def examine(journal: Journal, witness: Witness | None) -> Proof | Finding:
    """The same, with what was proven. Raises `TickwardError` for events that this version does not know."""
    try:
        with journal.snapshot():
            return _prove(journal, witness)
    except BrokenError as broken:
        return Finding(broken.sequence, broken.problem)
    except (apsw.Error, UnicodeDecodeError) as error:
        return Finding(None, f"it cannot be read ({error})")


def trail(journal: Journal, since: int = 0, key: str | None = None) -> Iterator[Entry]:
    """The events after a sequence number, in order; only those of a key if one is given.

    Also of times before the oldest event that is kept the policy is known: it is what pruned events had
    come to. What the rows hold is handed out as it is: `examine` says whether that is what was recorded.
    To be read inside of `Journal.snapshot`.
    """
    configured = journal.anchor_facts().get(DAEMON_KEY, Facts()).configured
    for row in journal.rows():
        if row.event == _CONFIGURED:
            configured = msgspec.json.decode(row.data, type=Configured)
        if row.sequence > since and key in (None, row.key):
            data = Raw(row.data.encode())
            policy = configured.policy if configured else None
            yield Entry(row.sequence, row.time, row.event, row.key, data, row.hash.hex(), policy)


def _prove(journal: Journal, witness: Witness | None) -> Proof:
    start = journal.start()
    last = _require_chain(journal, start)
    _require_head(journal.head_link(), last)
    outside = _require_outside(journal, witness)
    _require_anchor_facts(journal, start)
    keys = _require_facts(journal)
    first = journal.oldest()
    return Proof(
        events=last.sequence - start.link.sequence,
        first=first,
        last=last.sequence,
        since=_time_of(journal, first),
        until=_time_of(journal, last.sequence),
        pruned_by=start.sequence,
        keys=keys,
        outside=outside,
    )


def _require_chain(journal: Journal, start: Start) -> Link:
    """The newest event that is there."""
    last = start.link
    try:
        for row in form.linked(journal.rows(), start.link):
            last = Link(row.sequence, row.hash)
    except BrokenError as broken:
        if last == start.link and _is_edited(journal, start):
            raise _edited(start.sequence) from broken
        raise
    return last


def _is_edited(journal: Journal, start: Start) -> bool:
    """Nothing follows from what the anchor says: is that because the anchor itself was edited?

    Then it does not follow from the event before it, be that as it is or as the anchor wants it to be.
    """
    pruned, before = journal.row(start.sequence), journal.row(start.sequence - 1)
    if pruned is None or before is None:
        return False
    hashes = (before.hash, form.chain(start.link.hash, before))
    return all(pruned.hash != form.chain(hash_, pruned) for hash_ in hashes)


def _edited(sequence: int) -> BrokenError:
    return BrokenError(f"event {sequence}, which the rest is proven from, was edited", sequence)


def _require_head(head: Link, last: Link) -> None:
    if head.sequence > last.sequence:
        first = last.sequence + 1
        which = form.events_are(first, head.sequence)
        raise BrokenError(f"{which} missing: the newest were removed", first)
    if head.sequence < last.sequence:
        first = head.sequence + 1
        raise BrokenError(f"event {first} was put in: the newest that was recorded is {head.sequence}", first)
    if head.hash != last.hash:
        raise BrokenError(f"event {head.sequence} is not the one that was recorded last", head.sequence)


def _require_outside(journal: Journal, witness: Witness | None) -> int | None:
    """The number of the event that was compared; None if there is none to compare."""
    if witness is None:
        return None
    if witness.epoch != f"{journal.epoch:x}":
        raise BrokenError("it is not the journal that was in use: another was begun, or put in its place")
    if witness.sequence > journal.head():
        first = journal.head() + 1
        raise BrokenError(
            f"events {first} to {witness.sequence} are missing: an older copy of it was put in its place",
            first,
        )
    link = journal.link(witness.sequence)
    if link is not None and link.hex() != witness.hash:
        raise BrokenError(
            f"event {witness.sequence} is not the one that was there at {witness.at:%Y-%m-%d %H:%M:%S} UTC: "
            "it, or some before it, were written anew",
            witness.sequence,
        )
    return witness.sequence if link is not None else None


def _require_anchor_facts(journal: Journal, start: Start) -> None:
    if form.facts_digest(journal.rows_of("anchor_facts")) != start.facts_sha256:
        raise BrokenError("what pruned events had come to (anchor_facts) was edited", start.sequence or None)


def _require_facts(journal: Journal) -> int:
    """The number of keys that there are facts of."""
    facts = journal.anchor_facts()
    for row in journal.rows():
        _fold(facts, row)
    keys = len(facts)
    summaries = {summary.key: summary for summary in _summaries(journal)}
    for key, data in journal.rows_of("facts"):
        known = facts.pop(key, None)
        if known is None or _decoded(data) != known:
            raise BrokenError(f"the facts of {key} are not what its events make of them")
        if "/" in key and summaries.pop(key, None) != summary_of(key, known):
            raise BrokenError(f"the summary of {key} is not what its facts make of it")
    if facts:
        raise BrokenError(f"the facts of {min(facts)} are missing")
    if summaries:
        raise BrokenError(f"the summary of {min(summaries)} was put in")
    return keys


def _summaries(journal: Journal) -> list[Summary]:
    try:
        return journal.summaries()
    except ValueError as error:  # also what msgspec raises
        raise BrokenError(f"the summary of a day is none ({error})") from error


def _fold(facts: dict[str, Facts], row: form.Row) -> None:
    try:
        form.fold_row(facts, row)
    except ValueError as error:  # also what msgspec raises
        raise BrokenError(f"event {row.sequence} is none of its kind ({error})", row.sequence) from error


def _decoded(data: str) -> Facts | None:
    """Compared is what they mean: a later version may write the same in another way."""
    try:
        return form.decode_facts(str(data))
    except ValueError:
        return None


def _time_of(journal: Journal, sequence: int) -> datetime | None:
    row = journal.row(sequence)
    return datetime.fromisoformat(row.time) if row else None
