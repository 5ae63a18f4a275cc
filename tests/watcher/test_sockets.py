"""The sockets of the publisher: their addresses, whom they admit, and what strangers may do to them."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from tests.watcher.bus import (
    LONG,
    Bus,
    free_port,
    in_use,
    logged,
    question,
    sequences,
    show,
    take_events,
    wait_until,
)
from watcher import answers, publisher, sockets, wire
from watcher.certificates import KeyPair, new_pair
from watcher.events import Record
from watcher.journal import Journal
from watcher.keys import Credentials, KeyRing

REFUSED = {
    zmq.EVENT_DISCONNECTED,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH,
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
}
"""What a client is told of a connection that came to nothing."""


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    """One with keys."""
    monkeypatch.setattr(publisher, "_KEYS_SECONDS", 0.02)
    monkeypatch.setattr(sockets, "_HANDSHAKE_MS", 200)
    with Bus(tmp_path, curve=True) as made:
        yield made


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    with logged("WARNING") as lines:
        yield lines


class Stranger:
    """A program that speaks the protocol of ZeroMQ by itself, as far as it likes."""

    def __init__(self, endpoint: str, kind: bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10.0)
        try:
            self.socket.connect(endpoint.removeprefix("ipc://"))
            self._greet(kind)
        except OSError:
            self.socket.close()
            raise

    def _greet(self, kind: bytes) -> None:
        greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
        ready = b"\x05READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind
        self.socket.sendall(greeting + bytes([4, len(ready)]) + ready)
        theirs = b""
        while len(theirs) < 66 or len(theirs) < 66 + theirs[65]:  # a greeting, and a command with its length
            received = self.socket.recv(66 + 255)
            if not received:
                raise ConnectionError("the connection was ended")
            theirs += received

    def send(self, *frames: bytes, more: bool = False) -> None:
        """One message; with ``more`` one that is not at its end yet."""
        self.socket.sendall(b"".join(self._frame(f, more or f is not frames[-1]) for f in frames))

    def wait_for_end(self) -> None:
        """Until the connection is ended from over there."""
        with suppress(ConnectionError):
            while self.socket.recv(65536):
                pass

    @staticmethod
    def _frame(body: bytes, more: bool) -> bytes:
        return bytes([2 | more]) + len(body).to_bytes(8, "big") + body

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


class Client:
    """A SUB socket that tells when it was refused."""

    def __init__(self, bus: Bus, key: KeyPair | None, server: bytes | None = None) -> None:
        self.sub = bus.context.socket(zmq.SUB)
        self.sub.rcvtimeo = 10_000
        self.sub.reconnect_ivl = 10
        self._monitor = self.sub.get_monitor_socket()
        self._monitor.rcvtimeo = 10_000
        if key is not None:
            show(self.sub, Credentials(key, server or KeyRing(bus.file.parent / "keys").server().public))
        self.sub.subscribe(b"")
        self.sub.connect(bus.publish)

    def wait_until_refused(self) -> None:
        while recv_monitor_message(self._monitor)["event"] not in REFUSED:
            pass

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sub.disable_monitor()
        self._monitor.close(linger=0)
        self.sub.close(linger=0)


class TestAddresses:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
    def test_loopback_by_any_name(self, bus: Bus, host: str) -> None:
        if host == "[::1]" and not Path("/proc/net/if_inet6").exists():
            pytest.skip("no IPv6 here")
        bus.replay = f"tcp://{host}:{free_port()}"
        bus.context.ipv6 = host == "[::1]"
        bus.start(LONG)

        assert bus.ask(0)

    def test_one_that_is_taken_is_bound_when_it_is_free(
        self, bus: Bus, complaints: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        attempts = threading.Semaphore(0)
        bind = sockets._bind

        def counted(sock: zmq.Socket[bytes], endpoint: str) -> None:
            attempts.release()
            bind(sock, endpoint)

        monkeypatch.setattr(sockets, "_bind", counted)
        with socket.create_server(("127.0.0.1", 0)) as holder:
            bus.publish = f"tcp://127.0.0.1:{holder.getsockname()[1]}"
            bus.start()
            for _ in range(5):
                assert attempts.acquire(timeout=5.0)
            assert bus.ask(0), "the other address serves meanwhile"
        bus.listen()

        assert len(complaints) == 1
        assert bus.publish in complaints[0]
        assert "events.publish" in complaints[0]

    def test_one_that_is_taken_is_tried_between_rare_heartbeats(self, bus: Bus) -> None:
        with socket.create_server(("127.0.0.1", 0)) as holder:
            bus.replay = f"tcp://127.0.0.1:{holder.getsockname()[1]}"
            bus.start(LONG)

        assert bus.ask(0)

    def test_a_directory_that_is_not_there_yet_is_made_for_us_alone(self, bus: Bus, tmp_path: Path) -> None:
        bus.replay = f"ipc://{tmp_path}/later/r"
        bus.start(LONG)

        assert bus.ask(0)
        assert stat.S_IMODE((tmp_path / "later").stat().st_mode) == 0o700

    def test_a_directory_that_others_may_enter_is_refused_until_they_may_not(
        self, bus: Bus, complaints: list[str], tmp_path: Path
    ) -> None:
        (tmp_path / "open").mkdir()
        (tmp_path / "open").chmod(0o755)
        bus.replay = f"ipc://{tmp_path}/open/r"
        bus.start()
        assert len(complaints) == 1
        assert f"chmod 700 {tmp_path}/open" in complaints[0]
        (tmp_path / "open").chmod(0o700)

        assert bus.ask(0)

    def test_a_path_that_is_too_long(self, bus: Bus, complaints: list[str], tmp_path: Path) -> None:
        bus.publish = f"ipc://{tmp_path}/{'x' * 200}"
        bus.start()

        assert bus.ask(0)
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

        assert bus.ask(0)
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

        assert bus.ask(0), "bound when it had gone"

    def test_a_file_is_never_taken_for_a_socket(
        self, bus: Bus, complaints: list[str], tmp_path: Path
    ) -> None:
        (tmp_path / "r").write_text("precious")
        bus.start()

        assert (tmp_path / "r").read_text() == "precious"
        assert "something else than a socket" in complaints[0]

    def test_a_second_daemon_does_not_take_the_first_one_s_address(
        self, bus: Bus, complaints: list[str]
    ) -> None:
        bus.start()
        sub = bus.listen()
        second = bus.start()

        assert len(complaints) == 2
        second.stop()
        bus.record()
        bus.publishers[0].wake()
        assert sequences(take_events(sub, 1)) == [1]
        bus.listen()


class TestWithKeys:
    def test_who_is_on_the_list_is_served(self, guarded: Bus) -> None:
        guarded.record(3)
        started = guarded.start()
        ring, key = KeyRing(guarded.file.parent / "keys"), new_pair()
        ring.allow("loader", key.public)
        with Client(guarded, key) as client:
            client.sub.recv_multipart()
            guarded.record()
            started.wake()
            assert sequences(take_events(client.sub, 1)) == [4]

    def test_the_commands_of_this_machine_are_on_it_from_the_start(self, guarded: Bus) -> None:
        guarded.record(3)
        guarded.start(LONG)

        assert len(guarded.ask(0)[0].events) == 3
        assert guarded.listen()

    @pytest.mark.parametrize("which", ["another key", "no key", "the key of another daemon"])
    def test_nobody_else_hears_anything_or_is_answered(
        self, guarded: Bus, warnings: list[str], which: str
    ) -> None:
        started = guarded.start()
        friend = guarded.listen()
        key = (
            None if which == "no key" else new_pair() if which == "another key" else guarded.credentials().key
        )
        server = new_pair().public if which == "the key of another daemon" else None
        with Client(guarded, key, server) as client, Client(guarded, key, server) as asking:
            asker = guarded.context.socket(zmq.DEALER)
            with asker:
                asker.linger = 0
                if key is not None:
                    show(asker, Credentials(key, server or guarded.credentials().server))
                asker.connect(guarded.replay)
                asker.send_multipart(question(0))
                for each in (client, asking, client):
                    each.wait_until_refused()
                guarded.record()
                started.wake()
                assert sequences(take_events(friend, 1)) == [1]
                guarded.ask(0)
                assert not client.sub.poll(0)
                assert not asker.poll(50)
        if which == "another key":
            assert "without a key that is allowed" in warnings[0]
        assert len(warnings) <= 1

    def test_who_is_allowed_later_is_admitted_without_connecting_anew(self, guarded: Bus) -> None:
        guarded.start()
        key = new_pair()
        with Client(guarded, key) as client:
            client.wait_until_refused()
            KeyRing(guarded.file.parent / "keys").allow("loader", key.public)

            assert client.sub.recv_multipart()[0] == wire.HEARTBEAT_TOPIC

    def test_who_is_revoked_is_cut_off_and_all_others_go_on(self, guarded: Bus) -> None:
        ring, key = KeyRing(guarded.file.parent / "keys"), new_pair()
        ring.allow("loader", key.public)
        started = guarded.start()
        friend = guarded.listen()
        with Client(guarded, key) as client:
            client.sub.recv_multipart()
            ring.revoke("loader")
            client.wait_until_refused()
            client.wait_until_refused()
            while client.sub.poll(0):
                client.sub.recv_multipart()
            while friend.poll(0):
                friend.recv_multipart()
            assert friend.recv_multipart()[0] == wire.HEARTBEAT_TOPIC, "it has come back by itself"
            guarded.record()
            started.wake()
            assert sequences(take_events(friend, 1)) == [1]
            assert not client.sub.poll(0)

    def test_keys_that_others_could_have_written_stop_it_until_they_cannot(
        self, guarded: Bus, complaints: list[str]
    ) -> None:
        guarded.start()
        friend = guarded.listen()
        folder = guarded.file.parent / "keys"
        folder.chmod(0o777)
        wait_until(lambda: bool(complaints))
        with Client(guarded, None) as plain:  # no connection to plain sockets instead
            while friend.poll(60):
                friend.recv_multipart()
            assert not plain.sub.poll(0)
        folder.chmod(0o700)

        assert friend.recv_multipart()[0] == wire.HEARTBEAT_TOPIC
        assert "chmod go-w" in complaints[0]
        assert len(complaints) == 1


class TestStrangers:
    def test_garbage_is_ignored_and_said_in_one_line(self, bus: Bus, warnings: list[str]) -> None:
        bus.record(2)
        bus.start(LONG)
        dealer = bus.dealer()
        position = wire.pack(0, 0)
        garbage = [
            [b""],
            [b"replay"],
            [b"replay", position[:9]],
            [b"replay", position, b""],
            [b"snapshot", position],
            [b"snapshot", position, b"\xff"],
            [b"", b"replay", position],
            [b"replay", *[position] * 20],
        ]
        for frames in garbage:
            dealer.send_multipart(frames)

        assert len(bus.ask(0, dealer)[0].events) == 2
        wait_until(lambda: bool(warnings))
        assert len(warnings) == 1
        assert "questions" in warnings[0]

    def test_something_else_than_zeromq_is_ignored(self, bus: Bus) -> None:
        bus.record(2)
        bus.start(LONG)
        for endpoint in (bus.publish, bus.replay):
            for said in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(10_000), b""):
                with socket.socket(socket.AF_UNIX) as stranger:
                    stranger.connect(endpoint.removeprefix("ipc://"))
                    with suppress(ConnectionError):
                        stranger.sendall(said)

        assert len(bus.ask(0)[0].events) == 2
        assert bus.listen()

    def test_a_connection_that_says_nothing_is_ended(self, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sockets, "_HANDSHAKE_MS", 50)
        bus.start(LONG)
        with ExitStack() as stack:
            silent = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(100)]
            for index, each in enumerate(silent):
                each.settimeout(10.0)
                each.connect((bus.publish, bus.replay)[index % 2].removeprefix("ipc://"))
            for each in silent:
                while each.recv(4096):
                    pass

        assert bus.ask(0)

    def test_the_first_version_of_the_protocol_is_not_spoken(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor what random bytes make of it: they can abort the library."""
        monkeypatch.setattr(sockets, "_HANDSHAKE_MS", 200)
        bus.start()
        for endpoint in (bus.publish, bus.replay):
            with socket.socket(socket.AF_UNIX) as old:
                old.settimeout(10.0)
                old.connect(endpoint.removeprefix("ipc://"))
                old.sendall(b"\x01\x00")  # its greeting: somebody without a name
                with suppress(ConnectionError):
                    while old.recv(64):
                        pass
        assert bus.ask(0)[1].sequence == 0

    @pytest.mark.parametrize("size", [5000, 2**40, 2**63])
    def test_a_giant_frame_ends_its_connection(self, bus: Bus, size: int) -> None:
        bus.start(LONG)
        for endpoint, kind in ((bus.publish, b"SUB"), (bus.replay, b"DEALER")):
            with Stranger(endpoint, kind) as stranger:
                with suppress(ConnectionError):
                    stranger.socket.sendall(b"\x02" + size.to_bytes(8, "big") + bytes(4000))
                stranger.wait_for_end()

        assert bus.ask(0)
        assert bus.listen()

    def test_a_message_that_does_not_end_keeps_nobody_waiting(self, bus: Bus) -> None:
        started = bus.start(LONG)
        sub = bus.listen()
        with Stranger(bus.publish, b"SUB") as one, Stranger(bus.replay, b"DEALER") as other:
            for number in range(1, 20):
                for each in (one, other):
                    each.send(*[b"more and more"] * 500, more=True)
                bus.record()
                started.wake()
                assert sequences(take_events(sub, 1)) == [number]
                assert bus.ask(0)[1].sequence == number

    @pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "x"), zmq.ZMQError(errno.ENOMEM)])
    def test_who_takes_all_the_memory_is_hung_up_on(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        """By asking, say, and reading no answer: they wait in the sockets."""
        started = bus.start()
        since, errors = Journal.since, iter([error])

        def failing(journal: Journal, *arguments: int) -> list[Record]:
            for each in errors:
                raise each
            return since(journal, *arguments)

        with Stranger(bus.publish, b"SUB") as stranger:
            monkeypatch.setattr(Journal, "since", failing)
            bus.record()
            started.wake()
            stranger.wait_for_end()
        assert bus.listen(), "who comes after that is heard"

    def test_a_subscription_that_can_match_nothing_does_no_harm(self, bus: Bus, warnings: list[str]) -> None:
        started = bus.start()
        absurd = [b"seale/", b"sealed/tick2/", b"sealed/ticks/x", b"nothing/-/", b"\xff", b"x" * 4000]
        sub = bus.listen()
        with Stranger(bus.publish, b"SUB") as stranger:
            with suppress(OSError):  # who has sent the long one may be hung up on
                for topic in absurd:
                    stranger.send(b"\1" + topic)
                stranger.send(b"\2a message", b"upwards")
            wait_until(lambda: bool(warnings))
        bus.record()
        started.wake()

        assert sequences(take_events(sub, 1)) == [1]
        assert "subscriptions" in warnings[0]

    @pytest.mark.parametrize(
        "topic", [b"", b"s", b"sealed/", b"sealed/ticks/", b"heartbeat/-/", b"progress/ticks/", b"started/-/"]
    )
    def test_one_that_can_is_none_of_those(self, bus: Bus, warnings: list[str], topic: bytes) -> None:
        bus.start(LONG)
        sub = bus.socket(zmq.SUB)
        sub.subscribe(topic)
        sub.connect(bus.publish)
        bus.listen()

        assert not warnings

    def test_absurd_subscriptions_without_end_take_no_memory_without_end(self, bus: Bus) -> None:
        started = bus.start()
        sub = bus.listen()
        before = memory_mb()
        topics = (b"\1%08d" % number + b"x" * 240 for number in range(12_000))  # kept, they would take 140 MB
        topic = next(topics, None)
        while topic is not None:
            with suppress(OSError), Stranger(bus.publish, b"SUB") as stranger:
                while topic is not None:
                    stranger.send(topic)
                    topic = next(topics, None)
        bus.record()
        started.wake()

        while bus.ask(0)[1].sequence != 1:
            pass
        assert memory_mb() - before < 90
        bus.listen()
        while wire.position_of(sub.recv_multipart()).sequence != 1:
            pass

    def test_a_storm_of_joins_and_leaves_leaves_nothing_behind(self, bus: Bus) -> None:
        started = bus.start()
        sub = bus.listen()
        before = len(in_use()[0])
        for number in range(1, 31):
            with ExitStack() as stack:
                for kind in range(10):
                    stranger = stack.enter_context(Stranger(bus.publish, b"SUB"))
                    stranger.send(b"\1" + b"sealed/ticks/"[: kind + 3])
                    if kind % 3 == 0:
                        stranger.send(b"\0" + b"sealed/ticks/"[: kind + 3])
                    if kind % 3 == 1:
                        stranger.send(b"\1", more=True)  # killed in the middle
            bus.record()
            started.wake()
            assert sequences(take_events(sub, 1)) == [number]
        bus.listen()

        wait_until(lambda: len(in_use()[0]) <= before + 4)  # the second listener, both of its ends

    def test_a_flood_of_questions_delays_no_live_event(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answered: list[int] = []
        answer_to = publisher.answer_to

        def counting(*of: object) -> object:
            answered.append(1)
            return answer_to(*of)  # type: ignore[arg-type]

        monkeypatch.setattr(publisher, "answer_to", counting)
        monkeypatch.setattr(publisher, "LINGER_MS", 50)
        bus.record(answers.REPLAY_LIMIT)
        started = bus.start()
        sub = bus.listen()
        flood = bus.dealer()
        for _ in range(900):
            flood.send_multipart(question(0))
        assert flood.recv_multipart()
        head, between = answers.REPLAY_LIMIT, []
        for number in range(head + 1, head + 21):
            count = len(answered)
            bus.record()
            started.wake()
            assert sequences(take_events(sub, 1)) == [number]
            between.append(len(answered) - count)

        assert sorted(between)[10] <= 3, "live events go out between answers, not after them"
        assert bus.ask(0)[1].sequence == head + 20, "others are answered in turn"
        assert len(answered) < 900
        bus.stop()

    def test_who_asks_and_does_not_read_keeps_nobody_waiting(
        self, bus: Bus, complaints: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(publisher, "LINGER_MS", 50)
        bus.record(answers.REPLAY_LIMIT)
        bus.start()
        deaf = bus.socket(zmq.DEALER)
        deaf.rcvhwm = 1
        deaf.connect(bus.replay)
        for _ in range(100):
            deaf.send_multipart(question(0))

        assert len(bus.ask(0)[0].events) == answers.REPLAY_LIMIT
        assert not complaints, "that is no trouble of ours"
        bus.stop()

    def test_who_leaves_before_the_answer_does_no_harm(self, bus: Bus, complaints: list[str]) -> None:
        bus.record(answers.REPLAY_LIMIT)
        bus.start(LONG)
        for _ in range(20):
            hasty = bus.dealer()
            hasty.send_multipart(question(0))
            hasty.close(linger=100)

        assert len(bus.ask(0)[0].events) == answers.REPLAY_LIMIT
        assert not complaints


def memory_mb() -> float:
    """What this process takes of the machine's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
