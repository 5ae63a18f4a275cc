"""What is asked at ``events.replay``, and what is answered: from the journal alone, as it is at one moment.

docs/events.md, "Questions", is the reference.
"""

from __future__ import annotations

from collections.abc import Sequence

from watcher import wire
from watcher.journal import Journal
from watcher.settings import Data
from watcher.snapshot import state_from
from watcher.wire import Frames, Message, Position, Refused, Replay, Snapshot, Status

REPLAY_LIMIT = 500
"""Events in one answer at most."""
SNAPSHOT_LIMIT = 500
"""Databases in one answer at most."""
_BYTES_LIMIT = 1 << 20
"""An answer to a replay has one event at least, and no more once their data exceed this."""
_ROWS = 50
"""So many events are read at once: what is beyond the bytes of an answer is read in vain."""


def answer_to(question: Sequence[bytes], journal: Journal, data: Data) -> Frames:
    """The frames of the answer. Raises `ValueError` for what is no question of ours."""
    try:
        position = wire.position_of(question)
    except wire.VersionError as error:
        return _refused(journal, str(error))
    word, after = question[0], [frame.decode() for frame in question[2:]]
    if word not in (wire.REPLAY, wire.SNAPSHOT):
        return _refused(journal, f"there is no question {word[:50]!r}: ask for a replay or for a snapshot")
    if len(after) != (word == wire.SNAPSHOT):
        raise ValueError(f"the question {word!r} does not have so many frames")
    with journal.snapshot():
        if word == wire.REPLAY:
            return _replay(position, journal)
        return _snapshot(position, after[0], journal, data)


def _refused(journal: Journal, why: str) -> Frames:
    return wire.answer(wire.REFUSED_TOPIC, journal.epoch, journal.head(), Refused(why))


def _replay(asked: Position, journal: Journal) -> Frames:
    head, oldest = journal.head(), journal.oldest()
    status = _status(asked, journal.epoch, head, oldest)
    events = _events(asked.sequence, head, journal) if status in ("ok", "pruned") else ()
    replay = Replay(asked.sequence, oldest, status, events)
    return wire.answer(wire.REPLAY_TOPIC, journal.epoch, head, replay)


def _events(since: int, head: int, journal: Journal) -> tuple[Message, ...]:
    events: list[Message] = []
    size = 0
    while since < head and len(events) < REPLAY_LIMIT:
        records = journal.since(since, _ROWS)
        if not records:  # somebody has removed the newest
            break
        for record in records:
            size += len(record.data)
            if events and size > _BYTES_LIMIT:
                return tuple(events)
            events.append(wire.message_of(record, journal.epoch))
        since = records[-1].sequence
    return tuple(events)


def _snapshot(asked: Position, after: str, journal: Journal, data: Data) -> Frames:
    head, since = journal.head(), asked.sequence
    status = _status(asked, journal.epoch, head, journal.oldest() if since else 0)
    known = journal.databases(after, SNAPSHOT_LIMIT + 1, since) if status == "ok" and since <= head else {}
    streams = {name: rotated for name in data.streams if (rotated := journal.facts(name).rotated)}
    states = tuple(state_from(key, facts, data) for key, facts in known.items())
    page = states[:SNAPSHOT_LIMIT]
    snapshot = Snapshot(since, after, len(states) > len(page), status, streams, page)
    return wire.answer(wire.SNAPSHOT_TOPIC, journal.epoch, head, snapshot)


def _status(asked: Position, epoch: int, head: int, oldest: int) -> Status:
    if asked.epoch not in (wire.ANY_EPOCH, epoch):
        return "other_journal"
    if asked.sequence == wire.NEWEST:
        return "ok"
    if asked.sequence > head:
        return "ahead"
    return "pruned" if asked.sequence + 1 < oldest else "ok"
