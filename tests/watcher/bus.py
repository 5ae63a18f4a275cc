"""A journal, its publisher, and plain sockets that listen to it: for the tests of both ends of the wire."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import zmq
from loguru import logger

from watcher import wire
from watcher.events import Event, Opened, Record
from watcher.journal import Journal
from watcher.keys import Credentials, local_credentials
from watcher.publisher import Publisher
from watcher.settings import Data, Events, Settings
from watcher.wire import Position, Replay

AT = datetime(2026, 1, 20, tzinfo=UTC)
KEY = "ticks/2026-01-20"
LONG = 30.0
"""A heartbeat that comes too late to help: what arrives before it was sent for another reason."""
Frames = list[bytes]


class Bus:
    """Everything of one test, in one folder."""

    def __init__(self, folder: Path, *, curve: bool = False) -> None:
        self.curve = curve
        self.file = folder / "journal.db"
        self.publish, self.replay = f"ipc://{folder}/p", f"ipc://{folder}/r"
        self.context = zmq.Context()
        self.publishers: list[Publisher] = []
        self._sockets: list[zmq.Socket[bytes]] = []
        with Journal.open_for_writing(self.file):
            pass

    def record(self, count: int = 1) -> list[Record]:
        """Record events whose path is their sequence number."""
        with Journal.open_for_writing(self.file) as journal:
            first = journal.head() + 1
            entries: list[tuple[str, Event]] = [
                (KEY, Opened(f"{number}")) for number in range(first, first + count)
            ]
            return journal.record(entries, AT)

    def new_journal(self) -> None:
        """Move the journal aside, and begin another one."""
        for path in self.file.parent.glob(f"{self.file.name}*"):
            path.unlink()
        with Journal.open_for_writing(self.file):
            pass

    def settings(self, heartbeat_seconds: float = LONG) -> Settings:
        keys = str(self.file.parent / "keys")
        events = Events(self.publish, self.replay, heartbeat_seconds, self.curve, keys)
        return Settings(data=Data(root=str(self.file.parent / "root")), events=events)

    def start(self, heartbeat_seconds: float = 0.02, since: int | None = None) -> Publisher:
        self.publishers.append(Publisher(self.settings(heartbeat_seconds), self.file, retry_seconds=0.02))
        self.publishers[-1].start(since)
        return self.publishers[-1]

    def stop(self) -> None:
        self.publishers.pop().stop()

    def listen(self, *, joined: bool = True) -> zmq.Socket[bytes]:
        """A SUB socket; the first heartbeat tells that it has joined."""
        sub = self.socket(zmq.SUB)
        sub.subscribe(b"")
        sub.connect(self.publish)
        if joined:
            assert sub.recv_multipart()[0] == wire.HEARTBEAT_TOPIC
        return sub

    def dealer(self) -> zmq.Socket[bytes]:
        dealer = self.socket(zmq.DEALER)
        dealer.connect(self.replay)
        return dealer

    def ask(
        self, since: int, dealer: zmq.Socket[bytes] | None = None, epoch: int = wire.ANY_EPOCH
    ) -> tuple[Replay, Position]:
        """The answer to a replay, and its position."""
        dealer = dealer or self.dealer()
        dealer.send_multipart(question(since, epoch))
        frames = dealer.recv_multipart()
        replay = wire.answer_from(frames)
        assert isinstance(replay, Replay)
        return replay, wire.position_of(frames)

    def credentials(self) -> Credentials | None:
        """What a client of this machine shows; None without CURVE."""
        return local_credentials(self.settings().events)

    def socket(self, kind: int) -> zmq.Socket[bytes]:
        """A socket of a client, which shows its key if there is CURVE."""
        made = self.context.socket(kind)
        made.rcvtimeo = 10_000
        self._sockets.append(made)
        if (credentials := self.credentials()) is not None:
            show(made, credentials)
        return made

    def __enter__(self) -> Bus:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sock in self._sockets:
            sock.close(linger=0)
        self.context.term()
        while self.publishers:
            self.stop()


def question(since: int, epoch: int = wire.ANY_EPOCH) -> Frames:
    return wire.question(wire.REPLAY, epoch, since)


def show(sock: zmq.Socket[bytes], credentials: Credentials) -> None:
    """Have a socket that is not connected yet prove itself with a key."""
    sock.curve_publickey, sock.curve_secretkey = credentials.key
    sock.curve_serverkey = credentials.server


def sequences(messages: list[Frames]) -> list[int]:
    return [wire.position_of(frames)[1] for frames in messages]


def take_events(sub: zmq.Socket[bytes], count: int) -> list[Frames]:
    """The next so many messages that are not heartbeats."""
    taken: list[Frames] = []
    while len(taken) < count:
        frames = sub.recv_multipart()
        if frames[0] != wire.HEARTBEAT_TOPIC:
            taken.append(frames)
    return taken


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def in_use() -> tuple[list[str], int]:
    """This process's open descriptors, and the number of its threads."""
    descriptors = sorted(path.name for path in Path("/proc/self/fd").iterdir())
    return descriptors, len(list(Path("/proc/self/task").iterdir()))


def wait_until(condition: Callable[[], bool]) -> None:
    """For what follows at once and tells nobody, as when the kernel forgets a thread that has ended."""
    deadline = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"


@contextmanager
def logged(level: str) -> Iterator[list[str]]:
    """What is logged from this level up."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), level=level, format="{message}")
    try:
        yield lines
    finally:
        logger.remove(sink)
