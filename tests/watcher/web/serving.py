"""A real server of the page in a thread of its own, and a client that speaks HTTP to it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from types import TracebackType
from typing import Any

from msgspec.structs import replace

from watcher.settings import Events, Settings
from watcher.web.server import address_of, listening, serve

PATIENCE_SECONDS = 20.0


class Serving:
    """Serves from entering to leaving."""

    def __init__(self, settings: Settings) -> None:
        self._socket = listening("127.0.0.1:0")
        self.port = int(self._socket.getsockname()[1])
        self.address = address_of(self._socket)
        self._settings = settings
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await serve(self._settings, self._socket, self._stop)

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
        """One request on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        return json.loads(self.get(path)[1])

    def stream(self, path: str = "/api/events", **headers: str) -> Stream:
        return Stream(self.port, path, headers)

    def do(self, what: Callable[..., object], *arguments: object) -> None:
        """In the server's thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(what, *arguments)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)

    def __enter__(self) -> Serving:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_SECONDS)
        self._socket.close()
        assert not self._thread.is_alive(), "it ends when it is told to"


class Stream:
    """Server-sent events, read one by one."""

    def __init__(self, port: int, path: str, headers: dict[str, str]) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        self._connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        self.answer = self._connection.getresponse()

    def messages(self) -> Iterator[tuple[str, str, Any]]:
        """Name, id and data of each."""
        fields: dict[str, str] = {}
        while line := self.answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name and value:
                fields[name] = value
            elif "event" in fields:
                yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
                fields = {}

    def until(self, name: str) -> Any:
        """The data of the next message of that name."""
        return next(data for event, _, data in self.messages() if event == name)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._connection.close()


@contextmanager
def serving(settings: Settings, folder: str) -> Iterator[Serving]:
    """Over settings whose daemon, if there were one, would publish in that folder."""
    events = Events(f"ipc://{folder}/e", f"ipc://{folder}/r")
    with Serving(replace(settings, events=events)) as made:
        yield made
