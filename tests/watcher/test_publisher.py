"""The publisher on real sockets and a real journal: what it sends, what it answers, what it outlives."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest
import zmq

from tests.watcher.bus import LONG, Bus, Frames, free_port, in_use, logged, question, sequences, wait_until
from watcher import journal, publisher, wire
from watcher.events import Record
from watcher.journal import Journal
from watcher.publisher import REPLAY_LIMIT, Publisher
from watcher.settings import Events


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with Bus(tmp_path) as made:
        yield made


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    with logged("ERROR") as lines:
        yield lines


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each time that a publisher wakes up."""
    counted: list[int] = []
    sleep = publisher._Session._sleep

    def counting(session: publisher._Session) -> None:
        counted.append(1)
        sleep(session)

    monkeypatch.setattr(publisher._Session, "_sleep", counting)
    return counted


def take_events(sub: zmq.Socket[bytes], count: int) -> list[Frames]:
    """The next so many messages that are not heartbeats."""
    taken: list[Frames] = []
    while len(taken) < count:
        frames = sub.recv_multipart()
        if frames[0] != wire.HEARTBEAT_TOPIC:
            taken.append(frames)
    return taken


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
        sub = bus.listen(joined=False)
        for _ in range(5):
            started.wake()
        assert not sub.poll(100)

        assert len(rounds) <= 7

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


class TestReplay:
    def test_all_of_it(self, bus: Bus) -> None:
        records = bus.record(20)
        bus.start(LONG)
        *replayed, end = bus.ask(0)
        epoch, head = wire.position_of(end)

        assert replayed == [wire.to_frames(record, epoch) for record in records]
        assert head == 20
        assert wire.end_from(end) == wire.End(since=0, oldest=1)

    def test_the_rest_of_it(self, bus: Bus) -> None:
        bus.record(20)
        bus.start(LONG)

        assert sequences(bus.ask(17)) == [18, 19, 20, 20]

    @pytest.mark.parametrize("since", [20, 21, 2**63, wire.NEWEST])
    def test_from_the_newest_or_beyond_there_is_nothing_but_the_end(self, bus: Bus, since: int) -> None:
        bus.record(20)
        bus.start(LONG)
        (end,) = bus.ask(since)

        assert sequences([end]) == [20]
        assert wire.end_from(end).since == since

    def test_of_an_empty_journal(self, bus: Bus) -> None:
        bus.start(LONG)
        (end,) = bus.ask(0)

        assert sequences([end]) == [0]
        assert wire.end_from(end).oldest == 0

    def test_so_much_at_a_time(self, bus: Bus) -> None:
        bus.record(REPLAY_LIMIT + 10)
        bus.start(LONG)
        *replayed, end = bus.ask(0)

        assert sequences(replayed) == list(range(1, REPLAY_LIMIT + 1))
        assert sequences([end]) == [REPLAY_LIMIT + 10], "whoever has not got that far asks again"

    def test_garbage_is_ignored(self, bus: Bus) -> None:
        bus.record(2)
        bus.start(LONG)
        dealer = bus.dealer()
        for garbage in (
            [b""],
            [b"replay"],
            [b"replay", b"1"],
            [b"replay", bytes(9)],
            [b"replay", bytes(8), b""],
            [b"REPLAY", bytes(8)],
            [b"", b"replay", bytes(8)],
            [b"\xff" * 100_000],
        ):
            dealer.send_multipart(garbage)

        assert sequences(bus.ask(0, dealer)) == [1, 2, 2]

    def test_something_else_than_zeromq_is_ignored(self, bus: Bus) -> None:
        bus.record(2)
        bus.start(LONG)
        for endpoint in (bus.publish, bus.replay):
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.connect(endpoint.removeprefix("ipc://"))
                stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")

        assert sequences(bus.ask(0)) == [1, 2, 2]

    def test_who_asks_and_does_not_read_keeps_nobody_waiting(self, bus: Bus, complaints: list[str]) -> None:
        bus.record(REPLAY_LIMIT)
        started = bus.start()
        sub = bus.listen()
        deaf = bus.socket(zmq.DEALER)
        deaf.rcvhwm = 1
        deaf.connect(bus.replay)
        for _ in range(200):
            deaf.send_multipart(question(0))

        assert len(bus.ask(0)) == REPLAY_LIMIT + 1
        bus.record()
        started.wake()
        assert sequences(take_events(sub, 1)) == [REPLAY_LIMIT + 1]
        assert not complaints, "that is no trouble of ours"

    def test_an_answer_that_is_not_read_has_no_holes(self, bus: Bus) -> None:
        bus.record(REPLAY_LIMIT)
        bus.start(LONG)
        slow = bus.socket(zmq.DEALER)
        slow.rcvhwm = 1
        slow.connect(bus.replay)
        for _ in range(50):
            slow.send_multipart(question(0))
        bus.ask(0)
        before = 0
        while slow.poll(200):
            frames = slow.recv_multipart()
            (sequence,) = sequences([frames])
            if frames[0] == wire.END_TOPIC:
                assert before == REPLAY_LIMIT
            else:
                assert sequence in (1, before + 1)
                before = sequence

    def test_who_leaves_before_the_answer_does_no_harm(self, bus: Bus, complaints: list[str]) -> None:
        bus.record(REPLAY_LIMIT)
        bus.start(LONG)
        for _ in range(20):
            hasty = bus.dealer()
            hasty.send_multipart(question(0))
            hasty.close(linger=100)

        assert len(bus.ask(0)) == REPLAY_LIMIT + 1
        assert not complaints


class TestTheWriterNeverWaits:
    def test_when_nobody_takes_the_wake_ups(self, bus: Bus) -> None:
        idle = Publisher(Events(bus.publish, bus.replay), bus.file)
        began = time.monotonic()
        for _ in range(20_000):
            idle.wake()

        assert time.monotonic() - began < 5.0
        idle.stop()

    def test_wake_ups_from_before_the_start_do_no_harm(self, bus: Bus) -> None:
        settings = Events(bus.publish, bus.replay, LONG)
        bus.publishers.append(Publisher(settings, bus.file))
        for _ in range(5_000):
            bus.publishers[0].wake()
        bus.publishers[0].start()

        assert len(bus.ask(0)) == 1

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
        Publisher(Events(bus.publish, bus.replay), bus.file).stop()

    def test_twice(self, bus: Bus) -> None:
        started = bus.start()
        started.stop()
        started.stop()

    def test_does_not_wait_for_a_subscriber_that_does_not_read(self, bus: Bus) -> None:
        started = bus.start()
        deaf = bus.listen()
        deaf.rcvhwm = 1
        bus.record(5_000)
        began = time.monotonic()
        started.stop()

        assert time.monotonic() - began < 3.0

    def test_does_not_wait_for_a_journal_that_does_not_answer(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stuck, released = threading.Event(), threading.Event()

        def since(*_: object) -> list[Record]:
            stuck.set()
            released.wait(10.0)
            return []

        started = bus.start(LONG)
        monkeypatch.setattr(Journal, "since", since)
        started.wake()
        assert stuck.wait(5.0)
        began = time.monotonic()
        started.stop(seconds=0.05)

        assert time.monotonic() - began < 2.0
        released.set()
        started.stop()

    def test_leaves_no_thread_and_no_descriptor(self, bus: Bus) -> None:
        before = in_use()
        for _ in range(3):
            bus.start()
            bus.stop()

        wait_until(lambda: in_use() == before)


class TestAddresses:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
    def test_loopback_by_any_name(self, bus: Bus, host: str) -> None:
        if host == "[::1]" and not Path("/proc/net/if_inet6").exists():
            pytest.skip("no IPv6 here")
        bus.replay = f"tcp://{host}:{free_port()}"
        bus.context.ipv6 = host == "[::1]"
        bus.start(LONG)

        assert sequences(bus.ask(0)) == [0]

    def test_one_that_is_taken_is_bound_when_it_is_free(
        self, bus: Bus, complaints: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        attempts = threading.Semaphore(0)
        bind = publisher._bind

        def counted(sock: zmq.Socket[bytes], endpoint: str) -> None:
            attempts.release()
            bind(sock, endpoint)

        monkeypatch.setattr(publisher, "_bind", counted)
        with socket.create_server(("127.0.0.1", 0)) as holder:
            bus.publish = f"tcp://127.0.0.1:{holder.getsockname()[1]}"
            bus.start()
            for _ in range(5):
                assert attempts.acquire(timeout=5.0)
            assert sequences(bus.ask(0)) == [0], "the other address serves meanwhile"
        bus.listen()

        assert len(complaints) == 1
        assert bus.publish in complaints[0]
        assert "events.publish" in complaints[0]

    def test_one_that_is_taken_is_tried_between_rare_heartbeats(self, bus: Bus) -> None:
        with socket.create_server(("127.0.0.1", 0)) as holder:
            bus.replay = f"tcp://127.0.0.1:{holder.getsockname()[1]}"
            bus.start(LONG)

        assert sequences(bus.ask(0)) == [0]

    def test_a_directory_that_is_not_there_yet(self, bus: Bus, complaints: list[str], tmp_path: Path) -> None:
        bus.replay = f"ipc://{tmp_path}/later/r"
        bus.start(LONG)
        (tmp_path / "later").mkdir()

        assert sequences(bus.ask(0)) == [0]
        assert "No such file or directory" in complaints[0]

    def test_a_path_that_is_too_long(self, bus: Bus, complaints: list[str], tmp_path: Path) -> None:
        bus.publish = f"ipc://{tmp_path}/{'x' * 200}"
        bus.start()

        assert sequences(bus.ask(0)) == [0]
        assert "is longer than" in complaints[0]

    def test_nobody_else_can_connect_to_a_socket_file(self, bus: Bus, tmp_path: Path) -> None:
        before = os.umask(0o022)
        try:
            bus.start()
            assert os.umask(0o022) == 0o022, "the process's own mask is as it was"
        finally:
            os.umask(before)
        for name in ("p", "r"):
            mode = (tmp_path / name).stat().st_mode
            assert stat.S_ISSOCK(mode)
            assert mode & 0o077 == 0

    def test_a_socket_file_that_a_killed_process_left_is_taken_over(
        self, bus: Bus, complaints: list[str], tmp_path: Path
    ) -> None:
        for name in ("p", "r"):
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(tmp_path / name))  # closing it leaves the file
        bus.start()
        bus.listen()

        assert sequences(bus.ask(0)) == [0]
        assert not complaints

    def test_a_socket_file_of_a_living_process_is_left_to_it(
        self, bus: Bus, complaints: list[str], tmp_path: Path
    ) -> None:
        with socket.socket(socket.AF_UNIX) as living:
            living.bind(str(tmp_path / "r"))
            living.listen()
            bus.start()
            assert len(complaints) == 1
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "r"))  # raises if nobody listens there any more

        assert sequences(bus.ask(0)) == [0], "bound when it had gone"

    def test_a_file_is_never_taken_for_a_socket(
        self, bus: Bus, complaints: list[str], tmp_path: Path
    ) -> None:
        (tmp_path / "r").write_text("precious")
        bus.start()

        assert (tmp_path / "r").read_text() == "precious"
        assert "something else than a socket" in complaints[0]


class TestAJournalInTrouble:
    def test_that_is_not_there_yet(self, bus: Bus, complaints: list[str]) -> None:
        bus.file.unlink()
        for beside in bus.file.parent.glob("journal.db-*"):
            beside.unlink()
        bus.start()
        assert len(complaints) == 1
        bus.record(3)

        assert sequences(bus.ask(0)) == [1, 2, 3, 3]

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

        assert sequences([dealer.recv_multipart() for _ in range(3)]) == [1, 2, 2]

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


def test_a_second_daemon_does_not_take_the_first_one_s_address(bus: Bus, complaints: list[str]) -> None:
    bus.start()
    sub = bus.listen()
    second = bus.start()

    assert len(complaints) == 2
    second.stop()
    bus.record()
    bus.publishers[0].wake()
    assert sequences(take_events(sub, 1)) == [1]
    bus.listen()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_another_user_is_refused() -> None:
    folder = Path("/tmp") / f"tickward-{os.getpid()}"  # where everybody may enter
    folder.mkdir()
    folder.chmod(0o755)
    try:
        with Bus(folder) as bus, socket.socket(socket.AF_UNIX) as stranger:
            bus.start()
            os.seteuid(65534)
            try:
                with pytest.raises(PermissionError):
                    stranger.connect(f"{folder}/r")
            finally:
                os.seteuid(0)
            stranger.connect(f"{folder}/r")
    finally:
        shutil.rmtree(folder)
