"""The events on the wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tests.watcher.builders import sealed
from watcher import wire
from watcher.events import EVENTS, Progress, Record
from watcher.wire import DatabaseState, Refused, Replay, Snapshot, from_frames, position_of, to_frames

AT = datetime(2026, 1, 21, 0, 0, 1, tzinfo=UTC)
EPOCH = 0xABCDEF
POSITION = wire.pack(EPOCH, 17)


def record(event: str = "sealed", key: str = "ticks/2026-01-20", data: bytes = b"{}") -> Record:
    return Record(17, AT, event, key, Raw(data))


def test_an_event_is_a_cloudevent_in_three_frames() -> None:
    topic, position, body = to_frames(record(data=msgspec.json.encode(sealed())), EPOCH)
    assert topic == b"sealed/ticks/"
    assert position == b"\1" + EPOCH.to_bytes(8, "big") + (17).to_bytes(8, "big")
    content = json.loads(body)
    assert content.pop("data")["ticks"] == 10
    assert content == {
        "specversion": "1.0",
        "id": "abcdef-17",
        "source": "tickward",
        "type": "tickward.sealed",
        "subject": "ticks/2026-01-20",
        "time": "2026-01-21T00:00:01Z",
        "sequence": 17,
        "datacontenttype": "application/json",
    }


@pytest.mark.parametrize("name", EVENTS)
def test_no_topic_is_the_beginning_of_another(name: str) -> None:
    keys = ["ticks/2026-01-20", "ticks2/2026-01-20", "ticks", "-"]
    topics = {wire.topic_of(event, key) for event in EVENTS for key in keys}
    topics |= {wire.HEARTBEAT_TOPIC, wire.REPLAY_TOPIC, wire.SNAPSHOT_TOPIC, wire.REFUSED_TOPIC}
    for key in keys:
        mine = wire.topic_of(name, key)
        assert [topic for topic in topics if topic.startswith(mine)] == [mine]


def test_every_event_has_its_name_and_says_what_it_is() -> None:
    assert len(set(EVENTS.values())) == len(EVENTS)
    for name, kind in EVENTS.items():
        assert kind.__doc__, name


@given(
    st.sampled_from(sorted(EVENTS)),
    st.integers(0, 2**63 - 1),
    st.integers(1, 2**63 - 1),
    st.datetimes(timezones=st.just(UTC)),
    st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()),
)
def test_what_is_sent_is_what_arrives(
    name: str, epoch: int, sequence: int, at: datetime, data: dict[str, object]
) -> None:
    frames = to_frames(Record(sequence, at, name, "ticks/2026-01-20", Raw(msgspec.json.encode(data))), epoch)
    message = from_frames(frames)
    assert position_of(frames) == (epoch, sequence)
    assert (message.event, message.sequence, message.time, message.data) == (name, sequence, at, data)


def test_a_record_decodes_to_the_typed_event() -> None:
    assert record(data=msgspec.json.encode(sealed())).decode() == sealed()
    with pytest.raises(msgspec.ValidationError):
        record(data=b'{"path": 3}').decode()


def test_a_heartbeat_tells_the_newest_number() -> None:
    frames = wire.heartbeat(EPOCH, 5)
    assert frames[0] == wire.HEARTBEAT_TOPIC
    assert position_of(frames) == (EPOCH, 5)


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b"sealed/ticks/"],
        [b"sealed/ticks/", b"short", b"{}"],
        [b"sealed/ticks/", bytes(16), b"{}"],
        [b"sealed/ticks/", POSITION + b"\0", b"{}"],
        [b"sealed/ticks/", POSITION, b"{}", b"more"],
        [b"sealed/ticks/", POSITION, b""],
        [b"sealed/ticks/", POSITION, b"not json"],
        [b"sealed/ticks/", POSITION, b"\xff"],
        [b"sealed/ticks/", POSITION, b'{"specversion": "1.0"}'],
        [b"sealed/ticks/", POSITION, b"[]"],
    ],
)
def test_what_is_not_ours_is_refused_in_words(frames: list[bytes]) -> None:
    with pytest.raises(ValueError, match="not a message of tickward"):
        from_frames(frames)


def test_progress_is_no_event_of_the_journal() -> None:
    frames = wire.progress_frames("ticks/2026-01-20", Progress("compress", 5, 9), EPOCH, 17, 3, AT)
    assert (frames[0], position_of(frames)) == (b"progress/ticks/", (EPOCH, 17))
    content = json.loads(frames[2])
    assert "sequence" not in content
    assert (content["id"], content["data"]["done_bytes"]) == ("abcdef-17.3", 5)
    assert from_frames(frames).sequence == 0


ANSWERS = [
    (wire.REPLAY_TOPIC, Replay(5, 1, "pruned", ())),
    (wire.REPLAY_TOPIC, Replay(0, 1, "ok", (wire.message_of(record(data=b'{"a":[1]}'), EPOCH),))),
    (wire.SNAPSHOT_TOPIC, Snapshot(0, "", True, "ok", {}, (DatabaseState("ticks/2026-01-20", "sealed"),))),
    (wire.REFUSED_TOPIC, Refused("no")),
]


@pytest.mark.parametrize(("topic", "body"), ANSWERS)
def test_an_answer_arrives_as_it_was_sent(topic: bytes, body: Replay | Snapshot | Refused) -> None:
    frames = wire.answer(topic, EPOCH, 17, body)
    assert position_of(frames) == (EPOCH, 17)
    assert msgspec.json.encode(wire.answer_from(frames)) == msgspec.json.encode(body)


@pytest.mark.parametrize(
    "frames",
    [
        [b"sealed/ticks/", POSITION, b"{}"],
        [wire.REPLAY_TOPIC, POSITION],
        [wire.REPLAY_TOPIC, POSITION, b"{}"],
        [wire.SNAPSHOT_TOPIC, POSITION, b'{"why": "no"}'],
        [wire.REFUSED_TOPIC, POSITION, b""],
    ],
)
def test_what_is_no_answer_is_refused_in_words(frames: list[bytes]) -> None:
    with pytest.raises(ValueError, match="not a"):
        wire.answer_from(frames)


@pytest.mark.parametrize("frames", [wire.heartbeat(EPOCH, 5), wire.question(wire.REPLAY, EPOCH, 5)])
def test_another_version_is_told_from_garbage(frames: list[bytes]) -> None:
    frames = [frames[0], b"\2 whatever it may be then", *frames[2:]]
    with pytest.raises(wire.VersionError, match="version 2 of the wire, this is version 1: update"):
        position_of(frames)
