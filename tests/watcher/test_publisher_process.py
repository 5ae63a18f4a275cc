"""The publisher in a process of its own: what becomes of it, and of the daemon beside it."""

from __future__ import annotations

import io
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from loguru import logger
from msgspec.structs import replace

from tests.watcher.bus import (
    KEY,
    LONG,
    Bus,
    in_use,
    logged,
    sequences,
    take_events,
    wait_until,
)
from tests.watcher.processes import Watched
from tests.watcher.recording import recording
from tests.watcher.test_sockets import Stranger
from watcher import child, wire
from watcher.calls import Caller
from watcher.events import Progress
from watcher.publisher_process import PublisherProcess
from watcher.settings import Hook
from watcher.subscriber import Subscriber


class Process(PublisherProcess):
    """One that can be looked at."""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid


@pytest.fixture
def lines() -> Iterator[list[str]]:
    with logged("INFO") as lines:
        yield lines


@pytest.fixture
def started(bus: Bus) -> Iterator[Process]:
    """It is up when this is, with a journal of three events."""
    with running(bus) as process:
        yield process


@contextmanager
def running(bus: Bus) -> Iterator[Process]:
    bus.record(3)
    process = Process(bus.settings(LONG), bus.file, retry_seconds=0.02)
    process.start()
    try:
        assert bus.ask(0)[1].sequence == 3
        yield process
    finally:
        process.stop()


@pytest.fixture(scope="class")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    with Bus(tmp_path_factory.mktemp("bus")) as made:
        yield made


@pytest.fixture(scope="class")
def up(shared: Bus) -> Iterator[Process]:
    with running(shared) as process:
        yield process


class TestOneThatIsUp:
    def test_publishes_answers_and_tells_of_progress_as_the_thread_does(
        self, shared: Bus, up: Process
    ) -> None:
        sub = shared.listen()
        shared.record()
        up.wake()
        up.progress({KEY: Progress("compress", 1, 2)})
        event, progress = take_events(sub, 2)

        assert sequences([event]) == [4]
        assert wire.from_frames(progress).event == "progress"
        assert shared.ask(2)[0].events[0].sequence == 3

    def test_does_not_end_by_a_signal(self, shared: Bus, up: Process) -> None:
        pid = up.pid
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)

        assert shared.ask(0)[0].since == 0
        assert up.pid == pid
        assert os.getpgid(pid) != os.getpgid(0), "Ctrl-C does not even get there"

    def test_may_take_so_much_and_no_more(self, up: Process) -> None:
        limits = {
            name: resource.prlimit(up.pid, getattr(resource, name))[0]
            for name in ("RLIMIT_DATA", "RLIMIT_CORE", "RLIMIT_NOFILE")
        }
        status = Path(f"/proc/{up.pid}/status").read_text()

        assert limits["RLIMIT_DATA"] == 512 << 20
        assert limits["RLIMIT_CORE"] == 0
        assert limits["RLIMIT_NOFILE"] <= 4096
        assert "Umask:\t0077" in status

    def test_sends_what_was_recorded_before_it_is_told_to_stop(self, shared: Bus, up: Process) -> None:
        sub = shared.listen()
        head = shared.record(300)[-1].sequence
        up.stop()

        assert sequences(take_events(sub, 300)) == list(range(head - 299, head + 1))


class TestWhatItIsTold:
    def test_is_where_to_begin_so_that_what_is_recorded_while_it_starts_is_sent(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[bytes] = []
        pair = Caller.pair
        monkeypatch.setattr(
            Caller, "pair", lambda caller, first: (said.append(first), pair(caller, first))[1]
        )
        process = Process(bus.settings(), bus.file)
        process.start(2)
        wait_until(lambda: bool(said))
        process.stop()

        assert msgspec.json.decode(said[0])["since"] == 2

    def test_is_nothing_of_the_secrets_that_are_not_its_business(self, bus: Bus) -> None:
        hooks = {"sealed": Hook("https://x/token")}
        process = PublisherProcess(replace(bus.settings(), hooks=hooks), bus.file)

        assert not process._settings.hooks


class TestItsEnd:
    def test_by_a_kill_is_said_it_is_started_again_and_subscribers_miss_nothing(
        self, bus: Bus, started: Process, lines: list[str]
    ) -> None:
        killed = started.pid
        with Subscriber(bus.publish, bus.replay, since=0) as subscriber:
            heard = [subscriber.receive(10.0) for _ in range(3)]
            os.kill(killed, signal.SIGKILL)
            bus.record(2)
            heard += [subscriber.receive(10.0) for _ in range(2)]

        assert [message.sequence for message in heard if message] == [1, 2, 3, 4, 5]
        assert started.pid != killed
        assert [line for line in lines if "by SIGKILL" in line and "0.1 s" in line]

    def test_by_a_message_without_end_ends_nothing_else(
        self, bus: Bus, started: Process, lines: list[str]
    ) -> None:
        resource.prlimit(started.pid, resource.RLIMIT_DATA, (64 << 20, 64 << 20))
        with Watched(started.pid) as watched:
            while not watched.ends(0.0):  # who is too slow to be heard of is hung up on before that
                with suppress(OSError), Stranger(bus.replay, b"DEALER") as stranger:
                    while True:
                        stranger.send(*[bytes(4000)] * 100, more=True)

        assert bus.ask(0)[1].sequence == 3
        (said,) = [line for line in lines if "has ended" in line]
        assert "SIGABRT" in said
        assert "OUT OF MEMORY" in said, "its last words"

    def test_it_does_not_outlive_a_daemon_that_is_killed(self, bus: Bus) -> None:
        with recording(bus.settings(), bus.file, 10) as daemon:
            bus.ask(0)
            (child,) = children_of(daemon.process.pid)
            with Watched(child) as watched:
                daemon.kill()
                assert watched.ends()

    def test_one_that_does_not_react_is_killed(self, started: Process) -> None:
        os.kill(started.pid, signal.SIGSTOP)
        with Watched(started.pid) as watched:
            started.stop(seconds=0.05)
            assert watched.ends(0.0)

    def test_one_that_cannot_be_started_is_said_and_tried_again(
        self, bus: Bus, lines: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        environment, failures = child._environment, iter([OSError("Cannot allocate memory")])

        def failing() -> dict[str, str]:
            for failure in failures:
                raise failure
            return environment()

        monkeypatch.setattr(child, "_environment", failing)
        process = Process(bus.settings(), bus.file)
        process.start()
        bus.ask(0)
        process.stop()

        assert [line for line in lines if "Cannot allocate memory" in line]

    def test_nothing_is_left_of_it(self, bus: Bus) -> None:
        before = in_use()
        process = Process(bus.settings(), bus.file)
        process.start()
        process.stop()
        process.stop()
        process.wake()

        wait_until(lambda: in_use() == before)

    def test_it_need_not_have_been_started(self, bus: Bus) -> None:
        PublisherProcess(bus.settings(), bus.file).stop()


class TestItsLog:
    def test_what_it_logs_is_logged_here(self, bus: Bus) -> None:
        bus.publish = f"ipc://{bus.file.parent}/{'x' * 200}"
        records: list[Any] = []
        sink = logger.add(lambda line: records.append(line.record), level="ERROR")  # type: ignore[attr-defined]
        process = Process(bus.settings(), bus.file)
        process.start()
        wait_until(lambda: bool(records))
        process.stop(seconds=0.0)
        logger.remove(sink)

        (record,) = records
        assert "events cannot be published on" in record["message"]
        assert "longer than" in record["extra"]["error"]

    def test_only_known_keys_and_bounded_lines_are_taken_over(self) -> None:
        records: list[Any] = []
        sink = logger.add(lambda line: records.append(line.record), level="INFO")  # type: ignore[attr-defined]
        said = [
            b'{"level":"INFO","message":"one {braces} <red>","keys":{"error":"e","_took":"x","name":"y"}}\n',
            b'{"level":"NONE","message":"two","keys":{}}\n',
            b'{"level":"INFO","message":"' + b"x" * 200_000 + b'","keys":{}}\n',
            b"Assertion failed: out of luck\n",
        ]
        process = child.ChildProcess("none", "none", "")
        last_words = process._relay(io.BytesIO(b"".join(said)))
        logger.remove(sink)

        (record,) = records
        assert last_words == "Assertion failed: out of luck"
        assert record["message"] == "one {braces} <red>"
        assert record["extra"] == {"error": "e"}

    def test_addresses_that_cannot_be_had_are_remembered_until_they_can(self) -> None:
        process = child.ChildProcess("none", "none", "")
        lines = [
            b'{"level":"ERROR","message":"taken","keys":{"address":"tcp://127.0.0.1:1"}}\n',
            b'{"level":"ERROR","message":"taken too","keys":{"address":"tcp://127.0.0.1:2"}}\n',
            b'{"level":"DEBUG","message":"taken still","keys":{"address":"tcp://127.0.0.1:2"}}\n',
        ]
        process._relay(io.BytesIO(b"".join(lines)))
        assert process.unserved == {"tcp://127.0.0.1:1": "taken", "tcp://127.0.0.1:2": "taken too"}
        process._relay(io.BytesIO(lines[0].replace(b"ERROR", b"INFO")))
        assert process.unserved == {"tcp://127.0.0.1:2": "taken too"}


def children_of(pid: int) -> list[int]:
    of_threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for children in of_threads for child in children.read_text().split()]
