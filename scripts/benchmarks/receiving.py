"""Processes that receive, for what is measured from one process to another: their clock is the same."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import msgspec
import zmq

from watcher.keys import local_credentials
from watcher.settings import Events
from watcher.subscriber import Subscriber

_PATIENCE_SECONDS = 120.0


def tcp() -> tuple[str, str]:
    """Two free addresses."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        first, second = (f"tcp://127.0.0.1:{server.getsockname()[1]}" for server in (one, other))
    return first, second


class Receiver:
    """The other end of a process that receives."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def says(self) -> Any:
        if not self._connection.poll(_PATIENCE_SECONDS):
            raise SystemExit("the receiver has nothing to say: something was lost")
        return self._connection.recv()

    def has_said(self) -> bool:
        return self._connection.poll(0)


@contextmanager
def receiving(receive: Callable[..., None], *arguments: object) -> Iterator[Receiver]:
    """Run ``receive(say, *arguments)`` in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_run, args=(theirs, receive, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Receiver(ours)
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()


def by_subscriber(say: Callable[[object], None], events: Events, count: int) -> None:
    """Says so when it has its first event; and when ``count`` have come, when each of them did."""
    at: list[float] = []
    credentials = local_credentials(events)
    with Subscriber(events.publish, events.replay, since=0, credentials=credentials) as subscriber:
        for _ in subscriber:
            at.append(time.monotonic())
            if len(at) == 1:
                say("ready")
            if len(at) == count:
                break
    say(at)


def by_plain_socket(say: Callable[[object], None], address: str, count: int) -> None:
    """The same with a SUB socket and nothing else; what it gets is decoded."""
    with zmq.Context() as context, context.socket(zmq.SUB) as sub:
        sub.rcvhwm = 0
        sub.subscribe(b"")
        sub.connect(address)
        sub.recv_multipart()
        say("ready")
        at: list[float] = []
        while len(at) < count:
            topic, body = sub.recv_multipart()
            if topic:
                msgspec.json.decode(body)
                at.append(time.monotonic())
    say(at)


@contextmanager
def plain_publisher(address: str) -> Iterator[zmq.Socket[bytes]]:
    """A PUB socket that drops nothing."""
    with zmq.Context() as context, context.socket(zmq.PUB) as pub:
        pub.sndhwm = 0
        pub.bind(address)
        yield pub


def wait_for_plain(pub: zmq.Socket[bytes], receiver: Receiver) -> None:
    """Send empty messages until somebody gets them."""
    while not receiver.has_said():
        pub.send_multipart([b"", b""])
        time.sleep(0.01)
    receiver.says()


def _run(connection: Connection, receive: Callable[..., None], arguments: tuple[object, ...]) -> None:
    receive(connection.send, *arguments)
