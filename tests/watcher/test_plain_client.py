"""What docs/events.md says of the wire is enough: a client that was written from it alone misses nothing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from tests.watcher.bus import AT, Bus
from tests.watcher.processes import PATIENCE_SECONDS
from tests.watcher.recording import key_of, recording
from watcher.answers import REPLAY_LIMIT
from watcher.certificates import read_public, write_pair
from watcher.events import Event, Opened
from watcher.journal import Journal
from watcher.keys import KeyRing
from watcher.settings import Events, Settings
from watcher.snapshot import state_from
from watcher.state import Facts, fold
from watcher.wire import DatabaseState

PROGRAM = Path(__file__).with_name("plain_client.py")
PACKAGES = Path(zmq.__file__).parents[1]
_WITHOUT_THE_PROJECT = """
import runpy, sys
sys.path.append(sys.argv[1])
del sys.argv[:2]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Client:
    """The client at work."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def says(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def numbers(self, count: int) -> list[int]:
        """Of the next so many events, each checked to be what was recorded under it."""
        events = [self.says() for _ in range(count)]
        assert all(event["data"] == {"path": str(event["sequence"])} for event in events)
        return [event["sequence"] for event in events]

    def complaint(self) -> str:
        """What it says when it ends."""
        return self._process.communicate(timeout=PATIENCE_SECONDS)[1].decode()


@contextmanager
def isolated(program: Path, *arguments: object) -> Iterator[Client]:
    """A program that can import pyzmq, and nothing of the project."""
    flags = ["-I", "-S", "-c", _WITHOUT_THE_PROJECT, str(PACKAGES), str(program)]
    with subprocess.Popen(
        [sys.executable, *flags, *map(str, arguments)],
        cwd=program.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield Client(process)
        finally:
            process.kill()


Follow = Callable[..., AbstractContextManager[Client]]


@pytest.fixture
def follow(bus: Bus) -> Follow:
    return partial(isolated, PROGRAM, bus.publish, bus.replay)


def upto(head: int, *, after: int = 0) -> list[int]:
    return list(range(after + 1, head + 1))


class TestIndependence:
    def test_it_imports_nothing_but_zmq_and_the_standard_library(self) -> None:
        imported: set[str] = set()
        for node in ast.walk(ast.parse(PROGRAM.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                assert node.module is not None
                assert node.level == 0
                imported.add(node.module.partition(".")[0])
        assert imported - sys.stdlib_module_names == {"zmq"}

    def test_it_could_not_import_the_project_either(self, tmp_path: Path) -> None:
        program = tmp_path / "program.py"
        program.write_text("import zmq\nimport watcher.wire\n")
        with isolated(program) as client:
            assert "No module named 'watcher.wire'" in client.complaint()


class TestFollowing:
    @pytest.mark.parametrize("curve", [False, True])
    def test_every_event_once_and_in_order_across_kills(self, bus: Bus, follow: Follow, curve: bool) -> None:
        keys = bus.file.parent / "keys"
        settings = Settings(events=Events(bus.publish, bus.replay, 0.1, curve, str(keys)))
        options: list[object] = []
        if curve:
            public, secret = write_pair(bus.file.parent, "loader")
            KeyRing(keys).allow("loader", read_public(public))
            options = ["--key", secret, "--server", keys / "server.key"]
        seen: list[int] = []
        with follow(*options) as client:
            for killed_at in (400, 800):
                with recording(settings, bus.file, 1200) as daemon:
                    seen += client.numbers(killed_at - len(seen))
                    daemon.kill()
            with recording(settings, bus.file, 1200):
                seen += client.numbers(1200 - len(seen))
        assert seen == upto(1200)

    def test_from_a_number_and_from_an_id(self, bus: Bus, follow: Follow) -> None:
        bus.record(7)
        bus.start()
        with Journal.open_for_writing(bus.file) as journal:
            ids = ["4", f"{journal.epoch:x}-4"]
        for since in ids:
            with follow("--since", since) as client:
                assert client.numbers(3) == [5, 6, 7]

    def test_what_is_lost_on_the_way_is_asked_for(self, bus: Bus, follow: Follow) -> None:
        bus.record(3)
        bus.start()
        with follow() as client:
            assert client.numbers(3) == [1, 2, 3]
            for more in (1, 2 * REPLAY_LIMIT + 1):
                bus.stop()
                (*_, last) = bus.record(more)  # nobody publishes these
                bus.start()
                assert client.numbers(more) == upto(last.sequence, after=last.sequence - more)

    def test_another_journal_is_followed_from_its_first_event(self, bus: Bus, follow: Follow) -> None:
        bus.record(5)
        bus.start()
        with follow() as client:
            assert client.numbers(5) == upto(5)
            bus.stop()
            bus.new_journal()
            bus.record(9)
            bus.start()
            assert client.numbers(9) == upto(9)

    def test_another_version_of_the_wire_is_said(self, bus: Bus, follow: Follow) -> None:
        router = bus.socket(zmq.ROUTER)
        router.bind(bus.replay)
        with follow() as client:
            identity, *_ = router.recv_multipart()
            router.send_multipart([identity, b"replay/-/", b"\2whatever comes then", b"{}"])
            assert "version 2" in client.complaint()


class TestSnapshot:
    DATABASES, PAGES = 1200, 3

    def test_is_true_at_one_number_while_events_come(self, bus: Bus, follow: Follow) -> None:
        entries: list[tuple[str, Event]] = [
            (key_of(n, self.DATABASES), Opened(f"{n}")) for n in upto(self.DATABASES)
        ]
        with Journal.open_for_writing(bus.file) as journal:
            journal.record(entries, AT)
        settings = Settings(events=Events(bus.publish, bus.replay, 0.1))
        with recording(settings, bus.file, group=1, keys=self.DATABASES):
            for _ in range(10):
                with follow("--snapshot") as client:
                    snapshot = client.says()
                    head = snapshot["sequence"]
                    assert client.numbers(100) == upto(head + 100, after=head)
                if snapshot["questions"] > self.PAGES:
                    break  # something was recorded between the first page and the last
            else:
                pytest.fail("nothing was recorded meanwhile")
        assert msgspec.convert(snapshot["databases"], list[DatabaseState]) == self.expected(
            bus, settings, head
        )

    @staticmethod
    def expected(bus: Bus, settings: Settings, head: int) -> list[DatabaseState]:
        """The same from the journal's own records."""
        facts: dict[str, Facts] = {}
        journal = Journal.open_for_reading(bus.file)
        assert journal is not None
        with journal:
            for record in journal.since(0, head):
                event = Opened(msgspec.json.decode(record.data)["path"])
                facts[record.key] = fold(facts.get(record.key, Facts()), event, record.time)
        return [state_from(key, facts[key], settings.data) for key in sorted(facts)]

    def test_of_an_empty_journal(self, bus: Bus, follow: Follow) -> None:
        bus.start()
        with follow("--snapshot") as client:
            assert client.says()["databases"] == []
            bus.record(2)
            assert client.numbers(2) == [1, 2]
