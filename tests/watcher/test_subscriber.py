"""The subscriber against the real publisher, and against a daemon that misbehaves by script."""

from __future__ import annotations

import itertools
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import msgspec
import pytest
import zmq

from tests.watcher.bus import AT, KEY, LONG, Bus, Frames, free_port, in_use, logged, wait_until
from watcher import publisher, subscriber, wire
from watcher.events import Event, Opened, Record, Stopped
from watcher.journal import Journal
from watcher.publisher import REPLAY_LIMIT
from watcher.subscriber import Subscriber
from watcher.wire import Message

ROOT = Path(__file__).parents[2]
Join = Callable[..., Subscriber]


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with Bus(tmp_path) as made:
        yield made


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
    monkeypatch.setattr(subscriber, "_ASK_AGAIN_SECONDS", 0.1)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each question that the publisher answers."""
    counted: list[int] = []
    answer = publisher._Session._answer

    def counting(session: publisher._Session, journal: Journal) -> None:
        counted.append(1)
        answer(session, journal)

    monkeypatch.setattr(publisher._Session, "_answer", counting)
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
    assert message is not None, f"nothing came after {source.position}"
    return message


def reach(source: Subscriber, head: int) -> None:
    """Let a subscriber that wants what is new learn how far the journal has got."""
    deadline = time.monotonic() + 10.0
    while source.position < head:
        assert source.receive(0.01) is None
        assert time.monotonic() < deadline


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
        assert new.position == 0
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
        assert source.position == 1
        take(source, 1)
        assert source.position == 2

    @pytest.mark.parametrize("since", [-1, 2**64, "", "5", "x-5", "5-x"])
    def test_not_just_anywhere(self, since: int | str) -> None:
        before = in_use()
        with pytest.raises(ValueError, match="neither a sequence number nor the id"):
            Subscriber(since=since)
        assert in_use() == before


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
        monkeypatch.setattr(subscriber, "_QUEUE", 5)
        started = bus.start()
        slow, quick = join(since=0), join(since=0)
        for first in range(1, 5001, 1000):
            bus.record(1000)
            started.wake()
            assert take(slow, 1) == [first // 1000 + 1]  # it falls behind
            assert take(quick, 1000) == numbers(first, first + 999)

        assert take(slow, 4995) == numbers(6, 5000)

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

    @pytest.mark.parametrize("wire", ["ipc", "tcp"])
    @pytest.mark.usefixtures("impatient")
    def test_across_kills(self, bus: Bus, join: Join, wire: str) -> None:
        if wire == "tcp":
            bus.publish, bus.replay = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
        source = join(since=0)
        seen: list[int] = []
        for killed_at in (300, 600, 900):
            with self.daemon(bus) as process:
                seen += take(source, killed_at - len(seen))
                process.kill()  # it is recording and publishing as fast as it can
        bus.start()
        with Journal.open_for_writing(bus.file) as journal:
            head = journal.head()
        seen += take(source, head - len(seen))

        assert head >= 900
        assert seen == numbers(1, head)
        assert source.receive(0.1) is None

    @staticmethod
    def daemon(bus: Bus) -> subprocess.Popen[bytes]:
        """A process that records and publishes until it is killed."""
        code = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from watcher.settings import Events
from watcher.events import Opened
from watcher.journal import Journal
from watcher.publisher import Publisher

file, publish, replay = sys.argv[1:]
with Journal.open_for_writing(Path(file)) as journal:
    publisher = Publisher(Events(publish, replay, 0.1), Path(file))
    publisher.start()
    while True:
        journal.record([("ticks/2026-01-20", Opened(str(journal.head() + 1)))], datetime.now(UTC))
        publisher.wake()
"""
        arguments = [str(bus.file), bus.publish, bus.replay]
        return subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT, stderr=subprocess.DEVNULL)


class TestFilters:
    def test_only_what_is_wanted(self, bus: Bus, join: Join, answers: list[int]) -> None:
        started = bus.start()
        source = join(only={"stopped"})
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

        assert take(join(since=0, only="opened"), 2) == [1, 2]

    def test_a_name_that_does_not_exist_is_refused(self) -> None:
        with pytest.raises(ValueError, match="there is no event 'seald': name some of started, "):
            Subscriber(only={"sealed", "seald"})


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

    def question(self) -> int:
        """Wait for a question. Returns the number it names."""
        self.asker, name, since = self.router.recv_multipart()
        assert name == wire.REPLAY_REQUEST
        return int.from_bytes(since, "big")

    def answer(self, since: int, sent: list[int], head: int, *, epoch: int = EPOCH, oldest: int = 1) -> None:
        for number in sent:
            self.router.send_multipart([self.asker, *self.event(number, epoch)])
        end = wire.end_of_replay(epoch, head, wire.End(since, oldest))
        self.router.send_multipart([self.asker, *end])

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
        assert script.question() == 0  # and the daemon dies
        assert source.receive(0.25) is None
        assert script.question() == 0
        script.answer(0, [1, 2], head=2)

        assert take(source, 2) == [1, 2]

    @pytest.mark.usefixtures("impatient")
    def test_what_came_of_an_answer_that_broke_off_is_not_asked_for_again(
        self, script: Script, join: Join
    ) -> None:
        source = join(since=0)
        script.question()
        for number in (1, 2):
            script.router.send_multipart([script.asker, *script.event(number)])
        assert take(source, 2) == [1, 2]
        assert source.receive(0.25) is None

        assert script.question() == 2

    def test_it_asks_until_it_has_all(self, script: Script, join: Join) -> None:
        source = join(since=0)
        for since in (0, 2, 4):
            assert script.question() == since
            script.answer(since, [since + 1, since + 2], head=6)
            assert take(source, 2) == [since + 1, since + 2]
            assert source.receive(0.02) is None

        assert not script.router.poll(100)

    def test_they_do_not_pile_up_while_the_daemon_is_away(
        self, bus: Bus, join: Join, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(subscriber, "_ASK_AGAIN_SECONDS", 0.0)
        source = join(since=0)
        assert source.receive(0.2) is None  # it has asked thousands of times
        script = Script(bus)
        script.question()
        more = 0
        while script.router.poll(100):
            script.question()
            more += 1

        assert more <= 1

    @pytest.mark.usefixtures("impatient")
    def test_one_that_brings_nothing_is_not_asked_again_at_once(
        self, bus: Bus, join: Join, answers: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bus.record(5)
        bus.start()
        since = Journal.since
        monkeypatch.setattr(
            Journal,
            "since",
            lambda self, sequence, limit=1000: [] if limit == REPLAY_LIMIT else since(self, sequence),
        )
        assert join(since=0).receive(0.5) is None

        assert 2 <= len(answers) <= 6

    @pytest.mark.usefixtures("impatient")
    def test_a_caller_that_takes_long_asks_once(self, script: Script, join: Join) -> None:
        source = join(since=0)
        script.question()
        script.answer(0, numbers(1, 6), head=6)
        for number in numbers(1, 6):
            assert take(source, 1) == [number]
            assert not script.router.poll(120), "asked for what had come already"

    @pytest.mark.usefixtures("impatient")
    def test_the_end_of_another_answer_is_not_taken_for_this_one_s(self, script: Script, join: Join) -> None:
        source = join(since=0)
        script.question()
        script.router.send_multipart([script.asker, *script.event(1)])
        take(source, 1)
        assert source.receive(0.15) is None
        assert script.question() == 1
        script.answer(0, [], head=0, epoch=99)  # the first answer's end, at last
        script.answer(1, [2], head=2)

        assert take(source, 1) == [2]

    def test_silence_makes_it_ask(self, bus: Bus, join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
        """As when somebody else has the publishing address: the other one will do."""
        monkeypatch.setattr(subscriber, "_SILENCE_SECONDS", 0.1)
        stranger = bus.socket(zmq.PUB)
        stranger.bind(bus.publish)
        bus.record(2)
        bus.start()
        source = join(since=0)
        for first in (1, 3, 5):
            assert take(source, 2) == [first, first + 1]
            assert source.receive(0.02) is None
            bus.record(2)

    def test_what_a_slow_caller_has_not_read_is_no_silence(
        self, script: Script, join: Join, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = join(since=0)
        script.joined()
        script.question()
        script.answer(0, [], head=0)
        assert source.receive(0.05) is None
        monkeypatch.setattr(subscriber, "_SILENCE_SECONDS", 0.02)
        for number in numbers(1, 5):
            script.pub.send_multipart(script.event(number))
        assert source._sub.poll(5_000)
        for number in numbers(1, 5):
            assert take(source, 1) == [number]
            assert not script.router.poll(50)

    def test_live_events_wait_for_the_answer(self, script: Script, join: Join) -> None:
        source = join(since=0)
        script.joined()
        script.question()
        for number in (3, 4):
            script.pub.send_multipart(script.event(number))
        assert source.receive(0.05) is None
        script.answer(0, [1, 2], head=2)

        assert take(source, 4) == [1, 2, 3, 4]
        assert not script.router.poll(50)


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
            [wire.END_TOPIC, position, b'{"since": 0, "oldest": 5}'],
        ]

    def test_on_the_replay_socket(self, script: Script, join: Join) -> None:
        source = join(since=0)
        script.question()
        for frames in ([b""], [b"end/-/", bytes(16), b""], [b"end/-/", bytes(16), b"[1]"], [b"x"] * 5):
            script.router.send_multipart([script.asker, *frames])
        script.answer(0, [1, 2], head=2)

        assert take(source, 2) == [1, 2]

    def test_an_event_that_was_damaged_on_its_way_is_asked_for(self, script: Script, join: Join) -> None:
        source = join(since=0)
        script.joined()
        script.question()
        script.answer(0, [], head=0)
        assert source.receive(0.05) is None
        topic, position, _ = script.event(1)
        script.pub.send_multipart([topic, position, b"{"])
        while not script.router.poll(0):
            assert source.receive(0.02) is None
        assert script.question() == 0
        script.answer(0, [1], head=1)

        assert take(source, 1) == [1]

    @pytest.mark.usefixtures("impatient")
    def test_an_event_that_cannot_be_read_is_not_skipped_in_silence(self, script: Script, join: Join) -> None:
        source = join(since=0)
        script.question()
        topic, position, _ = script.event(1)
        script.router.send_multipart([script.asker, topic, position, b'{"form": "of another version"}'])
        script.answer(0, [2], head=2)
        with pytest.raises(ValueError, match="not a message of tickward"):
            source.receive(5.0)
        assert source.position == 0
        assert source.receive(0.25) is None
        assert script.question() == 0, "it stays where it is"

    def test_messages_of_a_journal_that_was_left_do_not_lead_back(self, script: Script, join: Join) -> None:
        source = join(since=0)
        script.joined()
        script.question()
        script.answer(0, [1], head=1)
        take(source, 1)
        script.pub.send_multipart(wire.heartbeat(8, 2))
        while not script.router.poll(0):
            assert source.receive(0.02) is None
        assert script.question() == 1
        script.answer(1, [2], head=2, epoch=8)
        while not script.router.poll(0):
            assert source.receive(0.02) is None
        assert script.question() == 0
        script.answer(0, [1, 2], head=2, epoch=8)
        assert take(source, 2) == [1, 2]
        for old in (script.event(2), wire.heartbeat(script.EPOCH, 2), script.event(3, epoch=8)):
            script.pub.send_multipart(old)
        while not script.router.poll(0):
            message = source.receive(0.02)
            assert message is None or message.id == "8-3"
        assert script.question() in (2, 3)


class TestPatience:
    def test_without_a_daemon(self, join: Join) -> None:
        source = join(since=0)
        began = time.monotonic()
        assert source.receive(0.2) is None
        assert 0.2 <= time.monotonic() - began < 1.5

    def test_none_at_all(self, bus: Bus, join: Join) -> None:
        bus.start()
        source = join(since=0)
        began = time.monotonic()
        for _ in range(100):
            assert source.receive(0.0) is None
        assert time.monotonic() - began < 1.0
        bus.record(1)
        bus.publishers[0].wake()
        wait_until(lambda: source.receive(0.0) is not None)

    def test_none_for_what_is_filtered_away(self, script: Script, join: Join) -> None:
        source = join(since=0, only={"closed"})
        script.question()
        script.answer(0, numbers(1, 400), head=400)
        while source.position < 400:
            before = source.position
            assert source.receive(0.0) is None
            assert source.position <= before + 1, "it does not outlast its time to see more of them"

    def test_while_others_stream_by(self, bus: Bus, join: Join) -> None:
        started = bus.start()
        source = join(only={"closed"})
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
            before, began = source.position, time.monotonic()
            assert source.receive(0.3) is None
            assert 0.3 <= time.monotonic() - began < 1.5
            assert source.position > before, "they were filtered away, not left"
        finally:
            ended.set()
            writer.join()


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

    def test_an_address_that_cannot_be_meant_leaves_nothing_open(self) -> None:
        before = in_use()
        for publish, replay in (("nonsense", "tcp://127.0.0.1:1"), ("tcp://127.0.0.1:1", "tcp://")):
            with pytest.raises(zmq.ZMQError):
                Subscriber(publish, replay)

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
    assert (message.event, message.subject, message.data) == ("stopped", "-", {"reason": "SIGTERM"})
