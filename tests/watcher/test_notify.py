"""What systemd is told, by the protocol itself and by the real daemon; which is probed while it runs."""

from __future__ import annotations

import http.client
import math
import os
import re
import select
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tests.end_to_end.harness import PATIENCE_SECONDS, World
from watcher.metrics.probe import Probe
from watcher.notify import Notify


class Manager:
    """The service manager's end."""

    def __init__(self, name: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.settimeout(PATIENCE_SECONDS)
        self.told: list[str] = []

    def hears(self) -> str:
        self.told.append(self.socket.recv(65536).decode())
        return self.told[-1]

    def hears_until(self, words: str) -> None:
        while words not in self.hears():
            pass

    def hears_nothing(self) -> bool:
        return not select.select([self.socket], [], [], 0)[0]

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with Manager(str(tmp_path / "s")) as manager:
        yield manager


def address(manager: Manager) -> str:
    return str(manager.socket.getsockname())


class TestTheProtocol:
    def test_tells_what_it_is_to_tell(self, manager: Manager) -> None:
        notify = Notify({"NOTIFY_SOCKET": address(manager), "WATCHDOG_USEC": "3000000"})
        assert notify.wanted
        notify.ready()
        notify.alive()
        notify.stopping()
        assert [manager.hears() for _ in range(3)] == ["READY=1", "WATCHDOG=1", "STOPPING=1"]
        before = time.monotonic_ns() // 1000
        notify.reloading()
        state, _, microseconds = manager.hears().partition("\nMONOTONIC_USEC=")
        assert state == "RELOADING=1"
        assert before <= int(microseconds) <= time.monotonic_ns() // 1000

    def test_tells_a_status_once_and_in_one_line(self, manager: Manager) -> None:
        notify = Notify({"NOTIFY_SOCKET": address(manager)})
        for line in ("warm 3", "warm 3", "no\nREADY=1 space", "größe " * 200):
            notify.status(line)
        assert [manager.hears() for _ in range(2)] == ["STATUS=warm 3", "STATUS=no READY=1 space"]
        assert len(manager.hears()) < 600
        assert manager.hears_nothing()

    def test_knows_names_without_a_file(self) -> None:
        name = f"tickward-test-{os.getpid()}"
        with Manager("\0" + name) as manager:
            Notify({"NOTIFY_SOCKET": f"@{name}"}).ready()
            assert manager.hears() == "READY=1"

    @pytest.mark.parametrize("named", [None, "", "vsock:2:1234", "relative/path"])
    def test_is_silent_where_nobody_is_to_be_told(self, named: str | None) -> None:
        environment = {"WATCHDOG_USEC": "3000000", **({"NOTIFY_SOCKET": named} if named is not None else {})}
        notify = Notify(environment)
        assert not notify.wanted
        assert notify.beat_seconds == math.inf
        notify.ready()
        notify.alive()
        notify.status("warm 3")

    @pytest.mark.parametrize(
        ("microseconds", "pid", "seconds"),
        [
            ("3000000", "ours", 1.0),
            ("3000000", None, 1.0),
            ("3000000", "1", math.inf),
            ("3000", None, 0.1),
            ("0", None, math.inf),
            ("-5", None, math.inf),
            ("soon", None, math.inf),
            (None, None, math.inf),
        ],
    )
    def test_beats_three_times_in_the_time_that_the_watchdog_waits(
        self, manager: Manager, microseconds: str | None, pid: str | None, seconds: float
    ) -> None:
        pid = str(os.getpid()) if pid == "ours" else pid
        given = {"NOTIFY_SOCKET": address(manager), "WATCHDOG_USEC": microseconds, "WATCHDOG_PID": pid}
        notify = Notify({key: value for key, value in given.items() if value is not None})
        assert notify.beat_seconds == seconds
        notify.alive()
        assert manager.hears_nothing() == (seconds == math.inf)

    def test_leaves_nothing_of_it_to_children(self, manager: Manager) -> None:
        environment = {
            "PATH": "/bin",
            "NOTIFY_SOCKET": address(manager),
            "WATCHDOG_USEC": "1",
            "WATCHDOG_PID": "1",
        }
        Notify(environment)
        assert environment == {"PATH": "/bin"}

    def test_waits_for_nobody_who_does_not_listen(self, manager: Manager) -> None:
        notify = Notify({"NOTIFY_SOCKET": address(manager), "WATCHDOG_USEC": "3000000"})
        for _ in range(2000):  # more than a socket holds
            notify.alive()
        manager.socket.close()
        notify.alive()


class Run(NamedTuple):
    """What a real daemon told while it ran, from its start to its end."""

    start: list[str]
    beats: list[str]
    reload: list[str]
    end: list[str]
    exit_code: int
    metrics: str
    health: tuple[int, bytes]
    children: list[dict[str, str]]
    """The environment of each of its child processes."""


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with tempfile.TemporaryDirectory(prefix="tw-") as folder, Manager(f"{folder}/notify") as manager:
        world = World(Path(folder).resolve())
        world.configure(metrics={"listen": "127.0.0.1:0"})
        try:
            yield watched(world, manager)
        finally:
            world.close()


def watched(world: World, manager: Manager) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTIFY_SOCKET", address(manager))
        patch.setenv("WATCHDOG_USEC", "900000")
        daemon = world.daemon(wait=False)
    with chapter(manager) as start:
        manager.hears_until("READY=1")
    with world.events() as events:
        events.until("created", count=2)
        children = environments(daemon.pid)
    with chapter(manager) as beats:
        manager.hears_until("next: ")
        manager.hears_until("WATCHDOG=1")
        manager.hears_until("WATCHDOG=1")
    url = next(line["message"] for line in world.log() if "metrics on" in line["message"]).split()[-1]
    _, metrics = get(url, "/metrics")
    health = get(url, "/healthz")
    with chapter(manager) as reload:
        daemon.send_signal(signal.SIGHUP)
        manager.hears_until("READY=1")
    with chapter(manager) as end:
        daemon.send_signal(signal.SIGTERM)
        manager.hears_until("STOPPING=1")
    code = daemon.wait(PATIENCE_SECONDS)
    return Run(start, beats, reload, end, code, metrics.decode(), health, children)


@contextmanager
def chapter(manager: Manager) -> Iterator[list[str]]:
    told: list[str] = []
    manager.told = told
    yield told


def get(url: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def environments(pid: int) -> list[dict[str, str]]:
    """Of the children of all threads of a process."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            lines = Path(f"/proc/{child}/environ").read_bytes().decode().split("\0")
            found.append(dict(line.partition("=")[::2] for line in lines if line))
    return found


class TestTheDaemon:
    def test_says_that_it_has_started(self, run: Run) -> None:
        assert run.start == ["READY=1"]

    def test_says_what_it_does_and_feeds_the_watchdog(self, run: Run) -> None:
        told = [line for line in run.beats if line.startswith("STATUS=") and "next: " in line]
        assert re.search(r"\bnext: \w+ ticks/2026-01-2\d at 2026-01-21 00:00 UTC$", told[0])
        assert run.beats.count("WATCHDOG=1") >= 2

    def test_says_when_it_reads_its_configuration_again(self, run: Run) -> None:
        told = [line for line in run.reload if not line.startswith(("STATUS", "WATCHDOG"))]
        assert [line.partition("\n")[0] for line in told] == ["RELOADING=1", "READY=1"]

    def test_says_that_it_ends(self, run: Run) -> None:
        assert run.end[-1] == "STOPPING=1"
        assert run.exit_code == 0

    def test_lets_no_child_speak_in_its_name(self, run: Run) -> None:
        assert len(run.children) >= 2  # the publisher and a worker
        for environment in run.children:
            assert not environment.keys() & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}
            assert "PATH" in environment

    def test_answers_a_probe(self, run: Run) -> None:
        status, body = run.health
        found = msgspec.json.decode(body, type=Probe)
        assert (status, found.status, found.reason) == (200, "ok", "")

    def test_serves_its_metrics(self, run: Run) -> None:
        lines = run.metrics.splitlines()
        assert 'tickward_events_total{event="created"} 2.0' in lines
        assert 'tickward_step_duration_seconds_count{step="create"} 2.0' in lines
        assert 'tickward_days{state="created",tier="hot"} 2.0' in lines
        assert "tickward_healthy 1.0" in lines
        assert any(line.startswith("process_resident_memory_bytes ") for line in lines)
