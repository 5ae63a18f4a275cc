"""How events look on the wire: three frames each, whatever the message.

1. the topic ``name/stream/``, e.g. ``sealed/ticks/``: it ends in a delimiter, so that subscribing to a
   prefix never matches a longer name; what concerns the daemon itself has the stream ``-``;
2. the position, 17 bytes: the version of all this, the journal's epoch and a sequence number, unsigned and
   big-endian, of 1, 8 and 8 bytes;
3. the body, JSON: a CloudEvents 1.0 object for an event, nothing for a heartbeat, else that answer's object.

Questions have a word in the place of the topic, and a position; docs/events.md is the reference.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from watcher.errors import TickwardError
from watcher.events import UNRECORDED, Progress, Record, Rotated

VERSION = 1
HEARTBEAT_TOPIC = b"heartbeat/-/"
"""The sequence number of the newest event that was sent; no body."""
REPLAY_TOPIC = b"replay/-/"
SNAPSHOT_TOPIC = b"snapshot/-/"
REFUSED_TOPIC = b"refused/-/"
REPLAY = b"replay"
SNAPSHOT = b"snapshot"
NEWEST = 2**64 - 1
"""A replay since here has no events: it only tells the newest sequence number."""
ANY_EPOCH = 0
"""In a question: whichever journal there is."""
_POSITION = struct.Struct(">BQQ")
_TYPE_PREFIX = "tickward."

Frames = list[bytes]
Status = Literal["ok", "pruned", "ahead", "other_journal"]
T = TypeVar("T")


class VersionError(TickwardError, ValueError):
    """The other end speaks another version of the wire."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"the other end speaks version {version} of the wire, this is version {VERSION}: "
            "update the older of the two"
        )


class Position(NamedTuple):
    """The second frame of every message and question."""

    epoch: int
    sequence: int


class Message(Struct, frozen=True, omit_defaults=True):
    """An event as it is on the wire: a CloudEvents 1.0 object."""

    specversion: str
    """The version of CloudEvents."""
    id: str
    """The epoch in hexadecimal, and the sequence number: unique."""
    source: str
    """Who says so: ``tickward``."""
    type: str
    """The name of the event, after ``tickward.``."""
    subject: str
    """The database, ``stream/YYYY-MM-DD``; the stream for ``rotated``; ``-`` for the daemon."""
    time: datetime
    """When it was recorded, by the clock of the daemon."""
    datacontenttype: str
    """The form of ``data``."""
    data: Any
    """The fields of the event."""
    sequence: int = 0
    """0, and not on the wire, for what was never recorded."""

    @property
    def event(self) -> str:
        """The name of the event."""
        return self.type.removeprefix(_TYPE_PREFIX)

    @property
    def stream(self) -> str:
        """The stream; ``-`` for what concerns the daemon."""
        return self.subject.partition("/")[0]


class Replay(Struct, frozen=True):
    """The body of the answer to a replay: the events after a number, as many as fit."""

    since: int
    """The number that was asked for: says which question this answers."""
    oldest: int
    """The number of the oldest event that the journal keeps; 0 if there is none."""
    status: Status
    """``pruned``: what follows ``since`` is kept from ``oldest`` on only; ``ahead``: the journal has not got
    so far; ``other_journal``: it is not the one whose epoch was given. These two bring no events."""
    events: tuple[Message, ...]


class DatabaseState(Struct, frozen=True, omit_defaults=True):
    """What has become of one database, by the journal."""

    subject: str
    """``stream/YYYY-MM-DD``."""
    state: str
    """``created``, ``active``, ``closed``, ``sealed``, ``backed_up``, ``compressed``, ``archived`` or
    ``expired``; ``absent``: nothing of this is known of it."""
    path: str = ""
    """The first copy, in whatever form it is; empty: there is none."""
    sha256: str = ""
    """Of the uncompressed content, from sealing on."""
    size_bytes: int = 0
    """Of the uncompressed content, from sealing on."""
    compressed_bytes: int = 0
    """Of the compressed copy; 0: there is none."""
    ticks: int | None = None
    """From sealing on."""
    hold: str = ""
    """Why it is on hold; empty: it is not."""
    problem: str = ""
    """What stands in its way; empty: nothing does."""
    times: dict[str, datetime] = {}
    """When each kind of event last happened to it."""


class Snapshot(Struct, frozen=True):
    """The body of the answer to a snapshot: databases in the order of their subjects, as many as fit.

    True at the number in the position of the message.
    """

    since: int
    after: str
    """The subject after which this begins, as it was asked for."""
    more: bool
    """Whether there are more: ask for those after the last one."""
    status: Status
    """As for a `Replay`; ``pruned``: what has changed since then cannot be told any more, ask since 0."""
    streams: dict[str, Rotated]
    """The last rotation of each stream: its current day."""
    databases: tuple[DatabaseState, ...]


class Refused(Struct, frozen=True):
    """The body of the answer to a question that cannot be answered."""

    why: str


_encode = msgspec.json.Encoder().encode
_decode_message = msgspec.json.Decoder(Message).decode
_DECODE_ANSWER: dict[bytes, Callable[[bytes], Replay | Snapshot | Refused]] = {
    REPLAY_TOPIC: msgspec.json.Decoder(Replay).decode,
    SNAPSHOT_TOPIC: msgspec.json.Decoder(Snapshot).decode,
    REFUSED_TOPIC: msgspec.json.Decoder(Refused).decode,
}


def topic_of(event: str, key: str) -> bytes:
    """``sealed/ticks/`` for the event ``sealed`` of ``ticks/2026-01-20``."""
    return f"{event}/{key.partition('/')[0]}/".encode()


def message_of(record: Record, epoch: int) -> Message:
    """A record as a CloudEvents object."""
    return Message(
        specversion="1.0",
        id=f"{epoch:x}-{record.sequence}",
        source="tickward",
        type=_TYPE_PREFIX + record.event,
        subject=record.key,
        time=record.time,
        datacontenttype="application/json",
        data=record.data,
        sequence=record.sequence,
    )


def to_frames(record: Record, epoch: int) -> Frames:
    """The three frames of a record."""
    topic = topic_of(record.event, record.key)
    return [topic, pack(epoch, record.sequence), _encode(message_of(record, epoch))]


def progress_frames(key: str, progress: Progress, epoch: int, head: int, count: int, at: datetime) -> Frames:
    """The frames of what is published and not recorded: the ``count``-th since event ``head`` was sent."""
    (event,) = UNRECORDED
    message = Message(
        specversion="1.0",
        id=f"{epoch:x}-{head}.{count}",
        source="tickward",
        type=_TYPE_PREFIX + event,
        subject=key,
        time=at,
        datacontenttype="application/json",
        data=progress,
    )
    return [topic_of(event, key), pack(epoch, head), _encode(message)]


def heartbeat(epoch: int, head: int) -> Frames:
    """The frames that tell subscribers how far the journal has got."""
    return [HEARTBEAT_TOPIC, pack(epoch, head), b""]


def answer(topic: bytes, epoch: int, head: int, body: Replay | Snapshot | Refused) -> Frames:
    """The frames of an answer; ``head`` is the number of the newest event."""
    return [topic, pack(epoch, head), _encode(body)]


def question(word: bytes, epoch: int, since: int, after: str | None = None) -> Frames:
    """The frames of a question; ``after`` for a snapshot only."""
    return [word, pack(epoch, since), *([] if after is None else [after.encode()])]


def pack(epoch: int, sequence: int) -> bytes:
    """A position. Raises `struct.error` for numbers of more than 64 bits."""
    return _POSITION.pack(VERSION, epoch, sequence)


def position_of(frames: Sequence[bytes]) -> Position:
    """Epoch and sequence number of a message or question.

    Raises `ValueError` if it is not one of ours, `VersionError` if it is of another version.
    """
    if not 2 <= len(frames) <= 3 or not frames[1]:
        raise ValueError("not a message of tickward: expected topic, position, body")
    # In every version to come this byte is the version, and topics and words are such as these.
    version, ours = frames[1][0], frames[0].endswith(b"/-/") or frames[0] in (REPLAY, SNAPSHOT)
    if version != VERSION and ours:
        raise VersionError(version)
    if version != VERSION or len(frames[1]) != _POSITION.size:
        raise ValueError("not a message of tickward: its position is none")
    _, epoch, sequence = _POSITION.unpack(frames[1])
    return Position(epoch, sequence)


def from_frames(frames: Sequence[bytes]) -> Message:
    """The event in three frames. Raises `ValueError` if it is not one of ours."""
    position_of(frames)
    return _decoded(frames, _decode_message)


def answer_from(frames: Sequence[bytes]) -> Replay | Snapshot | Refused:
    """The answer in three frames. Raises `ValueError` if it is not one of ours."""
    position_of(frames)
    decode = _DECODE_ANSWER.get(frames[0])
    if decode is None:
        raise ValueError(f"not an answer of tickward: its topic is {frames[0][:100]!r}")
    return _decoded(frames, decode)


def _decoded(frames: Sequence[bytes], decode: Callable[[bytes], T]) -> T:
    try:
        return decode(frames[2])
    except (IndexError, msgspec.MsgspecError) as error:
        raise ValueError(f"not a message of tickward: {error}") from None
