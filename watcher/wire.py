"""How events look on the wire: three frames each.

1. the topic ``name/stream/``, e.g. ``sealed/ticks/``: it ends in a delimiter, so that subscribing to a
   prefix never matches a longer name; events of the daemon itself have the stream ``-``;
2. 16 bytes: the journal's epoch and the sequence number, each an unsigned big-endian 64-bit integer;
3. a JSON object with CloudEvents 1.0 attributes and ``data``.

A heartbeat has the topic ``heartbeat/-/``, the sequence number of the newest event and an empty body.
"""

from __future__ import annotations

import struct
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from watcher.events import Record

HEARTBEAT_TOPIC = b"heartbeat/-/"
END_TOPIC = b"end/-/"
"""The last message of a replay: the sequence number of the newest event, and an `End` as its body."""
REPLAY_REQUEST = b"replay"
SINCE = struct.Struct(">Q")
NEWEST = 2**64 - 1
"""A replay since here has no events: it only tells the newest sequence number."""
_POSITION = struct.Struct(">QQ")


class Message(Struct, frozen=True):
    """An event as it is on the wire: a CloudEvents 1.0 object."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    sequence: int
    data: Any
    datacontenttype: str = "application/json"

    @property
    def event(self) -> str:
        return self.type.removeprefix(_TYPE_PREFIX)


class End(Struct, frozen=True):
    """The body of the message that ends a replay."""

    since: int
    """The number that was asked for: says which question this answers."""
    oldest: int
    """The number of the oldest event that the journal keeps; 0 if there is none."""


_TYPE_PREFIX = "tickward."
_encode = msgspec.json.Encoder().encode
_decode_message = msgspec.json.Decoder(Message).decode
_decode_end = msgspec.json.Decoder(End).decode


def topic_of(event: str, key: str) -> bytes:
    """``sealed/ticks/`` for the event ``sealed`` of ``ticks/2026-01-20``."""
    return f"{event}/{key.partition('/')[0]}/".encode()


def to_frames(record: Record, epoch: int) -> list[bytes]:
    """The three frames of a record."""
    message = Message(
        specversion="1.0",
        id=f"{epoch:x}-{record.sequence}",
        source="tickward",
        type=_TYPE_PREFIX + record.event,
        subject=record.key,
        time=record.time,
        sequence=record.sequence,
        data=record.data,
    )
    topic = topic_of(record.event, record.key)
    return [topic, _POSITION.pack(epoch, record.sequence), _encode(message)]


def heartbeat(epoch: int, head: int) -> list[bytes]:
    """The frames that tell subscribers how far the journal has got."""
    return [HEARTBEAT_TOPIC, _POSITION.pack(epoch, head), b""]


def end_of_replay(epoch: int, head: int, end: End) -> list[bytes]:
    """The frames that end a replay."""
    return [END_TOPIC, _POSITION.pack(epoch, head), _encode(end)]


def position_of(frames: list[bytes]) -> tuple[int, int]:
    """Epoch and sequence number of a message. Raises `ValueError` if it is not one of ours."""
    if len(frames) != 3 or len(frames[1]) != _POSITION.size:
        raise ValueError("not a message of tickward: expected topic, 16 bytes of position, body")
    epoch, sequence = _POSITION.unpack(frames[1])
    return epoch, sequence


def end_from(frames: list[bytes]) -> End:
    """What the last message of a replay says. Raises `ValueError` if it is not one of ours."""
    try:
        return _decode_end(frames[2])
    except msgspec.MsgspecError as error:
        raise ValueError(f"not the end of a replay: {error}") from None


def from_frames(frames: list[bytes]) -> Message:
    """The message in three frames. Raises `ValueError` if it is not one of ours."""
    position_of(frames)
    try:
        return _decode_message(frames[2])
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a message of tickward: {error}") from None
