"""The subscriber against the real publisher, and against a daemon that misbehaves by script."""

from __future__ import annotations

import gc
import itertools
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
import zmq

from tests.watcher.bus import AT, KEY, LONG, Bus, free_port, in_use, logged, wait_until
from tests.watcher.processes import Child
from tests.watcher.recording import key_of, recording
from watcher import publisher, wire
from watcher.answers import REPLAY_LIMIT, SNAPSHOT_LIMIT
from watcher.certificates import new_pair
from watcher.events import Event, Opened, Progress, Record, Rotated, Stopped
from watcher.journal import Journal
from watcher.subscriber import ClosedError, RefusedError, Subscriber, VersionError, client, following
from watcher.wire import Frames, Message, Refused, Replay

ROOT = Path(__file__).parents[2]
Join = Callable[..., Subscriber]


@pytest.fixture
def join(bus: Bus) -> Iterator[Join]:
    """Makes subscribers that are closed in the end."""
    made: list[Subscriber] = []

    def join(**options: object) -> Subscriber:
        made.append(Subscriber(bus.publish, bus.replay, **options))  # type: ignore[arg-type]
        return made[-1]

    yield join
    for each in made:
        each.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "ASK_AGAIN_SECONDS", 0.1)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each question that the publisher answers."""
    counted: list[int] = []
    answer = publisher.answer_to

    def counting(question: list[bytes], *others: Any) -> Frames:
        counted.append(1)
        return answer(question, *others)

    monkeypatch.setattr(publisher, "answer_to", counting)
    return counted


def take(source: Subscriber, count: int) -> list[int]:
    """The sequence numbers of the next so many events, each checked to be what was recorded under it."""
    taken = []
    for _ in range(count):
        message = receive(source)
        assert message.data["path"] == f"{message.sequence}"
        taken.append(message.sequence)
    return taken


def receive(source: Subscriber) -> Message:
    message = source.receive(10.0)
    assert message is not None, f"nothing came after {source.sequence}"
    return message


def reach(source: Subscriber, head: int) -> None:
    """Let a subscriber that wants what is new learn how far the journal has got."""
    deadline = time.monotonic() + 10.0
    while source.sequence < head:
        assert source.receive(0.01) is None
        assert time.monotonic() < deadline


def turns_of(source: Subscriber, seconds: float) -> int:
    """How often it looks for something within that time, in which nothing comes."""
    turn, turns = source._turn, []
    source._turn = lambda: turns.append(1) or turn()  # type: ignore[method-assign]
    assert source.receive(seconds) is None
    source._turn = turn  # type: ignore[method-assign]
    return len(turns)


def numbers(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


class TestWhereItBegins:
    def test_a_late_joiner_gets_all(self, bus: Bus, join: Join) -> None:
        bus.record(2 * REPLAY_LIMIT + 10)
        started = bus.start()
        late = join(since=0)
        assert take(late, 2 * REPLAY_LIMIT + 10) == numbers(1, 2 * REPLAY_LIMIT + 10)
        bus.record(3)
        started.wake()

        assert take(late, 3) == numbers(2 * REPLAY_LIMIT + 11, 2 * REPLAY_LIMIT + 13)
        assert late.receive(0.1) is None

    def test_an_early_one_too(self, bus: Bus, join: Join) -> None:
        early = join(since=0)
        bus.record(3)
        bus.start()

        assert take(early, 3) == [1, 2, 3]

    def test_without_a_number_only_what_comes_after(self, bus: Bus, join: Join) -> None:
        bus.record(5)
        started = bus.start()
        new = join()
        assert new.sequence == 0
        reach(new, 5)
        bus.record(2)
        started.wake()

        assert take(new, 2) == [6, 7]

    def test_in_an_empty_journal(self, bus: Bus, join: Join) -> None:
        started = bus.start()
        new, all_of_it = join(), join(since=0)
        assert new.receive(0.2) is None
        bus.record(2)
        started.wake()

        assert take(new, 2) == [1, 2]
        assert take(all_of_it, 2) == [1, 2]

    def test_after_a_number(self, bus: Bus, join: Join) -> None:
        bus.record(5)
        bus.start()

        assert take(join(since=3), 2) == [4, 5]

    def test_after_a_message(self, bus: Bus, join: Join) -> None:
        bus.record(5)
        bus.start()
        seen = [receive(first) for first in [join(since=0)] for _ in range(3)]

        assert take(join(since=seen[-1].id), 2) == [4, 5]

    def test_after_a_message_of_a_journal_that_is_no_more(self, bus: Bus, join: Join) -> None:
        bus.record(3)
        bus.start()
        last = [receive(first) for first in [join(since=0)] for _ in range(3)][-1]
        bus.stop()
        bus.new_journal()
        bus.record(7)
        bus.start()

        assert take(join(since=last.id), 7) == numbers(1, 7)

    def test_the_position_says_what_was_handed_out(self, bus: Bus, join: Join) -> None:
        bus.record(3)
        bus.start()
        source = join(since=1)
        assert source.sequence == 1
        take(source, 1)
        assert source.sequence == 2

    @pytest.mark.parametrize("since", [-1, 2**64, "", "5", "x-5", "5-x", "5-5-5"])
    def test_not_just_anywhere(self, since: int | str) -> None:
        with pytest.raises(ValueError, match="neither a sequence number nor the id"):
            Subscriber(since=since)


class TestEveryEventOnceAndInOrder:
    def test_over_tcp(self, bus: Bus, join: Join) -> None:
        bus.publish, bus.replay = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
        bus.record(10)
        started = bus.start()
        source = join(since=0)
        take(source, 10)
        bus.record(10)
        started.wake()

        assert take(source, 10) == numbers(11, 20)

    def test_while_events_are_being_recorded(self, bus: Bus, join: Join) -> None:
        total, ended = 3000, threading.Event()
        started = bus.start()

        def write() -> None:
            with Journal.open_for_writing(bus.file) as journal:
                for first in range(1, total, 10):
                    entries: list[tuple[str, Event]] = [
                        (KEY, Opened(f"{number}")) for number in range(first, first + 10)
                    ]
                    journal.record(entries, AT)
                    started.wake()
            ended.set()

        early = join(since=0)
        writer = threading.Thread(target=write)
        writer.start()
        assert take(early, total // 3) == numbers(1, total // 3)
        late = join(since=0)
        assert take(late, total) == numbers(1, total)
        assert take(early, total - total // 3) == numbers(total // 3 + 1, total)
        writer.join()
        assert ended.is_set()
        assert (early.receive(0.1), late.receive(0.0)) == (None, None)

    def test_to_a_slow_reader_with_a_short_queue(
        self, bus: Bus, join: Join, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client, "_QUEUE", 5)
        started = bus.start()
        slow, quick = join(since=0), join(since=0)
        for first in range(1, 1001, 200):
            bus.record(200)
            started.wake()
            assert take(slow, 1) == [first // 200 + 1]  # it falls behind
            assert take(quick, 200) == numbers(first, first + 199)

        assert take(slow, 995) == numbers(6, 1000)

    def test_across_a_time_when_nobody_published(self, bus: Bus, join: Join) -> None:
        bus.record(3)
        bus.start()
        source = join(since=0)
        assert take(source, 3) == [1, 2, 3]
        bus.stop()
        bus.record(REPLAY_LIMIT + 5)
        bus.start()

        assert take(source, REPLAY_LIMIT + 5) == numbers(4, REPLAY_LIMIT + 8)

    def test_a_gap_is_seen_by_the_next_event(self, bus: Bus, join: Join) -> None:
        """Without a heartbeat in time: the first event that comes is not the next one."""
        bus.record(3)
        bus.start(LONG)
        source = join(since=0)
        take(source, 3)
        bus.stop()
        bus.record(4)
        started = bus.start(LONG)
        sent = 7
        while (message := source.receive(0.02)) is None:  # until it has joined again
            bus.record()
            started.wake()
            sent += 1

        assert [message.sequence, *take(source, sent - 4)] == numbers(4, sent)

    @pytest.mark.usefixtures("impatient")
    def test_across_kills(self, bus: Bus, join: Join) -> None:
        bus.publish, bus.replay = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
        source, total = join(since=0), 600
        with recording(bus.settings(0.1), bus.file, total) as daemon:
            seen = take(source, 300)
            daemon.kill()  # it is recording and publishing as fast as it can
        with recording(bus.settings(0.1), bus.file, total):
            seen += take(source, total - len(seen))
        assert seen == numbers(1, total)

    def test_with_a_key(self, tmp_path: Path) -> None:
        with Bus(tmp_path, curve=True) as bus:
            bus.record(2)
            started = bus.start()
            credentials = bus.credentials()
            assert credentials is not None
            stranger = credentials._replace(key=new_pair())
            with (
                Subscriber(bus.publish, bus.replay, since=0, credentials=credentials) as source,
                Subscriber(bus.publish, bus.replay, since=0, credentials=stranger) as other,
                Subscriber(bus.publish, bus.replay, since=0) as nobody,
            ):
                assert take(source, 2) == [1, 2]
                bus.record(1)
                started.wake()
                assert take(source, 1) == [3]
                assert (other.receive(0.05), nobody.receive(0.05)) == (None, None)


class TestFilters:
    def test_only_what_is_wanted(self, bus: Bus, join: Join, answers: list[int]) -> None:
        started = bus.start()
        source = join(events={"stopped"})
        assert source.receive(0.2) is None
        asked = len(answers)
        for _ in range(5):
            bus.record(100)
            with Journal.open_for_writing(bus.file) as journal:
                (last,) = journal.record([("-", Stopped("done"))], AT)
            started.wake()
            message = receive(source)
            assert (message.event, message.sequence) == ("stopped", last.sequence)

        assert len(answers) == asked, "what is filtered away is no gap"

    def test_a_single_name_will_do(self, bus: Bus, join: Join) -> None:
        bus.record(2)
        bus.start()

        assert take(join(since=0, events="opened"), 2) == [1, 2]

    def test_a_name_that_does_not_exist_is_refused(self) -> None:
        with pytest.raises(ValueError, match="there is no event 'seald': name some of started, "):
            Subscriber(events={"sealed", "seald"})

    def test_nor_is_progress_a_name(self) -> None:
        with pytest.raises(ValueError, match="handed out with progress=True"):
            Subscriber(events={"progress"})

    def test_by_stream(self, bus: Bus, join: Join) -> None:
        keys = ("ticks/2026-01-20", "orders/2026-01-20", "-", "orders", "orders/2026-01-21")
        with Journal.open_for_writing(bus.file) as journal:
            journal.record([(key, Opened("x")) for key in keys], AT)
        bus.start()
        source = join(since=0, streams={"orders", "-"})
        assert [receive(source).sequence for _ in range(4)] == numbers(2, 5)
        assert receive(join(since=0, streams="orders", events="opened")).sequence == 2

    def test_progress_if_it_is_wanted(self, bus: Bus, join: Join) -> None:
        bus.record(2)
        started = bus.start()
        source = join(since=0, progress=True, events={"stopped"}, streams={"ticks"})
        message = None
        while message is None:  # until it has joined
            started.progress({KEY: Progress("backup", 1, 2)})
            message = source.receive(0.02)
        assert (message.event, message.subject, message.sequence) == ("progress", KEY, 0)
        assert message.data == {"step": "backup", "done_bytes": 1, "total_bytes": 2}
        assert source.sequence == 2

    @pytest.mark.parametrize("options", [{}, {"progress": True, "streams": {"orders", "ticks"}}])
    def test_no_progress_else(self, script: Script, join: Join, options: dict[str, Any]) -> None:
        source = join(since=0, **options)
        script.joined()
        script.question(source)
        key = "others/2026-01-20" if options else KEY
        script.pub.send_multipart(wire.progress_frames(key, Progress("backup", 1, 2), script.EPOCH, 0, 1, AT))
        script.pub.send_multipart(script.event(1))
        script.answer(0, [], head=0)
        assert take(source, 1) == [1]


class TestAnotherJournal:
    def test_is_handed_out_from_its_first_event(self, bus: Bus, join: Join) -> None:
        bus.record(5)
        bus.start()
        source = join(since=0)
        take(source, 5)
        bus.stop()
        bus.new_journal()
        bus.record(8)
        started = bus.start()

        assert take(source, 8) == numbers(1, 8)
        bus.record(2)
        started.wake()
        assert take(source, 2) == [9, 10]

    def test_that_is_shorter(self, bus: Bus, join: Join) -> None:
        bus.record(5)
        bus.start()
        source = join()
        reach(source, 5)
        bus.stop()
        bus.new_journal()
        bus.record(2)
        bus.start()

        assert take(source, 2) == [1, 2]

    def test_and_back_again_goes_on_where_it_was(self, bus: Bus, join: Join, tmp_path: Path) -> None:
        bus.record(5)
        bus.start()
        source = join(since=0)
        take(source, 5)
        bus.stop()
        shutil.copy(bus.file, tmp_path / "first")
        bus.new_journal()
        bus.record(3)
        bus.start()
        assert take(source, 3) == [1, 2, 3]
        bus.stop()
        bus.new_journal()
        shutil.copy(tmp_path / "first", bus.file)
        bus.record(2)
        bus.start()

        assert take(source, 2) == [6, 7]

    def test_an_older_copy_is_handed_out_again_and_said(self, bus: Bus, join: Join, tmp_path: Path) -> None:
        bus.record(5)
        shutil.copy(bus.file, tmp_path / "copy")
        bus.record(5)
        bus.start()
        source = join(since=0)
        take(source, 10)
        bus.stop()
        bus.new_journal()
        shutil.copy(tmp_path / "copy", bus.file)
        bus.record(2)
        with logged("WARNING") as warnings:
            bus.start()
            assert take(source, 7) == numbers(1, 7)
            assert source.receive(0.1) is None

        assert len(warnings) == 1
        assert "ends at 7, event 10 was seen before" in warnings[0]

    def test_a_number_that_the_journal_has_not_reached_is_not_its_own(self, bus: Bus, join: Join) -> None:
        bus.record(3)
        bus.start()
        with logged("WARNING") as warnings:
            assert take(join(since=1000), 3) == [1, 2, 3]

        assert len(warnings) == 1

    def test_that_no_longer_keeps_its_first_events(self, bus: Bus, join: Join) -> None:
        bus.record(10)
        with closing(apsw.Connection(str(bus.file))) as connection:
            connection.execute("DELETE FROM events WHERE sequence <= 6")
        bus.start()
        with logged("WARNING") as warnings:
            assert take(join(since=0), 4) == numbers(7, 10)
            assert not warnings, "all that is kept is what was asked for"
            assert take(join(since=3), 4) == numbers(7, 10)

        assert warnings == ["events 4 to 6 are no longer kept\n"]


class Script:
    """A daemon that says what a test wants it to say."""

    EPOCH = 7

    def __init__(self, bus: Bus) -> None:
        self.pub = bus.socket(zmq.XPUB)
        self.pub.bind(bus.publish)
        self.router = bus.socket(zmq.ROUTER)
        self.router.bind(bus.replay)
        self.asker = b""

    def question(self, source: Subscriber) -> int:
        """Wait for its question. Returns the number it names."""
        while not self.router.poll(0):
            assert source.receive(0.02) is None
        self.asker, *question = self.router.recv_multipart()
        assert question[0] == wire.REPLAY
        return wire.position_of(question).sequence

    def answer(self, since: int, sent: list[int], head: int) -> None:
        events = tuple(wire.from_frames(self.event(number)) for number in sent)
        self.say(wire.answer(wire.REPLAY_TOPIC, self.EPOCH, head, Replay(since, 1, "ok", events)))

    def say(self, frames: Frames) -> None:
        self.router.send_multipart([self.asker, *frames])

    def joined(self) -> None:
        """Wait until what is published is heard."""
        assert self.pub.recv() == b"\x01"

    @staticmethod
    def event(number: int, epoch: int = EPOCH) -> Frames:
        data = msgspec.Raw(msgspec.json.encode(Opened(f"{number}")))
        return wire.to_frames(Record(number, AT, "opened", KEY, data), epoch)


@pytest.fixture
def script(bus: Bus) -> Script:
    return Script(bus)


class TestQuestions:
    @pytest.mark.usefixtures("impatient")
    def test_one_that_was_lost_is_asked_again(self, script: Script, join: Join) -> None:
        source = join(since=0)
        assert script.question(source) == 0  # and the daemon dies
        assert script.question(source) == 0
        script.answer(0, [1, 2], head=2)

        assert take(source, 2) == [1, 2]

    def test_none_waits_for_a_daemon_that_is_away(self, bus: Bus, join: Join) -> None:
        source = join(since=0)
        for _ in range(100):
            assert source.receive(0.0) is None
        assert turns_of(source, 0.05) < 10
        script = Script(bus)
        assert not script.router.poll(150)
        script.question(source)
        assert not script.router.poll(50)

    def test_none_while_the_caller_takes_long(
        self, script: Script, join: Join, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither for what has come already, nor because of a silence that is his."""
        source = join(since=0)
        script.joined()
        script.question(source)
        script.answer(0, numbers(1, 3), head=3)
        assert take(source, 3) == numbers(1, 3)
        monkeypatch.setattr(following, "SILENCE_SECONDS", 0.02)
        for number in numbers(4, 6):
            script.pub.send_multipart(script.event(number))
        assert source._sub.poll(5_000)
        for number in numbers(4, 6):
            assert take(source, 1) == [number]
            assert not script.router.poll(30)

    def test_silence_makes_it_ask(self, bus: Bus, join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
        """As when somebody else has the publishing address: the other one will do."""
        monkeypatch.setattr(following, "SILENCE_SECONDS", 0.1)
        stranger = bus.socket(zmq.PUB)
        stranger.bind(bus.publish)
        bus.record(2)
        bus.start()
        source = join(since=0)
        for first in (1, 3, 5):
            assert take(source, 2) == [first, first + 1]
            assert source.receive(0.02) is None
            bus.record(2)

    def test_live_events_wait_for_the_answer(self, script: Script, join: Join) -> None:
        source = join(since=0)
        script.joined()
        script.question(source)
        for number in (3, 4):
            script.pub.send_multipart(script.event(number))
        assert source._sub.poll(5_000)
        assert turns_of(source, 0.05) < 10, "it waits for nothing else"
        script.answer(0, [1, 2], head=2)

        assert take(source, 4) == [1, 2, 3, 4]
        assert not script.router.poll(50)


class TestAnotherDaemon:
    def test_of_another_version_is_said(self, script: Script, join: Join) -> None:
        source = join(since=0)
        script.joined()
        script.pub.send_multipart([wire.HEARTBEAT_TOPIC, b"\2whatever comes then", b""])
        script.question(source)
        script.say([wire.REPLAY_TOPIC, b"\2whatever comes then", b"{}"])
        with pytest.raises(VersionError, match="version 2 of the wire, this is version 1: update the older"):
            source.receive(5.0)

    def test_that_refuses_is_said(self, script: Script, join: Join) -> None:
        source = join(since=0)
        script.question(source)
        script.say(wire.answer(wire.REFUSED_TOPIC, 0, 0, Refused("not today")))
        with pytest.raises(RefusedError, match="the daemon refuses the question: not today"):
            source.receive(5.0)
        assert source.receive(0.0) is None


class TestSnapshot:
    def test_has_every_database_and_events_follow_it(self, bus: Bus, join: Join) -> None:
        count = SNAPSHOT_LIMIT + 3
        entries: list[tuple[str, Event]] = [(key_of(n, count), Opened(f"{n}")) for n in numbers(1, count)]
        rotated = Rotated("2026-01-20", None, "today.db", None, "start")
        with Journal.open_for_writing(bus.file) as journal:
            journal.record([*entries, ("ticks", rotated)], AT)
            epoch = journal.epoch
        started = bus.start()
        source = join(since=0)
        take(source, 2)
        snapshot = source.snapshot(10.0)
        assert snapshot is not None
        assert (snapshot.sequence, snapshot.id) == (count + 1, f"{epoch:x}-{count + 1}")
        assert list(snapshot.databases) == sorted(key_of(n, count) for n in numbers(1, count))
        assert {each.state for each in snapshot.databases.values()} == {"active"}
        assert snapshot.streams == {"ticks": rotated}
        assert (source.sequence, source.id) == (snapshot.sequence, snapshot.id)
        bus.record(2)
        started.wake()
        assert take(source, 2) == [count + 2, count + 3]

    def test_while_events_are_being_recorded(self, tmp_path: Path) -> None:
        count = SNAPSHOT_LIMIT + 200
        with Bus(tmp_path) as bus:
            entries: list[tuple[str, Event]] = [(key_of(n, count), Opened(f"{n}")) for n in numbers(1, count)]
            with Journal.open_for_writing(bus.file) as journal:
                journal.record(entries, AT)
            with (
                recording(bus.settings(0.1), bus.file, group=1, keys=count),
                Subscriber(bus.publish, bus.replay) as source,
            ):
                receive(source)
                snapshot = source.snapshot(10.0)
                assert snapshot is not None
                after = [receive(source) for _ in range(100)]
            assert [message.sequence for message in after] == numbers(
                snapshot.sequence + 1, snapshot.sequence + 100
            )
            journal = Journal.open_for_reading(bus.file)
            assert journal is not None
            with journal:
                times = {record.key: record.time for record in journal.since(0, snapshot.sequence)}
            assert {key: each.times["opened"] for key, each in snapshot.databases.items()} == times

    def test_of_an_empty_journal(self, bus: Bus, join: Join) -> None:
        started = bus.start()
        source = join()
        snapshot = source.snapshot(10.0)
        assert snapshot is not None
        assert (snapshot.sequence, snapshot.databases, snapshot.streams) == (0, {}, {})
        bus.record(1)
        started.wake()
        assert take(source, 1) == [1]

    def test_none_without_a_daemon_and_events_go_on(self, bus: Bus, join: Join) -> None:
        source = join(since=0)
        assert source.snapshot(0.05) is None
        bus.record(2)
        bus.start()
        assert take(source, 2) == [1, 2]

    def test_again(self, bus: Bus, join: Join) -> None:
        bus.record(2)
        bus.start()
        source = join()
        for expected in (2, 5):
            snapshot = source.snapshot(10.0)
            assert snapshot is not None
            assert snapshot.sequence == expected
            bus.record(3)


class TestGarbage:
    def test_from_a_stranger_among_live_events(self, bus: Bus, join: Join, answers: list[int]) -> None:
        started = bus.start()
        source = join(since=0)
        stranger = bus.socket(zmq.XPUB)
        stranger.sndhwm = 0
        stranger.bind(f"{bus.publish}2")
        source._sub.connect(f"{bus.publish}2")
        stranger.recv()
        bus.record(1)
        started.wake()
        assert take(source, 1) == [1]
        for _ in range(500):
            for frames in self.garbage():
                stranger.send_multipart(frames)
        bus.record(50)
        started.wake()

        assert take(source, 50) == numbers(2, 51)
        while source._sub.poll(0):
            assert source.receive(0.0) is None
        assert len(answers) < 10

    @staticmethod
    def garbage() -> list[Frames]:
        topic, position, body = Script.event(2, epoch=1)
        return [
            [b""],
            [b"opened/ticks/"],
            [topic, b"short", body],
            [topic, position, body],
            [topic, position, body, b"too many"],
            [topic, position, b"{"],
            [topic, position, b"\xff\xfe"],
            [wire.HEARTBEAT_TOPIC, position, b""],
            [wire.REPLAY_TOPIC, position, b'{"since": 0, "oldest": 5}'],
        ]

    def test_on_the_replay_socket(self, script: Script, join: Join) -> None:
        source = join(since=0)
        script.question(source)
        topic, position, _ = script.event(1)
        for frames in ([b""], [topic, bytes(17), b""], [topic, position, b"[1]"], [b"x"] * 5):
            script.say(frames)
        script.answer(0, [1, 2], head=2)

        assert take(source, 2) == [1, 2]


class TestPatience:
    def test_without_a_daemon(self, join: Join) -> None:
        source = join(since=0)
        began = time.monotonic()
        assert source.receive(0.2) is None
        assert time.monotonic() - began >= 0.2

    def test_none_at_all(self, bus: Bus, join: Join) -> None:
        bus.start()
        source = join(since=0)
        for _ in range(10_000):  # a wait of a heartbeat each would be more than any test may take
            assert source.receive(0.0) is None
        bus.record(1)
        bus.publishers[0].wake()
        wait_until(lambda: source.receive(0.0) is not None)

    def test_while_others_stream_by(self, bus: Bus, join: Join) -> None:
        started = bus.start()
        source = join(events={"closed"})
        assert source.receive(0.2) is None
        ended = threading.Event()

        def write() -> None:
            with Journal.open_for_writing(bus.file) as journal:
                while not ended.is_set():
                    journal.record([(KEY, Opened("x"))] * 5, AT)
                    started.wake()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            before, began = source.sequence, time.monotonic()
            assert source.receive(0.3) is None
            assert time.monotonic() - began >= 0.3
            assert source.sequence > before, "they were filtered away, not left"
        finally:
            ended.set()
            writer.join()


class SignalError(Exception):
    """What a signal handler raises."""


class TestASignalHandler:
    def test_may_close_it(self, bus: Bus) -> None:
        program = """
from watcher.subscriber import ClosedError, Subscriber

source = Subscriber(*sys.argv[1:])
signal.signal(signal.SIGUSR1, lambda *_: source.close())
say("ready")
say(list(source))
"""
        with Child(program, bus.publish, bus.replay) as child:
            assert child.said() == "ready"
            child.process.send_signal(signal.SIGUSR1)
            assert child.said() == "[]"
            assert child.end() == 0

    @pytest.mark.parametrize("asked", ["receive", "snapshot"])
    def test_may_close_it_at_any_moment(self, bus: Bus, asked: str) -> None:
        bus.start()
        before = in_use()
        source = Subscriber(bus.publish, bus.replay)

        class Closing(zmq.Socket[bytes]):
            def recv_multipart(self, *arguments: Any, **options: Any) -> Any:
                source.close()
                return super().recv_multipart(*arguments, **options)

        source._dealer = Closing.shadow(source._past.underlying)
        with pytest.raises(ClosedError):
            getattr(source, asked)()
        wait_until(lambda: in_use() == before)

    def test_that_closes_it_over_an_event_leaves_that(self, bus: Bus, tmp_path: Path) -> None:
        bus.record(3)
        bus.start()
        source = Subscriber(bus.publish, bus.replay, since=0, position=tmp_path / "last-event")
        take(source, 1)
        source._following._is_wanted = lambda _: not source.close()  # type: ignore[func-returns-value]
        with pytest.raises(ClosedError):
            receive(source)
        with Subscriber(bus.publish, bus.replay, position=tmp_path / "last-event") as source:
            assert take(source, 2) == [2, 3]

    def test_may_raise_over_an_event(self, bus: Bus, join: Join) -> None:
        bus.record(3)
        bus.start()
        source = join(since=0)
        turn = source._turn

        def interrupted() -> Message | None:
            if turn() is None:
                return None
            source._turn = turn  # type: ignore[method-assign]
            raise SignalError

        source._turn = interrupted  # type: ignore[method-assign]
        with pytest.raises(SignalError):
            receive(source)
        assert source.sequence == 0
        assert take(source, 3) == [1, 2, 3]

    def test_may_raise_amidst_a_question(self, bus: Bus, join: Join) -> None:
        source = join(since=0)  # there is nobody to ask yet
        source._dealer = Torn.shadow(source._past.underlying)
        bus.record(3)
        bus.start()
        with pytest.raises(SignalError):
            receive(source)
        assert take(source, 3) == [1, 2, 3]


class Torn(zmq.Socket[bytes]):
    """One that is interrupted over the second frame."""

    def send_multipart(self, msg_parts: Any, *_: Any, **__: Any) -> Any:
        self.send(msg_parts[0], zmq.SNDMORE | zmq.NOBLOCK)
        raise SignalError


def wait_for_its_user(source: Subscriber) -> None:
    wait_until(lambda: source._user is not None)


class TestAnotherThread:
    def test_may_close_it(self, bus: Bus) -> None:
        before = in_use()
        with ThreadPoolExecutor(1) as another:
            for _ in range(20):
                source = Subscriber(bus.publish, bus.replay)
                ends = another.submit(list, source)
                wait_for_its_user(source)
                source.close()
                assert ends.result(10.0) == []
        wait_until(lambda: in_use() == before)

    def test_may_close_it_amidst_events(self, bus: Bus, tmp_path: Path) -> None:
        bus.record(2000)
        bus.start()
        seen: list[int] = []
        with ThreadPoolExecutor(1) as another:
            while seen[-1:] != [2000]:
                source = Subscriber(bus.publish, bus.replay, since=0, position=tmp_path / "last-event")
                first = threading.Event()
                ends = another.submit(self.follow, source, seen, first)
                assert first.wait(10.0)
                source.close()
                assert ends.result(10.0)
        assert seen == sorted(seen), "what it had in hand may come again"
        assert set(seen) == {*numbers(1, 2000)}

    @staticmethod
    def follow(source: Subscriber, seen: list[int], first: threading.Event) -> bool:
        for message in source:
            seen.append(message.sequence)
            first.set()
            if message.sequence == 2000:
                break
        return True

    def test_may_not_wait_at_the_same_time(self, bus: Bus) -> None:
        source = Subscriber(bus.publish, bus.replay)
        with ThreadPoolExecutor(1) as another:
            ends = another.submit(list, source)
            wait_for_its_user(source)
            with pytest.raises(RuntimeError, match="another thread is waiting for an event already"):
                source.receive(0.0)
            source.close()
            assert ends.result(10.0) == []


class TestDropping:
    """What is left without `close` must hold up neither the garbage collector nor the end of the program."""

    @pytest.mark.parametrize("how", ["alone", "in a cycle"])
    def test_closes_it(self, bus: Bus, tmp_path: Path, how: str) -> None:
        file = tmp_path / "last-event"
        bus.record(3)
        bus.start()
        before = in_use()
        with pytest.warns(ResourceWarning, match="a subscriber was dropped that had not been closed"):
            self.drop(Subscriber(bus.publish, bus.replay, since=0, position=file), how)
        wait_until(lambda: in_use() == before)
        with Subscriber(bus.publish, bus.replay, position=file) as source:
            assert take(source, 3) == [1, 2, 3]

    @staticmethod
    def drop(source: Subscriber, how: str) -> None:
        take(source, 1)
        if how == "in a cycle":
            cycle: list[Any] = [source]
            cycle.append(cycle)
            del source, cycle
            gc.collect()

    def test_lets_the_program_end(self, bus: Bus) -> None:
        program = """
import gc
from watcher.subscriber import Subscriber

def first():
    return Subscriber(*sys.argv[1:], since=0).receive(0.01)

say(first())
gc.collect()
kept = Subscriber(*sys.argv[1:], since=0)
say(kept.receive(0.01))
"""
        with Child(program, bus.publish, bus.replay) as child:
            assert (child.said(), child.said()) == ("None", "None")
            assert child.end() == 0


class TestLeaving:
    def test_no_thread_and_no_descriptor_is_left(self, bus: Bus) -> None:
        bus.record(3)
        bus.start()
        before = in_use()
        for _ in range(3):
            with Subscriber(bus.publish, bus.replay, since=0) as source:
                assert take(source, 3) == [1, 2, 3]
            with Subscriber(f"{bus.publish}-nobody", f"{bus.replay}-nobody") as source:
                assert source.receive(0.01) is None

        wait_until(lambda: in_use() == before)

    def test_twice(self, join: Join) -> None:
        source = join()
        source.close()
        source.close()

    def test_for_good(self, join: Join) -> None:
        source = join()
        source.close()
        with pytest.raises(ClosedError, match="this subscriber is closed: make another one"):
            source.receive(0.0)
        with pytest.raises(ClosedError):
            source.snapshot(0.0)
        assert list(source) == []

    def test_amidst_its_events(self, bus: Bus, join: Join) -> None:
        bus.record(5)
        bus.start()
        source = join(since=0)
        for message in source:
            if message.sequence == 2:
                source.close()
        assert source.sequence == 2

    def test_an_address_that_cannot_be_meant_leaves_nothing_open(self) -> None:
        for _ in range(2):  # what an earlier test has used may go only meanwhile: then the second time counts
            before = in_use()
            for publish, replay in (("nonsense", "tcp://127.0.0.1:1"), ("tcp://127.0.0.1:1", "tcp://")):
                with pytest.raises(zmq.ZMQError):
                    Subscriber(publish, replay)
            if in_use() == before:
                break
        wait_until(lambda: in_use() == before)

    def test_in_a_loop_over_it(self, bus: Bus, join: Join) -> None:
        bus.record(5)
        bus.start()
        source = join(since=0)
        assert [message.sequence for message in itertools.islice(source, 3)] == [1, 2, 3]
        assert take(source, 2) == [4, 5]

    def test_by_keyboard(self, bus: Bus) -> None:
        bus.record(1)
        bus.start()
        code = """
import signal, sys
from watcher.subscriber import Subscriber

signal.signal(signal.SIGINT, signal.default_int_handler)
with Subscriber(sys.argv[1], sys.argv[2], since=0) as subscriber:
    try:
        for message in subscriber:
            print(message.sequence, flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
print("left", flush=True)
"""
        with subprocess.Popen(
            [sys.executable, "-c", code, bus.publish, bus.replay],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "1\n"
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=10.0)

        assert said == "interrupted\nleft\n"
        assert process.returncode == 0


def test_loopback_in_ipv6(bus: Bus, join: Join) -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")
    bus.publish, bus.replay = (f"tcp://[::1]:{free_port()}" for _ in range(2))
    bus.record(2)
    started = bus.start()
    source = join(since=0)
    assert take(source, 2) == [1, 2]
    bus.record(1)
    started.wake()
    assert take(source, 1) == [3]


def test_what_a_daemon_says_last_is_heard(bus: Bus, join: Join, answers: list[int]) -> None:
    started = bus.start()
    source = join(since=0)
    asked = -1
    while asked != len(answers):  # until it has joined: an event comes without having been asked for
        asked = len(answers)
        bus.record(1)
        started.wake()
        take(source, 1)
    with Journal.open_for_writing(bus.file) as journal:
        journal.record([("-", Stopped("SIGTERM"))], AT)
    bus.stop()

    message = receive(source)
    assert (message.event, message.subject, message.data) == (
        "stopped",
        "-",
        {"reason": "SIGTERM", "mode": "daemon"},
    )
