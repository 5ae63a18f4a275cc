"""The publisher on real sockets and a real journal: what it sends, what it answers, what it outlives."""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest
import zmq

from tests.watcher.bus import (
    KEY,
    LONG,
    Bus,
    Frames,
    in_use,
    question,
    sequences,
    take_events,
    wait_until,
)
from watcher import journal, publisher, wire
from watcher.events import Progress, Record
from watcher.journal import Journal
from watcher.publisher import Publisher, Session


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each time that a publisher wakes up."""
    counted: list[int] = []
    sleep = Session._sleep

    def counting(session: Session) -> None:
        counted.append(1)
        sleep(session)

    monkeypatch.setattr(Session, "_sleep", counting)
    return counted


def wait_for_head(sub: zmq.Socket[bytes], head: int) -> int:
    """Read until a heartbeat knows of this event. Returns the epoch."""
    while True:
        frames = sub.recv_multipart()
        epoch, sequence = wire.position_of(frames)
        if frames[0] == wire.HEARTBEAT_TOPIC and sequence == head:
            return epoch


class TestPublishing:
    def test_an_event_is_three_frames(self, bus: Bus) -> None:
        started = bus.start()
        sub = bus.listen()
        (record,) = bus.record()
        started.wake()

        (frames,) = take_events(sub, 1)

        with Journal.open_for_writing(bus.file) as book:
            assert frames == wire.to_frames(record, book.epoch)

    def test_waking_it_is_enough(self, bus: Bus) -> None:
        started = bus.start(heartbeat_seconds=LONG)
        sub = bus.listen(joined=False)
        while not sub.poll(20):  # until it has joined
            bus.record()
            started.wake()
        began = time.monotonic()

        (record,) = bus.record()
        started.wake()
        while sequences([sub.recv_multipart()]) != [record.sequence]:
            pass

        assert time.monotonic() - began < LONG / 2

    def test_it_sleeps_when_there_is_nothing_to_do(self, bus: Bus, rounds: list[int]) -> None:
        started = bus.start(LONG)
        sub = bus.listen()
        for _ in range(5):
            started.wake()
        assert not sub.poll(100)

        assert len(rounds) <= 12

    def test_events_come_once_and_in_order(self, bus: Bus) -> None:
        started = bus.start()
        sub = bus.listen()
        for _ in range(10):
            bus.record(30)
            started.wake()
            started.wake()

        assert sequences(take_events(sub, 300)) == list(range(1, 301))

    def test_what_was_recorded_before_the_start_is_told_of_by_heartbeats_only(self, bus: Bus) -> None:
        bus.record(7)
        started = bus.start()
        sub = bus.listen()
        wait_for_head(sub, 7)
        bus.record()
        started.wake()

        assert sequences(take_events(sub, 1)) == [8]

    def test_a_heartbeat_has_no_body(self, bus: Bus) -> None:
        bus.record(3)
        bus.start()
        sub = bus.listen()
        topic, position, body = sub.recv_multipart()

        assert (topic, body) == (b"heartbeat/-/", b"")
        assert wire.position_of([topic, position, body])[1] == 3

    def test_one_subscriber_that_does_not_read_keeps_nothing_from_another(self, bus: Bus) -> None:
        started = bus.start()
        bus.listen()  # never read again
        sub = bus.listen()
        for _ in range(10):
            bus.record(500)
            started.wake()
            take_events(sub, 500)


class TestAStart:
    @pytest.mark.parametrize(("since", "expected"), [(5, [6, 7, 8]), (8, []), (1000, []), (None, [])])
    def test_at_a_number_misses_nothing_that_was_recorded_since(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch, since: int | None, expected: list[int]
    ) -> None:
        sent: list[int] = []
        to_frames = wire.to_frames

        def noted(record: Record, epoch: int) -> Frames:
            sent.append(record.sequence)
            return to_frames(record, epoch)

        monkeypatch.setattr(wire, "to_frames", noted)
        bus.record(8)
        started = bus.start(since=since)
        sub = bus.listen()
        bus.record()
        started.wake()

        wait_for_head(sub, 9)
        assert sent == [*expected, 9]


class TestHeartbeats:
    def test_come_at_once_to_each_who_joins(self, bus: Bus) -> None:
        bus.record(3)
        bus.start(LONG)

        for _ in range(3):
            topic, position, _ = bus.listen(joined=False).recv_multipart()
            assert (topic, wire.position_of([topic, position])[1]) == (wire.HEARTBEAT_TOPIC, 3)

    def test_do_not_come_more_often_for_many_who_join(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        beats: list[int] = []
        heartbeat = wire.heartbeat
        monkeypatch.setattr(wire, "heartbeat", lambda *of: (beats.append(1), heartbeat(*of))[1])
        monkeypatch.setattr(publisher, "LINGER_MS", 50)
        bus.start(LONG)
        sub = bus.listen()
        began = time.monotonic()
        for _ in range(2000):
            sub.subscribe(b"sealed/")
        bus.ask(0)
        assert bus.listen()

        assert len(beats) <= 4 + (time.monotonic() - began) / 0.02
        bus.stop()


class TestProgress:
    def test_is_published_with_the_number_of_the_newest_event(self, bus: Bus) -> None:
        bus.record(3)
        started = bus.start()
        sub = bus.listen()
        wait_for_head(sub, 3)
        started.progress({KEY: Progress("compress", 3, 10)})
        started.progress({KEY: Progress("compress", 4, 10)})
        first, second = take_events(sub, 2)
        message = wire.from_frames(first)

        assert first[0] == b"progress/ticks/"
        assert sequences([first, second]) == [3, 3]
        assert (message.event, message.subject, message.sequence) == ("progress", KEY, 0)
        assert message.data == {"step": "compress", "done_bytes": 3, "total_bytes": 10}
        assert message.id.endswith("-3.1")
        assert wire.from_frames(second).id.endswith("-3.2")

    def test_is_told_by_the_daemon_s_clock(self, bus: Bus) -> None:
        started = bus.start()
        sub = bus.listen()
        started.progress({KEY: Progress("compress", 1, 2)})

        (frames,) = take_events(sub, 1)
        assert abs((wire.from_frames(frames).time - datetime.now(UTC)).total_seconds()) < 30

    def test_that_nobody_takes_is_dropped_and_what_comes_after_it_is_heard(self, bus: Bus) -> None:
        told = {f"ticks/{day}": Progress("compress", 1, 2) for day in range(100)}
        waiting = Publisher(bus.settings(LONG), bus.file)
        bus.publishers.append(waiting)
        for _ in range(200):
            waiting.progress(told)
        waiting.start()
        sub = bus.listen()
        bus.record()
        waiting.wake()

        while (frames := sub.recv_multipart())[0] != b"opened/ticks/":
            assert frames[0] in (b"progress/ticks/", wire.HEARTBEAT_TOPIC)


class TestTheWriterNeverWaits:
    def test_when_nobody_takes_the_wake_ups(self, bus: Bus) -> None:
        idle = Publisher(bus.settings(), bus.file)
        for _ in range(20_000):
            idle.wake()
        idle.stop()

    def test_wake_ups_from_before_the_start_do_no_harm(self, bus: Bus) -> None:
        bus.publishers.append(Publisher(bus.settings(LONG), bus.file))
        for _ in range(5_000):
            bus.publishers[0].wake()
        bus.publishers[0].start()

        assert not bus.ask(0)[0].events

    def test_after_the_end(self, bus: Bus) -> None:
        started = bus.start()
        started.stop()
        started.wake()

    def test_a_wake_up_after_the_end_is_written_into_no_other_file(self, bus: Bus, tmp_path: Path) -> None:
        started = bus.start()
        started.stop()
        files = [(tmp_path / f"{number}").open("wb") for number in range(20)]
        started.wake()
        for file in files:
            file.close()
            assert Path(file.name).read_bytes() == b""


class TestStopping:
    def test_what_was_recorded_before_goes_out(self, bus: Bus) -> None:
        started = bus.start()
        sub = bus.listen()
        bus.record(300)
        started.stop()

        assert sequences(take_events(sub, 300)) == list(range(1, 301))

    def test_without_a_start(self, bus: Bus) -> None:
        Publisher(bus.settings(), bus.file).stop()

    def test_twice(self, bus: Bus) -> None:
        started = bus.start()
        started.stop()
        started.stop()

    def test_does_not_wait_for_a_subscriber_that_does_not_read(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(publisher, "LINGER_MS", 100)
        started = bus.start()
        deaf = bus.listen()
        deaf.rcvhwm = 1
        bus.record(5_000)
        started.stop()

    def test_does_not_wait_for_a_journal_that_does_not_answer(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stuck, released = threading.Event(), threading.Event()

        def since(*_: object) -> list[Record]:
            stuck.set()
            released.wait()
            return []

        started = bus.start(LONG)
        monkeypatch.setattr(Journal, "since", since)
        started.wake()
        assert stuck.wait(5.0)
        started.stop(seconds=0.05)

        released.set()
        started.stop()

    def test_leaves_no_thread_and_no_descriptor(self, bus: Bus) -> None:
        before = in_use()
        for _ in range(3):
            bus.start()
            bus.stop()

        wait_until(lambda: in_use() == before)


class TestAJournalInTrouble:
    def test_that_is_not_there_yet(self, bus: Bus, complaints: list[str]) -> None:
        bus.file.unlink()
        for beside in bus.file.parent.glob("journal.db-*"):
            beside.unlink()
        bus.start()
        assert len(complaints) == 1
        bus.record(3)

        assert len(bus.ask(0)[0].events) == 3

    def test_that_is_locked_for_a_while(
        self, bus: Bus, complaints: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journal, "_BUSY_MS", 1)
        with closing(apsw.Connection(str(bus.file))) as connection:
            connection.pragma("journal_mode", "delete")  # where a writer can keep readers out
            started = bus.start()
            sub = bus.listen()
            connection.execute("BEGIN EXCLUSIVE")
            while not complaints:  # heartbeats stop as soon as it has noticed
                started.wake()
                sub.poll(10, zmq.POLLIN) and sub.recv_multipart()
            connection.execute("ROLLBACK")
        bus.record(2)
        started.wake()

        assert sequences(take_events(sub, 2)) == [1, 2]
        assert len(complaints) == 1
        assert "nothing is lost" in complaints[0]

    def test_questions_wait_until_it_can_be_read(self, bus: Bus, rounds: list[int]) -> None:
        kept = bus.file.with_name("elsewhere.db")
        bus.record(2)
        bus.file.rename(kept)
        started = bus.start()
        dealer = bus.dealer()
        dealer.send_multipart(question(0))
        assert not dealer.poll(100)
        assert len(rounds) < 30, "a question that must wait does not keep it awake"
        kept.rename(bus.file)
        started.wake()

        assert sequences([dealer.recv_multipart()]) == [2]

    def test_a_defect_is_reported_and_outlived(
        self, bus: Bus, complaints: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started = bus.start()
        sub = bus.listen()
        since, failures = Journal.since, iter([ZeroDivisionError("a defect"), ZeroDivisionError("again")])

        def flawed(self: Journal, sequence: int, limit: int = 1000) -> list[Record]:
            for failure in failures:
                raise failure
            return since(self, sequence, limit)

        monkeypatch.setattr(Journal, "since", flawed)
        bus.record(2)
        started.wake()

        assert sequences(take_events(sub, 2)) == [1, 2]
        assert len(complaints) == 1, "said once, until it works again"
        assert "Traceback" in complaints[0]

    def test_another_journal_in_its_place_is_published_from_its_first_event(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bus.record(5)
        started = bus.start()
        sub = bus.listen()
        before = wait_for_head(sub, 5)
        self.replace(bus, started, monkeypatch, lambda: bus.record(3))

        published = take_events(sub, 3)

        assert sequences(published) == [1, 2, 3]
        assert wire.position_of(published[0])[0] != before

    def test_an_older_copy_in_its_place_is_published_from_where_it_ends(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        bus.record(5)
        shutil.copy(bus.file, tmp_path / "copy")
        bus.record(5)
        started = bus.start()
        sub = bus.listen()
        before = wait_for_head(sub, 10)
        self.replace(bus, started, monkeypatch, lambda: shutil.copy(tmp_path / "copy", bus.file))
        assert wait_for_head(sub, 5) == before
        bus.record()
        started.wake()

        assert sequences(take_events(sub, 1)) == [6]

    @staticmethod
    def replace(bus: Bus, started: Publisher, monkeypatch: pytest.MonkeyPatch, put: object) -> None:
        """Have the publisher lose its journal, and find another one."""
        lost, replaced = threading.Event(), threading.Event()
        since = Journal.since

        def failing(*_: object) -> list[Record]:
            lost.set()
            raise apsw.IOError("disk I/O error")

        def opening(file: Path) -> Journal | None:
            assert replaced.wait(5.0)
            return opened(file)

        opened = Journal.open_for_reading
        monkeypatch.setattr(Journal, "open_for_reading", opening)
        monkeypatch.setattr(Journal, "since", failing)
        started.wake()
        assert lost.wait(5.0)
        monkeypatch.setattr(Journal, "since", since)
        for path in bus.file.parent.glob("journal.db*"):
            path.unlink()
        assert callable(put)
        put()
        replaced.set()
